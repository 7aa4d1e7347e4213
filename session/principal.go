package session

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Role says what kind of caller a principal is.
type Role string

// The roles. Platform, Operator and Auditor come with an API key, AgentRole
// with an agent token, Viewer with a link. Doctor comes with a token that
// ronde doctor makes for itself with the installation's own keys: it may open
// the sockets and hear nothing but how its request arrived.
const (
	Platform  Role = "platform"
	Operator  Role = "operator"
	Auditor   Role = "auditor"
	AgentRole Role = "agent"
	Viewer    Role = "viewer"
	Doctor    Role = "doctor"
)

// Reason returns on whose behalf a principal of this role changes a mission.
func (r Role) Reason() Reason { return Reason(r) }

// Principal is an authenticated caller. Everything it may see or do follows
// from its role and, for agents and viewers, its one mission. A doctor belongs
// to no tenant.
type Principal struct {
	Role    Role
	Tenant  string
	Subject uuid.UUID // the API key, the agent token or the link
	Mission uuid.UUID // of an agent or a viewer
	Agent   string    // of an agent
	View    View      // of a viewer
	Viewers int       // of a viewer: the most at once through this link; 0: no limit
	Issued  time.Time // of an agent's token
	Expires time.Time // zero: never
}

// Live returns nil while p may go on, judged by what is known of its mission:
// ErrToken once it has expired, ErrRevoked once it was revoked.
func (p *Principal) Live(m *Mission, now time.Time) error {
	if !p.Expires.IsZero() && !now.Before(p.Expires) {
		return ErrToken
	}
	switch p.Role {
	case AgentRole:
		a := m.Agent(p.Agent)
		if a == nil || !a.TokensAfter.IsZero() && !p.Issued.After(a.TokensAfter) {
			return ErrRevoked
		}
	case Viewer:
		if slices.Contains(m.RevokedLinks, p.Subject) {
			return ErrRevoked
		}
	default: // API keys are looked up at each request
	}
	return nil
}

type principalKey struct{}

type authenticated struct {
	principal *Principal
	err       error
}

// WithPrincipal returns a context that carries the outcome of
// authentication: a principal, or why there is none. Sockets are told why only
// after the upgrade, so the error travels with the request.
func WithPrincipal(ctx context.Context, p *Principal, err error) context.Context {
	return context.WithValue(ctx, principalKey{}, authenticated{p, err})
}

// PrincipalOf returns the principal of the request, or why there is none.
// Without WithPrincipal that is ErrToken.
func PrincipalOf(ctx context.Context) (*Principal, error) {
	a, ok := ctx.Value(principalKey{}).(authenticated)
	if !ok || (a.principal == nil && a.err == nil) {
		return nil, ErrToken
	}
	return a.principal, a.err
}
