package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"ronde/session"
)

// protect puts the checks that the table asks for before a handler. Past it
// the context of a route that is not public carries the outcome of
// authentication; only a socket's handler ever sees one without a principal.
func (s *Server) protect(route *Route, next http.HandlerFunc) http.HandlerFunc {
	switch route.Kind {
	case AgentSocket, LiveSocket:
		return s.protectSocket(route, next)
	case LiveEvents:
		return s.protectEvents(route, next)
	case API, Stream, Page:
	}
	if route.Public {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), cmp.Or(route.Bound, requestTimeout))
		defer cancel()
		whole := r
		r = r.WithContext(ctx)
		principal, err := s.admit(r, route)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if route.Kind == Stream {
			r = whole // it bounds what it does by itself, chunk by chunk
		}
		next(w, withPrincipal(r, principal, nil))
	}
}

// admit returns the principal of the request if the route is for them.
func (s *Server) admit(r *http.Request, route *Route) (*session.Principal, error) {
	token, err := bearer(r.Header)
	if err != nil {
		return nil, err
	}
	p, err := s.authenticate(r.Context(), token, route)
	switch {
	case err != nil:
		return nil, err
	case !route.Allows(p.Role):
		return nil, session.ErrForbidden
	case p.Role == session.AgentRole || p.Role == session.Viewer:
		return p, s.stillLive(r.Context(), p)
	}
	return p, nil
}

// authenticate returns whose credential it is, among the kinds that the route
// is for. A credential of another kind is none: ErrToken.
func (s *Server) authenticate(ctx context.Context, token string, route *Route) (*session.Principal, error) {
	for _, role := range []session.Role{session.AgentRole, session.Viewer, session.Doctor} {
		if !route.Allows(role) {
			continue
		}
		p, err := s.service.Tokens.Verify(ctx, token, role)
		if !errors.Is(err, session.ErrToken) {
			return p, err
		}
	}
	if !slices.ContainsFunc(keyRoles, route.Allows) {
		return nil, session.ErrToken
	}
	return s.service.AuthenticateKey(ctx, token)
}

// stillLive returns why a token whose signature is good holds no longer.
func (s *Server) stillLive(ctx context.Context, p *session.Principal) error {
	m, err := s.service.Mission(ctx, p.Tenant, p.Mission)
	if errors.Is(err, session.ErrNotFound) {
		return session.ErrToken
	}
	if err != nil {
		return err
	}
	return p.Live(m, m.ReadAt)
}

// maxCredential is the longest credential that is looked at, in bytes.
const maxCredential = 4096

// bearer returns the credential of the one Authorization header, which is the
// only place it may come in: ErrToken without exactly one.
func bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	if len(values) != 1 || len(values[0]) > maxCredential {
		return "", session.ErrToken
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", session.ErrToken
	}
	return token, nil
}

// withPrincipal returns the request with the outcome of authentication, and
// without the credential: no handler, and no log of one, has a use for it.
func withPrincipal(r *http.Request, p *session.Principal, err error) *http.Request {
	r = r.Clone(session.WithPrincipal(r.Context(), p, err))
	r.Header.Del("Authorization")
	return r
}
