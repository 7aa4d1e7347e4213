package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// proxies are the addresses whose word about others is taken.
type proxies []netip.Prefix

// forwarding are the headers in which proxies speak about their clients.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-Ip"}

// resolve returns the request with the client's own address as RemoteAddr, and
// without the headers in which a proxy, or somebody who poses as one, spoke
// about it: no handler can come to trust one. The client is the last address
// of X-Forwarded-For that is not a trusted proxy; what lies before it, the
// client wrote itself.
func (p proxies) resolve(r *http.Request) *http.Request {
	chain := r.Header.Values("X-Forwarded-For")
	spoke := slices.ContainsFunc(forwarding, func(name string) bool { return r.Header[name] != nil })
	if !spoke {
		return r
	}
	peer := r.RemoteAddr
	r = r.Clone(r.Context())
	for _, name := range forwarding {
		r.Header.Del(name)
	}
	addr, ok := parseAddr(peer)
	if !ok || !p.contains(addr) {
		return r
	}
	hops := strings.Split(strings.Join(chain, ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, ok := parseAddr(strings.TrimSpace(hop))
		if !ok {
			break // an unreadable hop hides what is before it: stay with the last one known
		}
		addr = next
		if !p.contains(addr) {
			break
		}
	}
	r.RemoteAddr = net.JoinHostPort(addr.String(), "0") // the port is the proxy's, not the client's
	return r
}

func (p proxies) contains(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// parseAddr reads an address with or without a port. An IPv4 address mapped
// into IPv6 is that IPv4 address.
func parseAddr(text string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}
