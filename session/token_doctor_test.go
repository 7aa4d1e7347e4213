package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

func doctorPrincipal(clock *tokenClock) session.Principal {
	return session.Principal{
		Role: session.Doctor, Subject: session.NewID(),
		Issued: clock.now, Expires: clock.now.Truncate(time.Second).Add(time.Hour),
	}
}

// A doctor's token is for nothing but its own kind, holds nothing and not for
// long.
func TestDoctorToken(t *testing.T) {
	tokens, _, clock := newTokens()
	want := doctorPrincipal(clock)
	token := issue(t, tokens, want)
	got, err := tokens.Verify(t.Context(), token, session.Doctor)
	if err != nil || *got != want {
		t.Errorf("got %+v (%v)\nwant %+v", got, err, want)
	}
	for _, role := range []session.Role{session.AgentRole, session.Viewer, session.Platform} {
		refused(t, tokens, "as "+string(role), token, role)
	}
	refused(t, tokens, "an agent's", issue(t, tokens, agentPrincipal(clock)), session.Doctor)
	refused(t, tokens, "a link", issue(t, tokens, viewerPrincipal(clock)), session.Doctor)

	for name, change := range map[string]func(p *session.Principal){
		"a tenant":    func(p *session.Principal) { p.Tenant = "acme" },
		"a mission":   func(p *session.Principal) { p.Mission = session.NewID() },
		"an agent":    func(p *session.Principal) { p.Agent = "badge-17" },
		"a view":      func(p *session.Principal) { p.View.Profile = session.ProfileExact },
		"viewers":     func(p *session.Principal) { p.Viewers = 1 },
		"no subject":  func(p *session.Principal) { p.Subject = uuid.Nil },
		"a long life": func(p *session.Principal) { p.Expires = p.Expires.Add(time.Second) },
	} {
		p := doctorPrincipal(clock)
		change(&p)
		if token, err := tokens.Issue(t.Context(), p); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%s: %q, %v", name, token, err)
		}
	}
}
