package keyringtest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"ronde/session"
)

// Rotator is what every keyring is besides: it makes another signing key when
// the command line asks for it, and returns all keys, the newest first.
type Rotator interface {
	RotateSigningKey(ctx context.Context) ([]session.SigningKey, error)
}

func signingKeysAreMadeOnce(t *testing.T, open Opener) {
	rings := []session.Keyring{open(t), open(t), open(t)}
	got := make([][]session.SigningKey, 12)
	together(len(got), func(i int) {
		keys, err := rings[i%len(rings)].SigningKeys(t.Context())
		if err != nil {
			t.Error(err)
		}
		got[i] = keys
	})
	for _, keys := range append(got, signingKeys(t, open(t))) {
		if len(keys) != 1 || keys[0].ID != got[0][0].ID || !bytes.Equal(keys[0].Seed, got[0][0].Seed) {
			t.Fatalf("those who ask first got %d keys, and not the same", len(keys))
		}
	}
	key := got[0][0]
	if len(key.Seed) != ed25519.SeedSize || bytes.Equal(key.Seed, make([]byte, ed25519.SeedSize)) {
		t.Errorf("a seed of %d bytes: want %d random ones", len(key.Seed), ed25519.SeedSize)
	}
	if key.ID == "" || key.CreatedAt.IsZero() {
		t.Errorf("key %q made at %v: want both", key.ID, key.CreatedAt)
	}
}

func signingKeysRotate(t *testing.T, open Opener) {
	ring, other := open(t), open(t)
	rotator, ok := ring.(Rotator)
	if !ok {
		t.Fatal("this keyring does not rotate")
	}
	first := signingKeys(t, other)
	for n := 2; n < 13; n++ { // past the first number of two digits
		rotated, err := rotator.RotateSigningKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(rotated) != n || rotated[n-1].ID != first[0].ID {
			t.Fatalf("%d keys after %d rotations, the oldest %s", len(rotated), n-1, rotated[len(rotated)-1].ID)
		}
		seen := signingKeys(t, other)
		if !slices.EqualFunc(seen, rotated, sameKey) {
			t.Fatal("another handle sees other keys, or another order")
		}
	}
	ids := map[string]bool{}
	for _, key := range signingKeys(t, open(t)) {
		ids[key.ID] = true
	}
	if len(ids) != 12 {
		t.Errorf("%d different ids among 12 keys", len(ids))
	}
}

// nothingShared: what a caller does to an answer changes no other.
func nothingShared(t *testing.T, open Opener) {
	ring := open(t)
	s := salt(t, ring, "acme", today, today)
	want := bytes.Clone(s)
	clear(s)
	if !bytes.Equal(salt(t, ring, "acme", today, today), want) {
		t.Error("a salt changed under the keyring")
	}
	keys := signingKeys(t, ring)
	seed := bytes.Clone(keys[0].Seed)
	clear(keys[0].Seed)
	if !bytes.Equal(signingKeys(t, ring)[0].Seed, seed) {
		t.Error("a seed changed under the keyring")
	}
}

func callerGivesUp(t *testing.T, open Opener) {
	ring := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	everything(t, ctx, ring)
}

func closed(t *testing.T, open Opener) {
	ring := open(t)
	salt(t, ring, "acme", today, today)
	if err := ring.Close(); err != nil {
		t.Fatal(err)
	}
	everything(t, t.Context(), ring)
}

// everything expects ErrUnavailable of every method.
func everything(t *testing.T, ctx context.Context, ring session.Keyring) {
	t.Helper()
	_, err := ring.Salt(ctx, "acme", today, today)
	if !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Salt: %v, want unavailable", err)
	}
	if _, err = ring.DestroySalts(ctx, today); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("DestroySalts: %v, want unavailable", err)
	}
	if _, err = ring.SigningKeys(ctx); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("SigningKeys: %v, want unavailable", err)
	}
	if _, err = ring.DestroyTenantSalts(ctx, "acme"); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("DestroyTenantSalts: %v, want unavailable", err)
	}
	if _, err = ring.Tombstone(ctx, tombstoneOf("badge-1")); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Tombstone: %v, want unavailable", err)
	}
	if _, err = ring.Tombstones(ctx, 0); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("Tombstones: %v, want unavailable", err)
	}
	if _, err = ring.PurgeTombstones(ctx, today.Time()); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("PurgeTombstones: %v, want unavailable", err)
	}
}

func sameKey(a, b session.SigningKey) bool {
	return a.ID == b.ID && a.CreatedAt.Equal(b.CreatedAt) && bytes.Equal(a.Seed, b.Seed)
}

func signingKeys(t *testing.T, ring session.Keyring) []session.SigningKey {
	t.Helper()
	keys, err := ring.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
