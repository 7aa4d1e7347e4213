package session_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// tokenClock is the time that tests of tokens begin at, and set forward.
type tokenClock struct{ now time.Time }

func newTokenClock() *tokenClock {
	return &tokenClock{time.Date(2026, 11, 21, 20, 0, 0, 250e6, time.UTC)}
}

func (c *tokenClock) Now() time.Time { return c.now }

func (c *tokenClock) Set(t time.Time) { c.now = t }

func (c *tokenClock) Add(d time.Duration) { c.now = c.now.Add(d) }

// signingKey returns a key that n determines.
func signingKey(n byte, created time.Time) session.SigningKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	return session.SigningKey{ID: fmt.Sprintf("key-%d", n), CreatedAt: created, Seed: seed}
}

func newTokens() (*session.Tokens, *fakeRing, *tokenClock) {
	ring, clock := newFakeRing(), newTokenClock()
	ring.keys = []session.SigningKey{signingKey(1, clock.now.Add(-time.Hour))}
	return session.NewTokens(ring, clock.Now), ring, clock
}

func agentPrincipal(clock *tokenClock) session.Principal {
	return session.Principal{
		Role: session.AgentRole, Tenant: "acme", Subject: uuid.MustParse("0195a7c2-93b0-7d5e-8a41-3f6e0c9b2d17"),
		Mission: uuid.MustParse("0195a7c2-93b0-7d5e-8a41-3f6e0c9b2d18"), Agent: "badge-17",
		Issued: clock.now, Expires: clock.now.Truncate(time.Second).Add(time.Hour),
	}
}

func viewerPrincipal(clock *tokenClock) session.Principal {
	p := agentPrincipal(clock)
	p.Role, p.Agent, p.Viewers = session.Viewer, "", 3
	p.View = session.View{Profile: "cell:8", Trail: true}
	return p
}

func issue(t testing.TB, tokens *session.Tokens, p session.Principal) string {
	t.Helper()
	token, err := tokens.Issue(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// refused expects ErrToken and nothing that tells why.
func refused(t *testing.T, tokens *session.Tokens, name, token string, role session.Role) {
	t.Helper()
	p, err := tokens.Verify(t.Context(), token, role)
	if err != session.ErrToken || p != nil { //nolint:errorlint // the very error, so that it says no more
		t.Errorf("%s: %v, want the bare token error", name, err)
	}
}

func TestTokenRoundTrip(t *testing.T) {
	tokens, _, clock := newTokens()
	for _, want := range []session.Principal{
		agentPrincipal(clock), viewerPrincipal(clock),
		{
			Role: session.Viewer, Tenant: strings.Repeat("a", 63), Subject: session.NewID(), Mission: session.NewID(),
			View:   session.View{Profile: session.ProfileOnSite},
			Issued: clock.now.Truncate(time.Second), Expires: clock.now.Truncate(time.Second).Add(time.Second),
		},
	} {
		token := issue(t, tokens, want)
		if len(token) > 800 {
			t.Errorf("a token of %d bytes", len(token))
		}
		got, err := tokens.Verify(t.Context(), token, want.Role)
		if err != nil || *got != want {
			t.Errorf("got %+v (%v)\nwant %+v", got, err, want)
		}
	}
	// What cannot be kept exactly is rounded down.
	p := agentPrincipal(clock)
	p.Issued, p.Expires = clock.now.Add(999*time.Microsecond), p.Expires.Add(999*time.Millisecond)
	got, err := tokens.Verify(t.Context(), issue(t, tokens, p), session.AgentRole)
	if err != nil || !got.Issued.Equal(clock.now) || !got.Expires.Equal(p.Expires.Truncate(time.Second)) {
		t.Errorf("issued %v, expires %v (%v)", got.Issued, got.Expires, err)
	}
	p.Issued = time.Time{}
	if got, err = tokens.Verify(t.Context(), issue(t, tokens, p), session.AgentRole); err != nil || !got.Issued.Equal(clock.now) {
		t.Errorf("issued at %v by default (%v), want now", got.Issued, err)
	}
}

func TestTokenIssueRefuses(t *testing.T) {
	tokens, _, clock := newTokens()
	for name, change := range map[string]func(p *session.Principal){
		"no tenant":           func(p *session.Principal) { p.Tenant = "" },
		"no subject":          func(p *session.Principal) { p.Subject = uuid.Nil },
		"no mission":          func(p *session.Principal) { p.Mission = uuid.Nil },
		"no agent":            func(p *session.Principal) { p.Agent = "" },
		"a view":              func(p *session.Principal) { p.View.Profile = session.ProfileExact },
		"no expiry":           func(p *session.Principal) { p.Expires = time.Time{} },
		"expired when issued": func(p *session.Principal) { p.Expires = p.Issued },
		"platform":            func(p *session.Principal) { p.Role = session.Platform },
		"no role":             func(p *session.Principal) { p.Role = "" },
		"viewer, an agent":    func(p *session.Principal) { p.Role, p.View.Profile = session.Viewer, session.ProfileExact },
		"viewer, no profile":  func(p *session.Principal) { p.Role, p.Agent = session.Viewer, "" },
		"viewer, bad profile": func(p *session.Principal) { p.Role, p.Agent, p.View.Profile = session.Viewer, "", "cell:99" },
	} {
		p := agentPrincipal(clock)
		change(&p)
		if token, err := tokens.Issue(t.Context(), p); !errors.Is(err, session.ErrInvalid) || token != "" {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

func TestTokenExpires(t *testing.T) {
	tokens, _, clock := newTokens()
	p := agentPrincipal(clock)
	token := issue(t, tokens, p)
	clock.Set(p.Expires.Add(-time.Millisecond))
	if _, err := tokens.Verify(t.Context(), token, session.AgentRole); err != nil {
		t.Errorf("a millisecond before it expires: %v", err)
	}
	for _, late := range []time.Duration{0, time.Millisecond, time.Second, 1000 * time.Hour} {
		clock.Set(p.Expires.Add(late))
		refused(t, tokens, fmt.Sprintf("expired %v ago", late), token, session.AgentRole)
	}
}

// TestTokenRevocation: a token that was issued by the millisecond in which the
// agent's tokens were voided is void, one issued in the next is not.
func TestTokenRevocation(t *testing.T) {
	tokens, _, clock := newTokens()
	m := &session.Mission{Agents: []session.Agent{{ID: "badge-17", TokensAfter: clock.now}}}
	for offset, want := range map[time.Duration]error{-time.Millisecond: session.ErrRevoked, 0: session.ErrRevoked, time.Millisecond: nil} {
		p := agentPrincipal(clock)
		p.Issued = clock.now.Add(offset)
		got, err := tokens.Verify(t.Context(), issue(t, tokens, p), session.AgentRole)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Live(m, clock.now); !errors.Is(err, want) {
			t.Errorf("issued %v from there: %v, want %v", offset, err, want)
		}
	}
}

func TestTokenKeyringFails(t *testing.T) {
	tokens, ring, clock := newTokens()
	p := agentPrincipal(clock)
	token := issue(t, tokens, p)

	// Nodes that know no key cannot say, and do not guess.
	ring.set(func(r *fakeRing) { r.err = session.ErrUnavailable })
	fresh := session.NewTokens(ring, clock.Now)
	for range 2 { // the second is not even asked
		if _, err := fresh.Verify(t.Context(), token, session.AgentRole); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("verify: %v, want unavailable", err)
		}
		if _, err := fresh.Issue(t.Context(), p); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("issue: %v, want unavailable", err)
		}
	}
	// Those that know it go on, whatever the time.
	for range 5 {
		if _, err := tokens.Verify(t.Context(), token, session.AgentRole); err != nil {
			t.Errorf("a key that is known: %v", err)
		}
		clock.Add(time.Minute)
	}
	// A foreign key cannot be told from a new one then.
	other := session.NewTokens(&fakeRing{keys: []session.SigningKey{signingKey(2, clock.now)}}, clock.Now)
	p.Issued, p.Expires = clock.now, clock.now.Add(time.Hour)
	foreign := issue(t, other, p)
	if _, err := tokens.Verify(t.Context(), foreign, session.AgentRole); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("a key that is unknown: %v, want unavailable", err)
	}
	ring.set(func(r *fakeRing) { r.err = nil })
	clock.Add(time.Second)
	refused(t, tokens, "a foreign key, keyring up again", foreign, session.AgentRole)

	ring.set(func(r *fakeRing) { r.keys = nil })
	empty := session.NewTokens(ring, clock.Now)
	if _, err := empty.Issue(t.Context(), p); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("a keyring without keys: %v, want unavailable", err)
	}
}

// TestTokenUnknownKeyReads: made-up key ids cost one keyring read a second.
func TestTokenUnknownKeyReads(t *testing.T) {
	tokens, ring, clock := newTokens()
	p := agentPrincipal(clock)
	known := issue(t, tokens, p)
	other := session.NewTokens(&fakeRing{keys: []session.SigningKey{signingKey(2, clock.now.Add(-time.Hour))}}, clock.Now)
	unknown := issue(t, other, p)
	clock.Add(10 * time.Second)
	ring.set(func(r *fakeRing) { r.asked = 0 })
	for range 100 {
		refused(t, tokens, "unknown key", unknown, session.AgentRole)
	}
	if n := ring.count(); n != 1 {
		t.Errorf("%d keyring reads at one moment, want 1", n)
	}
	clock.Add(999 * time.Millisecond)
	refused(t, tokens, "unknown key", unknown, session.AgentRole)
	if n := ring.count(); n != 1 {
		t.Errorf("%d keyring reads within a second, want 1", n)
	}
	ring.set(func(r *fakeRing) { r.keys = append([]session.SigningKey{signingKey(2, clock.now)}, r.keys...) })
	clock.Add(time.Millisecond)
	if _, err := tokens.Verify(t.Context(), unknown, session.AgentRole); err != nil || ring.count() != 2 {
		t.Errorf("a key made since: %v after %d reads", err, ring.count())
	}
	if _, err := tokens.Verify(t.Context(), known, session.AgentRole); err != nil {
		t.Errorf("the older key: %v", err)
	}
	// A clock that is set back does not stop the reading.
	clock.Add(-time.Hour)
	ring.set(func(r *fakeRing) { r.keys = r.keys[1:] })
	refused(t, tokens, "a key withdrawn since", unknown, session.AgentRole)
}

// TestTokenRotation rotates the key under two nodes. One is flooded with
// made-up key ids, so that it has always just read the keyring when the new key
// comes; the other reads it by its own clock right after. No valid token is
// refused at any moment (P19), and a withdrawn key is soon good no more.
func TestTokenRotation(t *testing.T) {
	one, ring, clock := newTokens()
	two := session.NewTokens(ring, clock.Now)
	flood := issue(t, session.NewTokens(&fakeRing{keys: []session.SigningKey{signingKey(9, clock.now)}}, clock.Now), agentPrincipal(clock))
	start := clock.now
	signers := map[byte]bool{}
	for tick := range 400 { // of half a second
		clock.Set(start.Add(time.Duration(tick) * 500 * time.Millisecond))
		refused(t, two, "made up", flood, session.AgentRole)
		if tick == 120 {
			ring.set(func(r *fakeRing) { r.keys = append([]session.SigningKey{signingKey(2, clock.now)}, r.keys...) })
		}
		p := agentPrincipal(clock)
		for i, tokens := range []*session.Tokens{one, two} {
			token := issue(t, tokens, p)
			signers[keyOf(t, token)] = true
			for j, verifier := range []*session.Tokens{two, one} {
				if _, err := verifier.Verify(t.Context(), token, session.AgentRole); err != nil {
					t.Fatalf("tick %d: node %d refuses what node %d issued: %v", tick, 2-j, i+1, err)
				}
			}
		}
	}
	if !signers[1] || !signers[2] {
		t.Errorf("signed by %v, want both keys in turn", signers)
	}
	last := issue(t, one, agentPrincipal(clock))
	if keyOf(t, last) != 2 {
		t.Error("the new key does not sign in the end")
	}
	ring.set(func(r *fakeRing) { r.keys = r.keys[1:] })
	clock.Add(30 * time.Second)
	refused(t, two, "signed with a withdrawn key", last, session.AgentRole)
}

// TestTokenFirstKeySigns: a key that is the only one need not wait.
func TestTokenFirstKeySigns(t *testing.T) {
	clock := newTokenClock()
	ring := &fakeRing{keys: []session.SigningKey{signingKey(1, clock.now)}}
	if keyOf(t, issue(t, session.NewTokens(ring, clock.Now), agentPrincipal(clock))) != 1 {
		t.Error("signed by another key")
	}
}

// TestTokenSlowKeyring: while one reads the keyring, those who know the key
// they need do not wait, and those who do not can give up.
func TestTokenSlowKeyring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens, ring, clock := newTokens()
		token := issue(t, tokens, agentPrincipal(clock))
		clock.Add(time.Minute) // not fresh any more
		gate := make(chan struct{})
		ring.set(func(r *fakeRing) { r.waiting, r.asked = gate, 0 })
		done := make(chan error)
		go func() { _, err := tokens.Verify(t.Context(), token, session.AgentRole); done <- err }()
		synctest.Wait() // it waits for the keyring now
		if _, err := tokens.Verify(t.Context(), token, session.AgentRole); err != nil || ring.count() != 1 {
			t.Errorf("a second one: %v after %d reads", err, ring.count())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		other := session.NewTokens(&fakeRing{keys: []session.SigningKey{signingKey(2, clock.now)}}, clock.Now)
		foreign := issue(t, other, agentPrincipal(clock))
		if _, err := tokens.Verify(ctx, foreign, session.AgentRole); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("one that gives up: %v, want unavailable", err)
		}
		close(gate)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestTokenHungKeyring: many that need a key which is not known wait together for
// a keyring that hangs, not one after the other.
func TestTokenHungKeyring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, ring, clock := newTokens()
		tokens := session.NewTokens(ring, time.Now)
		p := agentPrincipal(clock)
		p.Issued, p.Expires = time.Now(), time.Now().Add(time.Hour)
		token := issue(t, session.NewTokens(ring, clock.Now), p)
		const hang = 3 * time.Second
		gate := make(chan struct{})
		ring.set(func(r *fakeRing) { r.waiting, r.asked, r.err = gate, 0, session.ErrUnavailable })
		begun := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := tokens.Verify(t.Context(), token, session.AgentRole); !errors.Is(err, session.ErrUnavailable) {
					t.Errorf("keyring hangs: %v, want unavailable", err)
				}
			})
		}
		time.AfterFunc(hang, func() { close(gate) })
		all.Wait()
		if took := time.Since(begun); took != hang || ring.count() != 1 {
			t.Errorf("%d reads took %v, want 1 and %v", ring.count(), took, hang)
		}
	})
}

// TestTokenReaderGivesUp: that one caller gave up reading the keyring keeps
// nobody else from reading it at once.
func TestTokenReaderGivesUp(t *testing.T) {
	_, ring, clock := newTokens()
	tokens := session.NewTokens(ring, clock.Now)
	ctx, cancel := context.WithCancel(t.Context())
	ring.waiting = make(chan struct{}) // never closed
	ring.arrived = cancel              // gives up as soon as the keyring is asked
	if _, err := tokens.Issue(ctx, agentPrincipal(clock)); !errors.Is(err, session.ErrUnavailable) || ring.count() != 1 {
		t.Errorf("the one that gives up: %v after %d reads, want unavailable", err, ring.count())
	}
	ring.waiting, ring.arrived = nil, nil
	issue(t, tokens, agentPrincipal(clock))
}

func BenchmarkTokenIssue(b *testing.B) {
	tokens, _, clock := newTokens()
	p := agentPrincipal(clock)
	b.ReportAllocs()
	for b.Loop() {
		issue(b, tokens, p)
	}
}

func BenchmarkTokenVerify(b *testing.B) {
	tokens, _, clock := newTokens()
	token := issue(b, tokens, agentPrincipal(clock))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokens.Verify(b.Context(), token, session.AgentRole); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTokenRefused(b *testing.B) {
	tokens, _, clock := newTokens()
	token := issue(b, tokens, agentPrincipal(clock))
	token = token[:len(token)-4] + "AAAA"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tokens.Verify(b.Context(), token, session.AgentRole); err == nil {
			b.Fatal("verified")
		}
	}
}
