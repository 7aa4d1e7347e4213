package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"ronde/session"
)

// SeenHeader is the header of an answer in which a doctor is told what arrived
// of its request, as the JSON of a Seen. Nobody else is told.
const SeenHeader = "Ronde-Seen"

// Seen is what arrived of a request. A proxy that was set up wrongly shows in
// it.
type Seen struct {
	Protocol      string `json:"protocol"` // "HTTP/1.1"
	Host          string `json:"host"`
	PublicURL     string `json:"public_url"` // the one origin that this node lets in
	Peer          string `json:"peer"`       // address and port of the connection
	Trusted       bool   `json:"trusted"`    // the peer is a proxy whose word is taken
	Client        string `json:"client"`     // whom this node takes the request to be from
	ForwardedFor  string `json:"forwarded_for"`
	Origin        string `json:"origin"`
	Connection    string `json:"connection"`
	Upgrade       string `json:"upgrade"`
	Subprotocol   string `json:"subprotocol"` // what was offered, but for tokens
	Authorization bool   `json:"authorization"`
}

// tell tells a doctor what arrived of a request. A principal of any other role,
// or none, is told nothing.
func (s *Server) tell(h http.Header, r *http.Request, p *session.Principal) {
	if p == nil || p.Role != session.Doctor {
		return
	}
	came := arrivalOf(r.Context())
	peer, ok := parseAddr(came.peer)
	seen := Seen{
		Protocol: r.Proto, Host: r.Host, PublicURL: s.publicURL,
		Peer: came.peer, Trusted: ok && s.proxies.contains(peer), Client: r.RemoteAddr, ForwardedFor: strings.Join(came.forwardedFor, ", "),
		Origin:     strings.Join(r.Header.Values("Origin"), ", "),
		Connection: r.Header.Get("Connection"), Upgrade: r.Header.Get("Upgrade"),
		Authorization: r.Header.Get("Authorization") != "",
	}
	var offered []string
	for _, name := range subprotocols(r.Header) {
		if !strings.HasPrefix(name, bearerPrefix) {
			offered = append(offered, name)
		}
	}
	seen.Subprotocol = strings.Join(offered, ", ")
	b, err := json.Marshal(seen)
	if err != nil { // strings and booleans always marshal
		panic(err)
	}
	h.Set(SeenHeader, string(b))
}

// tellDoctor is tell for a request that is refused before anybody asked whose
// it is.
func (s *Server) tellDoctor(h http.Header, r *http.Request) {
	token, err := socketToken(r.Header)
	if err != nil || token == "" {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	p, err := s.service.Tokens.Verify(ctx, token, session.Doctor)
	if err == nil {
		s.tell(h, r, p)
	}
}
