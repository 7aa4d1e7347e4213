package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"ronde/session"
)

// handshake says what a socket's first request must look like.
type handshake struct {
	subprotocol string
	role        session.Role
	// missingOrigin is what a request without an Origin gets: apps send none,
	// and a viewer is always a page.
	missingOrigin error
}

var handshakes = map[Kind]handshake{
	AgentSocket: {subprotocol: "ronde.agent.v1", role: session.AgentRole},
	LiveSocket:  {subprotocol: "ronde.live.v1", role: session.Viewer, missingOrigin: errOrigin},
}

// bearerPrefix begins the subprotocol that carries a token: browsers let a page
// choose no header but this one.
const bearerPrefix = "bearer."

// socket binds the handler that the options brought for a kind of socket.
func socket(b *builder, r *Route) {
	h := b.server.sockets[r.Kind]
	b.HandleFunc(r.Pattern(), func(w http.ResponseWriter, req *http.Request) {
		if h == nil {
			b.server.fail(w, req, newProblem(codeUnavailable, "this node serves no sockets"))
			return
		}
		h.ServeHTTP(w, req)
	})
}

// failing is a handler that answers with the problem of the error of serve.
func (s *Server) failing(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// protectSocket checks a handshake as far as a status can tell of it. What is
// wrong with the token goes on to the handler in the context, because browsers
// show their page no status: it is told by close code, after the upgrade.
func (s *Server) protectSocket(route *Route, next http.HandlerFunc) http.HandlerFunc {
	shake := handshakes[route.Kind]
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.checkHandshake(w.Header(), r, shake); err != nil {
			s.tellDoctor(w.Header(), r)
			s.fail(w, r, err)
			return
		}
		token, err := socketToken(r.Header)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		principal, err := s.service.Tokens.Verify(ctx, token, shake.role)
		if errors.Is(err, session.ErrToken) && route.Allows(session.Doctor) {
			principal, err = s.service.Tokens.Verify(ctx, token, session.Doctor)
		}
		cancel()
		if err != nil && !refusal(err) {
			s.fail(w, r, err) // the keyring cannot answer: come again, as after any failed connect
			return
		}
		s.tell(w.Header(), r, principal)
		r = withPrincipal(r, principal, err)
		r.Header.Set("Sec-WebSocket-Protocol", shake.subprotocol) // and not the token
		next(w, r)
	}
}

// checkHandshake returns what is wrong with a handshake apart from its token.
func (s *Server) checkHandshake(h http.Header, r *http.Request, shake handshake) error {
	if r.Method != http.MethodGet {
		h.Set("Allow", http.MethodGet)
		return newProblem(codeMethod, "a socket opens with GET")
	}
	if err := s.checkOrigin(r.Header, shake.missingOrigin); err != nil {
		return err
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", "websocket")
		return newProblem(codeUpgrade, "this is a WebSocket")
	}
	for _, offered := range subprotocols(r.Header) {
		if offered == shake.subprotocol {
			return nil
		}
	}
	return newProblem(codeHandshake, "the subprotocol "+shake.subprotocol+" must be offered")
}

// socketToken returns the token of a handshake: of its Authorization header or
// of its bearer subprotocol. Two of them are a mistake that nobody should have
// to guess about; none is the empty token, which verifies as no other.
func socketToken(h http.Header) (string, error) {
	var tokens []string
	for _, value := range h.Values("Authorization") {
		token, err := bearer(http.Header{"Authorization": {value}})
		if err != nil {
			token = ""
		}
		tokens = append(tokens, token)
	}
	for _, offered := range subprotocols(h) {
		if token, ok := strings.CutPrefix(offered, bearerPrefix); ok {
			tokens = append(tokens, token)
		}
	}
	switch len(tokens) {
	case 0:
		return "", nil
	case 1:
		return tokens[0], nil
	}
	return "", newProblem(codeHandshake, "the token must come once")
}

// subprotocols returns what the client offers, in its order.
func subprotocols(h http.Header) []string {
	var offered []string
	for _, line := range h.Values("Sec-WebSocket-Protocol") {
		for part := range strings.SplitSeq(line, ",") {
			if part = strings.TrimSpace(part); part != "" {
				offered = append(offered, part)
			}
		}
	}
	return offered
}

// protectEvents checks a request for server-sent events. Fetch does show a page
// the status, so whatever is wrong is told by it. The stream has no deadline of
// the server's: its handler sets one for each write.
func (s *Server) protectEvents(route *Route, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.checkFetch(r.Header); err != nil {
			s.tellDoctor(w.Header(), r)
			s.fail(w, r, err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		principal, err := s.admit(r.WithContext(ctx), route)
		cancel()
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.tell(w.Header(), r, principal)
		clearDeadlines(w)
		next(w, withPrincipal(r, principal, nil))
	}
}

// clearDeadlines lifts the server's bounds on one request from a stream. A
// writer that knows none has none.
func clearDeadlines(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Time{})
}

// refusal reports whether err is about the credential, and not a failure of
// ours.
func refusal(err error) bool {
	return errors.Is(err, session.ErrToken) || errors.Is(err, session.ErrRevoked)
}
