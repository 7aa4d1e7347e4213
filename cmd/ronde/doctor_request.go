package main

import (
	"context"
	"net"
	"net/http"
	"strings"
)

// checkAddress: does the server learn who its clients are, and from nobody but
// the proxy?
func (v *visit) checkAddress() finding {
	for _, k := range v.knocks() {
		if k.seen != nil {
			return k.address()
		}
	}
	return finding{}
}

func (k knock) address() finding {
	const pass = "let the proxy add the address: option forwardfor in HAProxy, proxy_set_header X-Forwarded-For $remote_addr in nginx"
	peer, _, err := net.SplitHostPort(k.seen.Peer)
	if err != nil {
		peer = k.seen.Peer
	}
	chain := k.seen.ForwardedFor
	switch {
	case k.seen.Peer == k.local:
		return healthy("address", "no proxy is between here and the server")
	case chain == "":
		return doubtful("address", pass, "the proxy at %s says nothing of its clients (X-Forwarded-For): all of them look like one", peer)
	case chain == claimed && k.seen.Trusted:
		return broken("address", pass+", in place of what the client sent", "the proxy at %s passes on whatever clients claim in X-Forwarded-For, and is believed", peer)
	case chain == claimed:
		return doubtful("address", pass+", in place of what the client sent", "the proxy at %s passes on whatever clients claim in X-Forwarded-For", peer)
	case !k.seen.Trusted:
		return doubtful("address", "start the nodes with --trusted-proxies "+peer, "the proxy at %s names its clients, and is not believed: all of them look like one", peer)
	}
	client, _, err := net.SplitHostPort(k.seen.Client)
	if err != nil {
		client = k.seen.Client
	}
	return healthy("address", "clients keep their addresses: this one is %s", client)
}

const (
	// longestBody is the longest body that Ronde reads, and longestHeader the
	// longest credential.
	longestBody   = 1 << 20
	longestHeader = 4096
)

// checkBody: is a body that Ronde would read let through? Without a key the
// request is refused all the same, by Ronde itself.
func (v *visit) checkBody(ctx context.Context) finding {
	const advice = "let the proxy pass bodies of 1 MiB: client_max_body_size 1m in nginx, request_body max_size in Caddy"
	a, err := v.fetch(ctx, http.MethodPost, "/v1/missions", make([]byte, longestBody), "Content-Type", "application/json")
	switch {
	case err != nil:
		return broken("body", advice, "a body of 1 MiB does not get through: %v", err)
	case a.problem() == "":
		return broken("body", advice, "a body of 1 MiB is refused on the way: %s", a.Status)
	}
	return healthy("body", "a body of 1 MiB gets through")
}

// checkHeaders: is a header as long as the longest credential let through?
func (v *visit) checkHeaders(ctx context.Context) finding {
	const advice = "let the proxy pass headers of 8 KiB: large_client_header_buffers 4 8k in nginx, tune.bufsize 16384 in HAProxy"
	a, err := v.fetch(ctx, http.MethodGet, "/v1/missions", nil, "Authorization", "Bearer "+strings.Repeat("a", longestHeader-len("Bearer ")))
	switch {
	case err != nil:
		return broken("headers", advice, "a header of 4 KiB does not get through: %v", err)
	case a.problem() == "":
		return broken("headers", advice, "a header of 4 KiB is refused on the way: %s", a.Status)
	}
	return healthy("headers", "a header of 4 KiB gets through")
}
