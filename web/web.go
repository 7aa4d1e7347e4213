// Package web is Ronde's HTTP edge: who may ask what, in which form, and how
// the answer or the refusal looks. What the answer is, package session decides;
// what happens on an open socket, package tracker does.
//
// # One table
//
// Every route of the public listener stands in the table of routes.go, with
// who may use it and how the access log knows of it. The mux, the checks before
// each handler, the rows of the log and the OpenAPI document are all made from
// that table; a handler that is registered beside it stops the server at its
// construction.
//
// # The way of a request
//
//	Server.ServeHTTP   request id, client address, headers, panics, log
//	Server.protect     origin, credential, role: by the route's Kind and Roles
//	operation          strict body → request → handler → row of the access log → JSON or problem
//
// A credential comes in the Authorization header, on a socket also as a second
// subprotocol, and from nowhere else. No handler past protect sees it.
package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"ronde/session"
)

// Options are what a Server needs.
type Options struct {
	Service *session.Service
	// PublicURL is the origin that browsers see, letter for letter as they
	// send it: "https://ronde.example". Every Origin is compared with it.
	PublicURL string
	// AgentSocket, LiveSocket and LiveEvents serve what their routes let
	// through. They find the outcome of authentication with
	// session.PrincipalOf; the sockets get requests without a principal too and
	// tell their peer why by close code. The error of LiveEvents is answered as
	// that of any other route; nothing has been written then. A nil one answers
	// 503.
	AgentSocket http.Handler
	LiveSocket  http.Handler
	LiveEvents  func(http.ResponseWriter, *http.Request) error
	// Log gets one line a request, and every failure of ours. Nil discards.
	Log *slog.Logger
	// TrustedProxies are the addresses whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Version of this binary, for the OpenAPI document.
	Version string
}

// Server serves the public listener. It is safe for many goroutines.
type Server struct {
	service   *session.Service
	publicURL string // also the one Origin that is let in
	secure    bool   // the public origin is https
	sockets   map[Kind]http.Handler
	log       *slog.Logger
	proxies   proxies
	version   string
	mux       *http.ServeMux
	openAPI   []byte
}

// New returns the handler of the public listener. It panics if the options
// cannot work (no Service, a PublicURL that is no origin) or if the table of
// routes is not sound: both are mistakes of the program, not of its user.
func New(o Options) *Server {
	if o.Service == nil {
		panic("web: no Service")
	}
	origin, err := parseOrigin(o.PublicURL)
	if err != nil {
		panic("web: PublicURL " + err.Error())
	}
	s := &Server{
		service:   o.Service,
		publicURL: origin,
		secure:    strings.HasPrefix(origin, "https:"),
		sockets:   map[Kind]http.Handler{AgentSocket: o.AgentSocket, LiveSocket: o.LiveSocket},
		log:       o.Log,
		proxies:   o.TrustedProxies,
		version:   o.Version,
	}
	if o.LiveEvents != nil {
		s.sockets[LiveEvents] = s.failing(o.LiveEvents)
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.register(Routes())
	return s
}
