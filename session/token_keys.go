package session

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync/atomic"
	"time"
)

// How signing keys are rotated without refusing a valid token: every node
// reads the keyring anew each keysFresh, and signs with a new key only once it
// is keysOverlap old, when every node knows it.
const (
	keysFresh   = 30 * time.Second
	keysOverlap = time.Minute
	// keysTrusted is how long a node goes on signing with the keys that it knows
	// when it cannot read the keyring: until then, a key that others have given up
	// may still be in use somewhere.
	keysTrusted = 24 * time.Hour
	// keysRetry is the least time between two reads, so that made-up key ids
	// do not become load on the keyring.
	keysRetry = time.Second
)

// signingKeys remembers the keyring's signing keys.
type signingKeys struct {
	ring    Keyring
	now     func() time.Time
	reading chan struct{} // held by the one who reads the keyring
	current atomic.Pointer[keySet]
}

// keySet is what is known of the keyring's keys. It never changes.
type keySet struct {
	read   time.Time // when the keys were read; zero: never
	tried  time.Time // when that was last attempted
	err    error     // the outcome of that attempt
	keys   []signer  // newest first
	public map[string]ed25519.PublicKey
}

type signer struct {
	id      string
	created time.Time
	private ed25519.PrivateKey
}

func newSigningKeys(ring Keyring, now func() time.Time) *signingKeys {
	k := &signingKeys{ring: ring, now: now, reading: make(chan struct{}, 1)}
	k.current.Store(&keySet{})
	return k
}

// verifier returns the key of that id; errForged if there is none,
// ErrUnavailable if that cannot be known now.
func (k *signingKeys) verifier(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	set, err := k.load(ctx, func(set *keySet) bool { return set.public[kid] != nil })
	if err != nil {
		return nil, err
	}
	if key := set.public[kid]; key != nil {
		return key, nil
	}
	return nil, errForged
}

// signer returns the newest key that every node knows by now. If all are too
// young for that, it is the oldest.
func (k *signingKeys) signer(ctx context.Context) (signer, error) {
	set, err := k.load(ctx, func(set *keySet) bool { return len(set.keys) > 0 })
	if err != nil {
		return signer{}, err
	}
	if len(set.keys) == 0 {
		return signer{}, ErrUnavailable.Because("the keyring has no signing key")
	}
	if !recent(k.now(), set.read, keysTrusted) {
		return signer{}, ErrUnavailable.Because("the keyring could not be read for %d hours, and its keys may have been removed", keysTrusted/time.Hour)
	}
	settled := k.now().Add(-keysOverlap)
	for _, key := range set.keys {
		if !key.created.After(settled) {
			return key, nil
		}
	}
	return set.keys[len(set.keys)-1], nil
}

// load returns the keys, read anew if they are no longer fresh or not
// sufficient, and not read a moment ago. Whoever needs no more than is known
// waits for nobody, and is not troubled by a keyring that fails.
func (k *signingKeys) load(ctx context.Context, sufficient func(*keySet) bool) (*keySet, error) {
	set := k.current.Load()
	enough := sufficient(set)
	if enough && recent(k.now(), set.read, keysFresh) {
		return set, nil
	}
	if enough {
		select {
		case k.reading <- struct{}{}:
		default:
			return set, nil
		}
	} else {
		select {
		case k.reading <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
	}
	defer func() { <-k.reading }()
	set = k.refresh(ctx)
	if set.err != nil && !sufficient(set) {
		return nil, set.err
	}
	return set, nil
}

// refresh reads the keyring unless that was tried a moment ago. The caller
// holds reading.
func (k *signingKeys) refresh(ctx context.Context) *keySet {
	old, now := k.current.Load(), k.now()
	if recent(now, old.tried, keysRetry) {
		return old
	}
	set := &keySet{read: now, tried: now}
	var found []SigningKey
	if found, set.err = k.ring.EnsureSigningKey(ctx); set.err == nil {
		set.err = set.fill(found)
	}
	if set.err != nil {
		tried := k.now() // when it failed: those who waited meanwhile need not wait as long again
		if ctx.Err() != nil {
			tried = old.tried // this caller gave up; that says nothing to the next
		}
		set = &keySet{read: old.read, tried: tried, err: set.err, keys: old.keys, public: old.public}
	}
	k.current.Store(set)
	return set
}

func (s *keySet) fill(found []SigningKey) error {
	s.public = make(map[string]ed25519.PublicKey, len(found))
	for _, key := range found {
		if len(key.Seed) != ed25519.SeedSize || key.ID == "" {
			return ErrUnavailable.Because("the keyring gave a signing key of no use")
		}
		private := ed25519.NewKeyFromSeed(key.Seed)
		s.keys = append(s.keys, signer{id: key.ID, created: key.CreatedAt, private: private})
		s.public[key.ID] = private.Public().(ed25519.PublicKey)
	}
	return nil
}

// recent reports whether now lies in [t, t+d). A clock that was set back makes
// it false, so that nothing waits for the clock to catch up.
func recent(now, t time.Time, d time.Duration) bool {
	age := now.Sub(t)
	return age >= 0 && age < d
}
