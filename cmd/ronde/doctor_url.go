package main

import (
	"context"
	"net"
	"net/netip"
	"net/url"
)

// checkPublicURL looks at the public URL alone: can browsers on other machines
// use it?
func (d *doctor) checkPublicURL(context.Context) finding {
	const advice = "put a proxy that speaks TLS in front, and its origin into --public-url: https://ronde.example"
	origin := d.config.PublicURL
	u, err := url.Parse(origin)
	if err != nil || origin == "" {
		return doubtful("public-url", advice, "there is no public URL yet: --listen leaves the port to the system")
	}
	switch local := isLoopback(u.Hostname()); {
	case u.Scheme == "http" && !local:
		return broken("public-url", advice, "%s is not secure: browsers share positions with https alone, and tokens would travel in clear", origin)
	case u.Scheme == "http" && u.Port() != portOf(d.config.Listen) && portOf(d.config.Listen) != "0":
		return doubtful("public-url", "is that the port of a proxy? Otherwise name the port of --listen", "%s is another port than that of --listen %s", origin, d.config.Listen)
	case local:
		return doubtful("public-url", advice, "%s works in browsers on this machine alone", origin)
	}
	return healthy("public-url", "%s is what browsers see", origin)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// portOf returns the port of an address as an origin writes it: that of http is
// left out.
func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "80" {
		return ""
	}
	return port
}
