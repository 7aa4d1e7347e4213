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

func signingKeysAreMadeOnce(t *testing.T, open Opener) {
	rings := []session.Keyring{open(t), open(t), open(t)}
	if keys, err := rings[0].SigningKeys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("a new keyring has %d keys, %v", len(keys), err)
	}
	if n := len(signingKeysRead(t, rings[1])); n != 0 {
		t.Errorf("to read the keys made %d", n)
	}
	got := make([][]session.SigningKey, 12)
	together(len(got), func(i int) {
		keys, err := rings[i%len(rings)].EnsureSigningKey(t.Context())
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
	first := signingKeys(t, other)
	for n := 2; n < 13; n++ { // past the first number of two digits
		rotated, err := ring.RotateSigningKey(t.Context())
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

// signingKeysAreRemoved: those that are named and are not the newest, for good and
// for every handle; and no key is ever mistaken for a later one.
func signingKeysAreRemoved(t *testing.T, open Opener) {
	ring, other := open(t), open(t)
	signingKeys(t, ring)
	for range 2 {
		if _, err := ring.RotateSigningKey(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	keys := signingKeysRead(t, other) // third, second, first
	remove := func(want int, ids ...string) {
		t.Helper()
		if n, err := ring.RemoveSigningKeys(t.Context(), ids...); err != nil || n != want {
			t.Errorf("removed %d keys, %v; want %d", n, err, want)
		}
	}
	remove(0)
	remove(0, "no such key", keys[0].ID)
	remove(1, keys[2].ID, keys[0].ID)
	remove(0, keys[2].ID)
	if left := signingKeysRead(t, other); len(left) != 2 || !sameKey(left[0], keys[0]) || !sameKey(left[1], keys[1]) {
		t.Fatalf("%d keys are left, or others", len(left))
	}
	remove(1, keys[1].ID, keys[0].ID)
	rotated, err := other.RotateSigningKey(t.Context())
	if err != nil || len(rotated) != 2 || !sameKey(rotated[1], keys[0]) {
		t.Fatalf("%d keys after another rotation, %v", len(rotated), err)
	}
	remove(1, keys[0].ID)
	if left := signingKeysRead(t, open(t)); len(left) != 1 || !sameKey(left[0], rotated[0]) {
		t.Fatalf("%d keys are left, or others", len(left))
	}

	// Of several that remove, each key goes once.
	for range 4 {
		if rotated, err = ring.RotateSigningKey(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for _, key := range rotated {
		ids = append(ids, key.ID)
	}
	counts := make([]int, 6)
	together(len(counts), func(i int) {
		n, err := []session.Keyring{ring, other}[i%2].RemoveSigningKeys(t.Context(), ids...)
		if err != nil {
			t.Error(err)
		}
		counts[i] = n
	})
	total := 0
	for _, n := range counts {
		total += n
	}
	if left := signingKeysRead(t, ring); total != 4 || len(left) != 1 || !sameKey(left[0], rotated[0]) {
		t.Errorf("%d were removed and %d are left, want 4 and the newest", total, len(left))
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
	for name, call := range map[string]func() ([]session.SigningKey, error){
		"SigningKeys":       func() ([]session.SigningKey, error) { return ring.SigningKeys(ctx) },
		"EnsureSigningKey":  func() ([]session.SigningKey, error) { return ring.EnsureSigningKey(ctx) },
		"RotateSigningKey":  func() ([]session.SigningKey, error) { return ring.RotateSigningKey(ctx) },
		"RemoveSigningKeys": func() ([]session.SigningKey, error) { _, err := ring.RemoveSigningKeys(ctx, "x"); return nil, err },
	} {
		if _, err = call(); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s: %v, want unavailable", name, err)
		}
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
	keys, err := ring.EnsureSigningKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func signingKeysRead(t *testing.T, ring session.Keyring) []session.SigningKey {
	t.Helper()
	keys, err := ring.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
