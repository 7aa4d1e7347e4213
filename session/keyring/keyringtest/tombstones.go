package keyringtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"ronde/session"
)

// tombstoneOf returns the tombstone of an agent, set on the suite's day.
func tombstoneOf(agent string) session.Tombstone {
	return session.Tombstone{At: today.Time().Add(time.Hour), Tenant: "acme", Agent: agent, Pseudonym: "erased-" + agent}
}

func tombstones(t *testing.T, open Opener) {
	ring := open(t)
	want := []session.Tombstone{tombstoneOf("badge-1"), {At: today.Time().Add(time.Millisecond), Tenant: "other"}, tombstoneOf("A.b_c@d-e")}
	for i := range want {
		set, err := ring.Tombstone(t.Context(), want[i])
		want[i].Number = int64(i + 1)
		if err != nil || set != want[i] {
			t.Fatalf("set %+v, %v, want %+v", set, err, want[i])
		}
	}
	if err := ring.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t)
	for above := range int64(4) {
		if got := tombstonesAbove(t, again, above); !slices.Equal(got, want[above:]) {
			t.Errorf("above %d: %+v, want %+v", above, got, want[above:])
		}
	}
}

// tombstonesGoOn: a number that a store knows is not given again by a keyring
// that has forgotten it.
func tombstonesGoOn(t *testing.T, open Opener) {
	ring := open(t)
	known := tombstoneOf("badge-1")
	known.Number = 41
	for want := int64(42); want < 44; want++ {
		if set, err := ring.Tombstone(t.Context(), known); err != nil || set.Number != want {
			t.Errorf("number %d, %v, want %d", set.Number, err, want)
		}
		known.Number = 7 // an older store: those above stay above
	}
}

func tombstonesAtOnce(t *testing.T, open Opener) {
	rings := []session.Keyring{open(t), open(t), open(t)}
	const n = 24
	var mu sync.Mutex
	numbers := map[int64]string{}
	together(n, func(i int) {
		set, err := rings[i%len(rings)].Tombstone(t.Context(), tombstoneOf(fmt.Sprintf("badge-%d", i)))
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		numbers[set.Number] = set.Agent
	})
	list := tombstonesAbove(t, rings[0], 0)
	if len(numbers) != n || len(list) != n {
		t.Fatalf("%d numbers and %d tombstones of %d", len(numbers), len(list), n)
	}
	for i, stone := range list {
		if stone.Number != int64(i+1) || numbers[stone.Number] != stone.Agent {
			t.Errorf("tombstone %d is %+v, and %s was told so", i, stone, numbers[stone.Number])
		}
	}
}

func tombstonesRefuseNonsense(t *testing.T, open Opener) {
	ring := open(t)
	good := tombstoneOf("badge-1")
	for name, spoil := range map[string]func(s *session.Tombstone){
		"no tenant": func(s *session.Tombstone) { s.Tenant = "" }, "no time": func(s *session.Tombstone) { s.At = time.Time{} },
		"no pseudonym": func(s *session.Tombstone) { s.Pseudonym = "" }, "a pseudonym of nobody": func(s *session.Tombstone) { s.Agent = "" },
	} {
		bad := good
		spoil(&bad)
		if _, err := ring.Tombstone(t.Context(), bad); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if list := tombstonesAbove(t, ring, 0); len(list) != 0 {
		t.Errorf("kept %+v", list)
	}
}

func tombstonesArePurged(t *testing.T, open Opener) {
	ring := open(t)
	for i := range 4 {
		stone := tombstoneOf(fmt.Sprintf("badge-%d", i))
		stone.At = stone.At.Add(time.Duration(i) * time.Hour)
		if _, err := ring.Tombstone(t.Context(), stone); err != nil {
			t.Fatal(err)
		}
	}
	purge := func(before time.Time, want, left int) {
		t.Helper()
		if n, err := ring.PurgeTombstones(t.Context(), before); err != nil || n != want {
			t.Errorf("purged %d, %v, want %d", n, err, want)
		}
		if list := tombstonesAbove(t, open(t), 0); len(list) != left {
			t.Errorf("%d tombstones left, want %d", len(list), left)
		}
	}
	first := today.Time().Add(time.Hour)
	purge(first, 0, 4)
	purge(first.Add(time.Hour+time.Millisecond), 2, 2)
	purge(first.Add(1000*time.Hour), 1, 1)
	purge(first.Add(1000*time.Hour), 0, 1)
	if set, err := ring.Tombstone(t.Context(), tombstoneOf("badge-9")); err != nil || set.Number != 5 {
		t.Errorf("number %d, %v after all but one were purged, want 5", set.Number, err)
	}
}

func tombstonesAbove(t *testing.T, ring session.Keyring, above int64) []session.Tombstone {
	t.Helper()
	list, err := ring.Tombstones(t.Context(), above)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func tenantSalts(t *testing.T, open Opener) {
	ring := open(t)
	var gone, kept [][]byte
	for day := today; day < today+3; day++ {
		gone = append(gone, salt(t, ring, "acme", day, today))
		kept = append(kept, salt(t, ring, "acme-2", day, today))
	}
	alone := salt(t, ring, "acme", today+5, today)
	for want := range []int{4, 0} {
		if n, err := open(t).DestroyTenantSalts(t.Context(), "acme"); err != nil || n != 4-4*want {
			t.Errorf("destroyed %d salts, %v, want %d", n, err, 4-4*want)
		}
	}
	for i, day := 0, today; day < today+3; i, day = i+1, day+1 {
		if got := salt(t, ring, "acme-2", day, today); !bytes.Equal(got, kept[i]) {
			t.Error("another tenant's salt changed")
		}
		if got := salt(t, ring, "acme", day, today); bytes.Equal(got, gone[i]) {
			t.Error("a destroyed salt came back")
		}
	}
	if got := salt(t, ring, "acme", today+5, today); bytes.Equal(got, alone) {
		t.Error("a destroyed salt came back")
	}
	if n := destroy(t, ring, today+100); n != 7 {
		t.Errorf("destroyed %d salts with their days, want 7", n)
	}
	if _, err := ring.DestroyTenantSalts(t.Context(), "../acme"); !errors.Is(err, session.ErrInvalid) {
		t.Errorf("a tenant that cannot be: %v, want invalid", err)
	}
}

// tenantSaltsRace: a neighbour's salt is the same all the time, while those
// beside it are destroyed and made.
func tenantSaltsRace(t *testing.T, open Opener) {
	rings := []session.Keyring{open(t), open(t)}
	want := salt(t, rings[0], "other", today, today)
	together(16, func(i int) {
		ring := rings[i%2]
		switch i % 4 {
		case 0:
			if _, err := ring.DestroyTenantSalts(t.Context(), "acme"); err != nil {
				t.Error(err)
			}
		case 1:
			if _, err := ring.Salt(t.Context(), "acme", today, today); err != nil {
				t.Error(err)
			}
		default:
			if got, err := ring.Salt(t.Context(), "other", today, today); err != nil || !bytes.Equal(got, want) {
				t.Errorf("the neighbour's salt changed, %v", err)
			}
		}
	})
}
