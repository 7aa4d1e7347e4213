package configs

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Transport says how data gets from a node to what it uses.
type Transport string

// The ways, from the safest.
const (
	Local     Transport = "local"     // it does not leave the machine
	Encrypted Transport = "encrypted" // by TLS, which the node insists on
	Plain     Transport = "plain"     // nobody insists on TLS
)

// StoreTransport says how positions get to the store.
func (c Config) StoreTransport() Transport { return transport(c.Store) }

// KeysTransport says how keys get to and from the keyring.
func (c Config) KeysTransport() Transport { return transport(c.Keys) }

// BusTransport says how progress, which is sealed in any case, gets to other nodes.
func (c Config) BusTransport() Transport { return transport(c.Bus) }

func transport(setting string) Transport {
	scheme, _ := Split(setting)
	switch scheme {
	case "sqlite", "file", "mem":
		return Local
	case "rediss":
		return Encrypted
	}
	u, err := url.Parse(setting)
	if err != nil {
		return Plain
	}
	if slices.Contains([]string{"require", "verify-ca", "verify-full"}, u.Query().Get("sslmode")) {
		return Encrypted
	}
	for host := range strings.SplitSeq(u.Host, ",") {
		if !loopback(host) {
			return Plain
		}
	}
	return Local
}

// loopback reports whether a host, with a port or without, is this machine.
func loopback(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.IsLoopback()
}
