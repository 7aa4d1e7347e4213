package keyringtest

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// heldUntil is the time until which the salts of these tests live.
var heldUntil = (today + 30).Time()

// endOf returns the time to ask for a salt with: one, to have it made.
func endOf(create bool) time.Time {
	if create {
		return heldUntil
	}
	return time.Time{}
}

// holdSaltsEnd: it is known, on every handle, of which holds there are salts and
// until when each is to live; later for one that is extended, and never earlier.
func holdSaltsEnd(t *testing.T, open Opener) {
	ring, other := open(t), open(t)
	ends := func(want map[uuid.UUID]time.Time) {
		t.Helper()
		for _, ring := range []session.Keyring{ring, other} {
			if got, err := ring.HoldSalts(t.Context()); err != nil || !maps.EqualFunc(got, want, time.Time.Equal) {
				t.Errorf("salts %v, %v; want %v", got, err, want)
			}
		}
	}
	extend := func(hold uuid.UUID, until time.Time) {
		t.Helper()
		if err := ring.ExtendHoldSalt(t.Context(), hold, until); err != nil {
			t.Fatal(err)
		}
	}
	ends(nil)
	one, two, none := session.NewID(), session.NewID(), session.NewID()
	extend(none, heldUntil)
	ends(nil)
	later := heldUntil.Add(25*time.Hour + 7*time.Millisecond)
	salts := map[uuid.UUID][]byte{}
	for hold, until := range map[uuid.UUID]time.Time{one: heldUntil, two: later} {
		salt, err := ring.HoldSalt(t.Context(), hold, until)
		if err != nil {
			t.Fatal(err)
		}
		salts[hold] = salt
	}
	ends(map[uuid.UUID]time.Time{one: heldUntil, two: later})
	if _, err := ring.HoldSalt(t.Context(), one, later); err != nil { // one that was made stays as it is
		t.Fatal(err)
	}
	extend(two, heldUntil)
	ends(map[uuid.UUID]time.Time{one: heldUntil, two: later})
	for range 2 {
		extend(one, later)
	}
	ends(map[uuid.UUID]time.Time{one: later, two: later})
	if got, err := other.HoldSalt(t.Context(), one, time.Time{}); err != nil || !bytes.Equal(got, salts[one]) {
		t.Errorf("extended, it is another salt, or none: %v", err)
	}
	if err := ring.DestroyHoldSalt(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	ends(map[uuid.UUID]time.Time{two: later})
	extend(one, later.Add(time.Hour))
	ends(map[uuid.UUID]time.Time{two: later})
}

// saltDays: the days of which there are salts are known, and no others.
func saltDays(t *testing.T, open Opener) {
	ring := open(t)
	days := func(want ...session.Day) {
		t.Helper()
		got, err := ring.SaltDays(t.Context())
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("salts of the days %v, %v; want %v", got, err, want)
		}
	}
	days()
	salt(t, ring, "acme", today+3, today)
	salt(t, ring, "other", today+3, today)
	salt(t, ring, "acme", today, today)
	if _, err := ring.HoldSalt(t.Context(), session.NewID(), endOf(true)); err != nil {
		t.Fatal(err)
	}
	days(today, today+3)
	destroy(t, ring, today+1)
	days(today + 3)
}

// someSaltsAreKept: what is kept of days that are over is given as ever, and all
// else of them is gone; once it is kept no longer, it goes too.
func someSaltsAreKept(t *testing.T, open Opener) {
	ring := open(t)
	kept := map[session.SaltID][]byte{}
	for _, day := range []session.Day{today - 3, today - 2, today - 1, today} {
		for _, tenant := range []string{"acme", "other", "third"} {
			id := session.SaltID{Tenant: tenant, Day: day}
			kept[id] = salt(t, ring, tenant, day, today-3)
		}
	}
	keep := []session.SaltID{{Tenant: "other", Day: today - 2}, {Tenant: "acme", Day: today}}
	for _, want := range []int{10, 0} { // harmless to repeat
		if n, err := ring.DestroySalts(t.Context(), today+1, keep...); n != want || err != nil {
			t.Errorf("destroyed %d, %v; want %d", n, err, want)
		}
	}
	again := open(t)
	for id, want := range kept {
		got, err := again.Salt(t.Context(), id.Tenant, id.Day, today+1)
		if slices.Contains(keep, id) {
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("the salt of %v was kept, and is another one, or none: %v", id, err)
			}
		} else if !errors.Is(err, session.ErrGone) {
			t.Errorf("the salt of %v: %v, want gone", id, err)
		}
	}
	if days, err := ring.SaltDays(t.Context()); err != nil || !slices.Equal(days, []session.Day{today - 2, today}) {
		t.Errorf("salts of the days %v, %v", days, err)
	}
	if n, err := ring.DestroySalts(t.Context(), today+1); n != 2 || err != nil {
		t.Errorf("destroyed %d, %v; want the two that were kept", n, err)
	}
	if days, err := ring.SaltDays(t.Context()); err != nil || len(days) != 0 {
		t.Errorf("salts of the days %v, %v; want none", days, err)
	}
}

// holdSalt: it is made once, when that is asked for, and lives on when days are
// swept.
func holdSalt(t *testing.T, open Opener) {
	ring, hold := open(t), session.NewID()
	holdGone(t, ring, hold, false)
	first, err := ring.HoldSalt(t.Context(), hold, endOf(true))
	if err != nil || len(first) != 32 || bytes.Equal(first, make([]byte, 32)) {
		t.Fatalf("a salt of %d bytes, %v: want 32 random ones", len(first), err)
	}
	other, err := ring.HoldSalt(t.Context(), session.NewID(), endOf(true))
	if err != nil || bytes.Equal(first, other) {
		t.Errorf("another hold has the same salt, or none: %v", err)
	}
	destroy(t, ring, today+1000)
	for name, again := range map[string]session.Keyring{"the same handle": ring, "another handle": open(t)} {
		for _, create := range []bool{false, true} {
			if got, err := again.HoldSalt(t.Context(), hold, endOf(create)); err != nil || !bytes.Equal(got, first) {
				t.Errorf("%s, create %v: another salt, or none: %v", name, create, err)
			}
		}
	}
}

func holdSaltStaysDestroyed(t *testing.T, open Opener) {
	ring, hold, never := open(t), session.NewID(), session.NewID()
	if _, err := ring.HoldSalt(t.Context(), hold, endOf(true)); err != nil {
		t.Fatal(err)
	}
	kept, err := ring.HoldSalt(t.Context(), session.NewID(), endOf(true))
	if err != nil || len(kept) == 0 {
		t.Fatal(err)
	}
	for range 2 {
		for _, id := range []uuid.UUID{hold, never} {
			if err := ring.DestroyHoldSalt(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, again := range []session.Keyring{ring, open(t)} {
		for _, create := range []bool{false, true} {
			holdGone(t, again, hold, create)
			holdGone(t, again, never, create) // destroyed before anybody made it
		}
	}
}

func holdSaltMakersAgree(t *testing.T, open Opener) {
	rings := []session.Keyring{open(t), open(t), open(t)}
	for range 5 {
		hold := session.NewID()
		var mu sync.Mutex
		seen := map[string]bool{}
		together(24, func(i int) {
			s, err := rings[i%len(rings)].HoldSalt(t.Context(), hold, endOf(true))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[string(s)] = true
		})
		if len(seen) != 1 {
			t.Fatalf("makers at once got %d different salts", len(seen))
		}
	}
}

// destroyRacesHoldSalt: each answer is the one salt or ErrGone, and none comes
// after.
func destroyRacesHoldSalt(t *testing.T, open Opener) {
	rings := []session.Keyring{open(t), open(t), open(t)}
	for range 10 {
		hold := session.NewID()
		var mu sync.Mutex
		seen := map[string]bool{}
		together(18, func(i int) {
			ring := rings[i%len(rings)]
			if i%9 == 4 {
				if err := ring.DestroyHoldSalt(t.Context(), hold); err != nil {
					t.Error(err)
				}
				return
			}
			s, err := ring.HoldSalt(t.Context(), hold, endOf(true))
			if errors.Is(err, session.ErrGone) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[string(s)] = true
		})
		if len(seen) > 1 {
			t.Fatalf("a destroyed salt was made again: %d different ones", len(seen))
		}
		for _, ring := range rings {
			holdGone(t, ring, hold, true)
		}
	}
}

func holdGone(t *testing.T, ring session.Keyring, hold uuid.UUID, create bool) {
	t.Helper()
	_, err := ring.HoldSalt(t.Context(), hold, endOf(create))
	if !errors.Is(err, session.ErrGone) || errors.Is(err, session.ErrUnavailable) {
		t.Errorf("salt of hold %s (create %v): %v, want gone", hold, create, err)
	}
}
