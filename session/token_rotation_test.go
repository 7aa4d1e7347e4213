package session_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ronde/session"
	"ronde/session/keyring"
)

// deafRing is a real keyring behind a switch that makes it unreachable.
type deafRing struct {
	session.Keyring
	down atomic.Bool
}

func (r *deafRing) EnsureSigningKey(ctx context.Context) ([]session.SigningKey, error) {
	if r.down.Load() {
		return nil, session.ErrUnavailable
	}
	return r.Keyring.EnsureSigningKey(ctx)
}

// keyNode is a node's tokens, and its own handle on a keyring in a folder.
type keyNode struct {
	*session.Tokens
	ring *deafRing
}

// inRotation runs a test in fake time with nodes that share a keyring.
func inRotation(t *testing.T, nodes int, test func(t *testing.T, nodes []keyNode)) {
	synctest.Test(t, func(t *testing.T) {
		dir, root := filepath.Join(t.TempDir(), "keys"), session.NewRootSecret()
		all := make([]keyNode, nodes)
		for i := range all {
			folder, err := keyring.OpenFolder(dir, root)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = folder.Close() })
			ring := &deafRing{Keyring: folder}
			all[i] = keyNode{session.NewTokens(ring, time.Now), ring}
		}
		test(t, all)
	})
}

// lasting is an agent for so long.
func lasting(d time.Duration) session.Principal {
	now := time.Now().Truncate(time.Second)
	return session.Principal{
		Role: session.AgentRole, Tenant: "acme", Subject: session.NewID(), Mission: session.NewID(), Agent: "badge-17", Issued: now, Expires: now.Add(d),
	}
}

// rotateKeys does what ronde keys rotate does, and returns how many keys went.
func rotateKeys(t *testing.T, ring session.Keyring) int {
	t.Helper()
	keys, err := ring.RotateSigningKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var spent []string
	for _, term := range session.KeyTerms(keys, time.Now()) {
		if term.State == session.KeySpent {
			spent = append(spent, term.ID)
		}
	}
	n, err := ring.RemoveSigningKeys(t.Context(), spent...)
	if err != nil || n != len(spent) {
		t.Fatalf("removed %d keys of %d: %v", n, len(spent), err)
	}
	return n
}

// TestRotationUnderLoad is P19 with a real keyring: while keys are rotated again
// and again, every token that one node issues is good at the other, at once and
// until it expires.
func TestRotationUnderLoad(t *testing.T) {
	inRotation(t, 2, func(t *testing.T, nodes []keyNode) {
		var all sync.WaitGroup
		var verified atomic.Int64
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Minute)
		defer stop()
		for worker := range 8 {
			here, there := nodes[worker%2], nodes[1-worker%2]
			all.Go(func() {
				var old string
				for n := 0; ctx.Err() == nil; n++ {
					token, err := here.Issue(t.Context(), lasting(time.Hour))
					if err != nil {
						t.Error(err)
						return
					}
					if n == 0 {
						old = token
					}
					for _, held := range []string{token, old} {
						for _, node := range []keyNode{there, here} {
							if _, err := node.Verify(t.Context(), held, session.AgentRole); err != nil {
								t.Errorf("a valid token is refused %v after the begin: %v", time.Duration(n)*time.Second, err)
								return
							}
							verified.Add(1)
						}
					}
					time.Sleep(time.Second) // fake time
				}
			})
		}
		for range 15 {
			time.Sleep(70 * time.Second) // fake time
			rotateKeys(t, nodes[0].ring)
		}
		all.Wait()
		keys, err := nodes[1].ring.SigningKeys(t.Context())
		if err != nil || len(keys) != 16 {
			t.Errorf("%d keys, %v: want 16, none of which is spent", len(keys), err)
		}
		t.Logf("%d verifications, %d keys", verified.Load(), len(keys))
	})
}

// TestKeyGoesWhenSpent: a key stays until the last token that any node may have
// signed with it has expired, and goes with the rotation after that. The last is
// one of a node that could not read the keyring, and of the longest life.
func TestKeyGoesWhenSpent(t *testing.T) {
	inRotation(t, 2, func(t *testing.T, nodes []keyNode) {
		cutOff, other := nodes[0], nodes[1]
		if _, err := cutOff.Issue(t.Context(), lasting(time.Hour)); err != nil {
			t.Fatal(err)
		}
		rotateKeys(t, other.ring)
		cutOff.ring.down.Store(true)
		time.Sleep(24*time.Hour - time.Second) // fake time
		last, err := cutOff.Issue(t.Context(), lasting(session.MaxTokenLife))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // fake time
		if _, err := cutOff.Issue(t.Context(), lasting(time.Hour)); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("after a day without a keyring it signs: %v", err)
		}
		if _, err := cutOff.Verify(t.Context(), last, session.AgentRole); err != nil {
			t.Errorf("after a day without a keyring it verifies no more: %v", err)
		}
		for left := session.MaxTokenLife - 2*time.Second; left > 0; left -= min(left, 30*24*time.Hour) {
			time.Sleep(min(left, 30*24*time.Hour)) // fake time
			if n := rotateKeys(t, other.ring); n != 0 {
				t.Fatalf("%d keys went while a token was valid", n)
			}
			if _, err := other.Verify(t.Context(), last, session.AgentRole); err != nil {
				t.Fatalf("a valid token is refused: %v", err)
			}
		}
		time.Sleep(2 * time.Minute) // fake time
		if n := rotateKeys(t, other.ring); n != 1 {
			t.Errorf("%d keys went, want the first", n)
		}
	})
}

// TestKeyTerms is the table of what a key is when.
func TestKeyTerms(t *testing.T) {
	now := newTokenClock().now
	long := -session.MaxTokenLife - 30*time.Hour
	for _, c := range []struct {
		name string
		ages []time.Duration // of the keys, the newest first
		want []session.KeyState
	}{
		{"none", nil, nil},
		{"the first", []time.Duration{0}, []session.KeyState{session.KeySigns}},
		{"just rotated", []time.Duration{0, -time.Hour}, []session.KeyState{session.KeyNext, session.KeySigns}},
		{"settled", []time.Duration{-time.Minute, -time.Hour}, []session.KeyState{session.KeySigns, session.KeyVerifies}},
		{"rotated in haste", []time.Duration{0, -time.Second, -time.Hour}, []session.KeyState{session.KeyNext, session.KeyNext, session.KeySigns}},
		{"spent", []time.Duration{0, long, 2 * long, 3 * long}, []session.KeyState{session.KeyNext, session.KeySigns, session.KeySpent, session.KeySpent}},
		{"not spent yet", []time.Duration{-time.Hour, -session.MaxTokenLife, 2 * long}, []session.KeyState{session.KeySigns, session.KeyVerifies, session.KeyVerifies}},
	} {
		var keys []session.SigningKey
		for i, age := range c.ages {
			keys = append(keys, signingKey(byte(len(c.ages)-i), now.Add(age)))
		}
		for i, term := range session.KeyTerms(keys, now) {
			if term.State != c.want[i] {
				t.Errorf("%s: key %d is %s, want %s", c.name, i, term.State, c.want[i])
			}
		}
	}
}

// TestNoTokenOutlivesTheBound: keys are removed by it.
func TestNoTokenOutlivesTheBound(t *testing.T) {
	tokens, _, clock := newTokens()
	p := agentPrincipal(clock)
	p.Expires = p.Issued.Add(session.MaxTokenLife)
	issue(t, tokens, p)
	p.Expires = p.Expires.Add(time.Millisecond)
	if _, err := tokens.Issue(t.Context(), p); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("a token beyond the bound: %v", err)
	}
}
