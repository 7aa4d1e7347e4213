package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// receiptOf returns a name for a receipt of this test's.
func (w *world) receiptOf(what string) session.ReceiptID {
	return sha256.Sum256([]byte(w.tenant + what))
}

// creation returns one that makes nothing but the receipt for m.
func (w *world) creation(m *session.Mission, name string) session.Creation {
	return session.Creation{
		Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Receipt: w.receiptOf(name),
		Seal: func() ([]byte, error) { return []byte(name), nil },
	}
}

func (w *world) receipt(name, want string) {
	w.Helper()
	got, err := w.Store.Receipt(w.Context(), w.tenant, w.receiptOf(name))
	if want == "" {
		w.is(err, session.ErrNotFound, "the receipt of %s", name)
		return
	}
	w.ok(err)
	if string(got) != want {
		w.Errorf("the receipt of %s says %q, want %q", name, got, want)
	}
}

// testReceipts: what is made and its receipt are stored together, once.
func testReceipts(w *world) {
	w.receipt("mission", "")
	made := w.everything()
	c := w.creation(made, "mission")
	c.Mission = made
	c.Seal = func() ([]byte, error) {
		if !made.CreatedAt.Equal(w.now) || !made.ReadAt.Equal(w.now) || made.Revision == 0 {
			w.Errorf("sealed before it was made: created at %v, revision %d", made.CreatedAt, made.Revision)
		}
		return []byte("first\x00"), nil
	}
	w.ok(w.Store.CreateOnce(w.Context(), c))
	w.receipt("mission", "first\x00")
	if got := w.read(made); !got.CreatedAt.Equal(w.now) || len(got.Agents) != len(made.Agents) {
		w.Errorf("made %+v", got)
	}

	again := w.plan("badge-1")
	other := w.creation(again, "mission")
	other.Mission = again
	w.is(w.Store.CreateOnce(w.Context(), other), session.ErrRepeated, "the same again")
	_, err := w.Store.Mission(w.Context(), w.tenant, again.ID)
	w.is(err, session.ErrNotFound, "the mission that was not made")
	w.receipt("mission", "first\x00")

	link := w.link(made)
	c = w.creation(made, "link")
	c.Link = &link
	w.ok(w.Store.CreateOnce(w.Context(), c))
	w.receipt("link", "link")
	link.ID = session.NewID()
	w.is(w.Store.CreateOnce(w.Context(), c), session.ErrRepeated, "a second link")
	if links, err := w.Store.Links(w.Context(), w.tenant, made.ID, uuid.Nil, 10); err != nil || len(links) != 1 || links[0].ID == link.ID {
		w.Errorf("links %+v, %v: want the first alone", links, err)
	}
	w.ok(w.Store.CreateOnce(w.Context(), w.creation(made, "token")))
	w.is(w.Store.CreateOnce(w.Context(), w.creation(made, "token")), session.ErrRepeated, "a second token")
	w.receipt("token", "token")
}

// testReceiptsRefused: what fails leaves neither an object nor a receipt.
func testReceiptsRefused(w *world) {
	m := w.create(w.plan("badge-1"))
	cause := errors.New("no key")
	failing := w.plan("badge-2")
	c := w.creation(failing, "x")
	c.Mission, c.Seal = failing, func() ([]byte, error) { return nil, cause }
	if err := w.Store.CreateOnce(w.Context(), c); err != cause { //nolint:errorlint // as it is, says the contract
		w.Errorf("error %v, want the very one that Seal returned", err)
	}
	_, err := w.Store.Mission(w.Context(), w.tenant, failing.ID)
	w.is(err, session.ErrNotFound, "the mission whose receipt could not be sealed")

	taken := w.plan("badge-2")
	taken.ID = m.ID
	c = w.creation(taken, "x")
	c.Mission = taken
	w.is(w.Store.CreateOnce(w.Context(), c), session.ErrExists, "a mission of an id that is taken")

	missing := w.plan("badge-2")
	link := w.link(missing)
	c = w.creation(missing, "x")
	w.is(w.Store.CreateOnce(w.Context(), c), session.ErrNotFound, "a receipt for a missing mission")
	c.Link = &link
	w.is(w.Store.CreateOnce(w.Context(), c), session.ErrNotFound, "a link to a missing mission")
	w.receipt("x", "")
	w.ok(w.Store.CreateOnce(w.Context(), w.creation(m, "x")))
}

// testReceiptsLife: a receipt stands for a day, purged or not.
func testReceiptsLife(w *world) {
	w.purge() // what earlier tests left
	m := w.create(w.plan("badge-1"))
	for i := range 5 {
		w.at(time.Duration(i) * time.Hour)
		w.ok(w.Store.CreateOnce(w.Context(), w.creation(m, fmt.Sprint(i))))
	}
	w.at(24*time.Hour - time.Millisecond)
	w.receipt("0", "0")
	w.is(w.Store.CreateOnce(w.Context(), w.creation(m, "0")), session.ErrRepeated, "within a day")
	w.purged(10, 0)
	w.at(24 * time.Hour)
	w.receipt("0", "")
	w.receipt("1", "1")
	anew := w.creation(m, "0")
	anew.Seal = func() ([]byte, error) { return []byte("anew"), nil }
	w.ok(w.Store.CreateOnce(w.Context(), anew))
	w.purged(10, 0)

	w.at(27 * time.Hour) // 1, 2 and 3 are over
	w.purged(2, 2)
	w.purged(2, 1)
	w.purged(2, 0)
	w.receipt("0", "anew")
	w.receipt("4", "4")
}

func (w *world) purged(limit, want int) {
	w.Helper()
	n, err := w.Store.PurgeReceipts(w.Context(), limit)
	w.ok(err)
	if n != want {
		w.Errorf("purged %d receipts, want %d", n, want)
	}
}

// purge removes every receipt whose life is over a year from now.
func (w *world) purge() {
	w.Helper()
	now := w.now
	w.clock(now.AddDate(1, 0, 0))
	for {
		n, err := w.Store.PurgeReceipts(w.Context(), 1000)
		w.ok(err)
		if n == 0 {
			break
		}
	}
	w.clock(now)
}

// testReceiptsConcurrently: of many that ask for one creation at once, one makes
// it, also while an old receipt of the same name is being purged.
func testReceiptsConcurrently(w *world) {
	const n, rounds = 8, 12
	for round := range rounds {
		w.at(time.Duration(round) * 25 * time.Hour) // the receipt of the round before is over
		var made, repeated atomic.Int64
		var winner atomic.Pointer[session.Mission]
		together(n+2, func(i int) {
			if i >= n {
				_, err := w.Store.PurgeReceipts(w.Context(), 1000)
				w.unlessUnavailable(err)
				return
			}
			m := w.plan("badge-1")
			m.StartsAt = w.now
			m.EndsAt = w.now.Add(time.Hour)
			m.Deadline = m.EndsAt.Add(m.Overrun)
			c := w.creation(m, "race")
			c.Mission = m
			c.Seal = func() ([]byte, error) { return m.ID[:], nil }
			w.patiently(func() error {
				err := w.Store.CreateOnce(w.Context(), c)
				switch {
				case err == nil:
					made.Add(1)
					winner.Store(m)
				case errors.Is(err, session.ErrRepeated):
					repeated.Add(1)
					return nil
				}
				return err
			})
		})
		if made.Load() != 1 || repeated.Load() != n-1 {
			w.Fatalf("made %d times, repeated %d times", made.Load(), repeated.Load())
		}
		if got, err := w.Store.Receipt(w.Context(), w.tenant, w.receiptOf("race")); err != nil || !bytes.Equal(got, winner.Load().ID[:]) {
			w.Fatalf("round %d: the receipt is %x, %v; want that of %s", round, got, err, winner.Load().ID)
		}
	}
	list, err := w.Store.Missions(w.Context(), w.tenant, session.MissionFilter{}, uuid.Nil, 1000)
	w.ok(err)
	if len(list) != rounds {
		w.Errorf("%d missions in %d rounds", len(list), rounds)
	}
}

func (w *world) unlessUnavailable(err error) {
	if err != nil && !errors.Is(err, session.ErrUnavailable) {
		w.Error(err)
	}
}
