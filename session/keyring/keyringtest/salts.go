package keyringtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"ronde/session"
)

// The day on which the suite takes place.
const today session.Day = 20000

func saltIsMadeOnce(t *testing.T, open Opener) {
	ring := open(t)
	first := salt(t, ring, "acme", today+30, today)
	if len(first) != 32 || bytes.Equal(first, make([]byte, 32)) {
		t.Fatalf("a salt of %d bytes: want 32 random ones", len(first))
	}
	for name, again := range map[string]session.Keyring{"the same handle": ring, "another handle": open(t)} {
		if got := salt(t, again, "acme", today+30, today); !bytes.Equal(got, first) {
			t.Errorf("%s gives another salt", name)
		}
	}
	if err := ring.Close(); err != nil {
		t.Fatal(err)
	}
	if got := salt(t, open(t), "acme", today+30, today); !bytes.Equal(got, first) {
		t.Error("another salt after a restart")
	}
}

func saltsDiffer(t *testing.T, open Opener) {
	ring := open(t)
	seen := map[string]string{}
	for _, tenant := range []string{"acme", "acme-2", "a", strings.Repeat("z", 63)} {
		for day := today; day < today+4; day++ {
			name := fmt.Sprintf("%s on %s", tenant, day)
			s := string(salt(t, ring, tenant, day, today))
			if other, ok := seen[s]; ok {
				t.Errorf("%s has the salt of %s", name, other)
			}
			seen[s] = name
		}
	}
}

func saltOfThePast(t *testing.T, open Opener) {
	ring := open(t)
	gone(t, ring, "acme", today-1, today)
	gone(t, ring, "acme", 1, today)
	salt(t, ring, "acme", today, today)
	gone(t, ring, "other", today, today+1) // never made in time, unlike its neighbour's
}

func saltOutlivesItsDay(t *testing.T, open Opener) {
	ring := open(t)
	first := salt(t, ring, "acme", today, today)
	if late := salt(t, ring, "acme", today, today+10); !bytes.Equal(late, first) {
		t.Error("another salt once the day has passed")
	}
}

func saltRefusesNonsense(t *testing.T, open Opener) {
	ring := open(t)
	for _, tenant := range []string{"", "..", "../acme", "a/b", "ACME", ".tmp", "a\x00", strings.Repeat("a", 64)} {
		if _, err := ring.Salt(t.Context(), tenant, today, today); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("tenant %q: %v, want invalid", tenant, err)
		}
	}
	for _, day := range []session.Day{0, -1, 1 << 30} {
		if _, err := ring.Salt(t.Context(), "acme", day, min(day, today)); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("day %d: %v, want invalid", day, err)
		}
	}
}

func destroyedStaysDestroyed(t *testing.T, open Opener) {
	ring := open(t)
	salt(t, ring, "acme", today, today)
	salt(t, ring, "other", today, today)
	salt(t, ring, "acme", today+1, today)
	if n := destroy(t, ring, today+2); n != 3 {
		t.Errorf("destroyed %d salts, want 3", n)
	}
	if n := destroy(t, ring, today+2); n != 0 {
		t.Errorf("destroyed %d salts a second time", n)
	}
	destroy(t, ring, today-5) // an earlier day undoes nothing
	for name, again := range map[string]session.Keyring{"the same handle": ring, "another handle": open(t)} {
		t.Run(name, func(t *testing.T) {
			gone(t, again, "acme", today, today+2)
			gone(t, again, "acme", today, today) // the caller's clock was set back
			gone(t, again, "other", today, today-100)
			gone(t, again, "acme", today+1, today+1)
		})
	}
}

func destroyIsSeenByOthers(t *testing.T, open Opener) {
	one, two := open(t), open(t)
	salt(t, one, "acme", today, today)
	salt(t, two, "acme", today, today)
	destroy(t, two, today+1)
	gone(t, one, "acme", today, today+1)
}

func destroySparesTheDay(t *testing.T, open Opener) {
	ring := open(t)
	before := salt(t, ring, "acme", today, today)
	if n := destroy(t, ring, today); n != 0 {
		t.Errorf("destroyed %d salts of the day itself", n)
	}
	if after := salt(t, ring, "acme", today, today+1); !bytes.Equal(before, after) {
		t.Error("another salt after destroying those of earlier days")
	}
	salt(t, ring, "acme", today+1, today) // those to come can still be made
}

func makersAgree(t *testing.T, open Opener) {
	rings := []session.Keyring{open(t), open(t), open(t)}
	for round := range session.Day(10) {
		var mu sync.Mutex
		seen := map[string]bool{}
		together(24, func(i int) {
			s, err := rings[i%len(rings)].Salt(t.Context(), "acme", today+round, today)
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

func destroyersShare(t *testing.T, open Opener) {
	rings := []session.Keyring{open(t), open(t)}
	const salts = 40
	for i := range salts {
		salt(t, rings[0], fmt.Sprintf("tenant-%d", i%8), today+session.Day(i/8), today)
	}
	counts := make([]int, 4)
	together(len(counts), func(i int) {
		n, err := rings[i%2].DestroySalts(t.Context(), today+salts)
		if err != nil {
			t.Error(err)
		}
		counts[i] = n
	})
	sum := 0
	for _, n := range counts {
		sum += n
	}
	if sum != salts {
		t.Errorf("destroyers at once counted %v, want %d together", counts, salts)
	}
}

// destroyRacesSalt: while salts are asked for and made, they are destroyed.
// Each answer is the one salt of its name or ErrGone, and none comes after.
func destroyRacesSalt(t *testing.T, open Opener) {
	rings := []session.Keyring{open(t), open(t), open(t)}
	for round := range session.Day(10) {
		day := today + round
		var mu sync.Mutex
		seen := map[string]bool{}
		together(18, func(i int) {
			if i%9 == 4 {
				if _, err := rings[i%len(rings)].DestroySalts(t.Context(), day+1); err != nil {
					t.Error(err)
				}
				return
			}
			s, err := rings[i%len(rings)].Salt(t.Context(), "acme", day, day)
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
			gone(t, ring, "acme", day, day)
		}
	}
}

// together calls do for each of n numbers at once and waits for all.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	wg.Wait()
}

func salt(t *testing.T, ring session.Keyring, tenant string, day, now session.Day) []byte {
	t.Helper()
	s, err := ring.Salt(t.Context(), tenant, day, now)
	if err != nil {
		t.Fatalf("salt of %s on %s, asked on %s: %v", tenant, day, now, err)
	}
	return s
}

func gone(t *testing.T, ring session.Keyring, tenant string, day, now session.Day) {
	t.Helper()
	_, err := ring.Salt(t.Context(), tenant, day, now)
	if !errors.Is(err, session.ErrGone) || errors.Is(err, session.ErrUnavailable) {
		t.Errorf("salt of %s on %s, asked on %s: %v, want gone", tenant, day, now, err)
	}
}

func destroy(t *testing.T, ring session.Keyring, before session.Day) int {
	t.Helper()
	n, err := ring.DestroySalts(t.Context(), before)
	if err != nil {
		t.Fatalf("destroy salts before %s: %v", before, err)
	}
	return n
}
