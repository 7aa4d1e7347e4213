package storetest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

// Killing is a crash test of I3 and P41: a process streams into a store and
// prints what it was told is stored; it, or the database below it, is killed at
// a random moment, and what it printed must be there exactly once.
type Killing struct {
	// Source is what Victim's open gets in the process to be killed.
	Source string
	// Open opens the same store in this process, as after a restart.
	Open func(t *testing.T) Fixture
	// Rounds is how many processes are killed.
	Rounds int
	// Strike does the killing; nil kills the process with SIGKILL. If it kills
	// something else, it must have that running again when it returns, and
	// kill the process in the end.
	Strike func(t *testing.T, victim *os.Process)
}

// killEnv tells a test binary that it is the victim, and of what.
const killEnv = "RONDE_STORETEST_VICTIM"

// errand is what a victim is to do.
type errand struct {
	Source  string
	Tenant  string
	Mission uuid.UUID
	Seed    uint64
	Root    string // of KillAudit: the root secret that signs the access log
}

const (
	killAgent = "badge-1"
	killMax   = 50_000 // pings of a victim: they are a millisecond apart, and may run a minute ahead
)

// Victim returns at once in a process that Kill did not start. Otherwise it
// streams until it is killed and never returns. Call it first in TestMain.
func Victim(open func(ctx context.Context, source string) (session.Store, error)) {
	text := os.Getenv(killEnv)
	if text == "" {
		return
	}
	var e errand
	err := json.Unmarshal([]byte(text), &e)
	if err == nil {
		err = e.stream(context.Background(), open)
	}
	fmt.Fprintln(os.Stderr, "victim:", err)
	os.Exit(2)
}

// stream appends batches and prints the number of pings so far after each that
// is settled. What it sends follows from the seed.
func (e errand) stream(ctx context.Context, open func(ctx context.Context, source string) (session.Store, error)) error {
	store, err := open(ctx, e.Source)
	if err != nil {
		return err
	}
	if e.Root != "" {
		return e.record(ctx, store)
	}
	m, err := store.Mission(ctx, e.Tenant, e.Mission)
	if err != nil {
		return err
	}
	batches := e.batches(m)
	for sent := 0; sent < killMax; {
		s := batches()
		for {
			err := store.Append(ctx, []*session.Submission{s})
			if err == nil {
				break
			}
			if !errors.Is(err, session.ErrUnavailable) {
				return err
			}
		}
		for _, v := range s.Verdicts {
			if v != session.Stored && v != session.Unchanged {
				return fmt.Errorf("verdict %s", name(v))
			}
		}
		sent += len(s.Pings)
		if _, err := fmt.Println(sent); err != nil {
			return err
		}
	}
	select {} // it has sent what it may, and waits for its end
}

// batches returns a function that returns one batch after the other, the same
// ones to the victim and to its judge.
func (e errand) batches(m *session.Mission) func() *session.Submission {
	random := rand.New(rand.NewPCG(e.Seed, 0))
	next := m.BeganAt
	return func() *session.Submission {
		var times []time.Time
		for range 1 + random.IntN(20) {
			times = append(times, next)
			next = next.Add(time.Millisecond)
		}
		return submit(m, killAgent, byte(e.Seed), times...)
	}
}

// Kill runs the test. TestMain of the package must have called Victim.
func Kill(t *testing.T, k Killing) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	acknowledged, stored := 0, 0
	for round := range k.Rounds {
		a, s := k.round(t, self, uint64(round))
		acknowledged, stored = acknowledged+a, stored+s
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("killed %d times: %d pings acknowledged, all there once; %d more that were in flight", k.Rounds, acknowledged, stored-acknowledged)
}

// round kills one victim and returns how many pings it was told are stored,
// and how many are.
func (k *Killing) round(t *testing.T, self string, seed uint64) (acknowledged, stored int) {
	w := newWorld(t, k.Open(t))
	w.clock(time.Time{})
	m := w.plan(killAgent)
	m.StartsAt = session.Millis(time.Now())
	m.EndsAt = m.StartsAt.Add(time.Hour)
	m.Deadline = m.EndsAt.Add(m.Overrun)
	m.Policy.MinInterval = time.Millisecond
	m = w.do(w.create(m), session.Begin)
	w.ok(w.Store.Close())

	e := errand{Source: k.Source, Tenant: m.Tenant, Mission: m.ID, Seed: seed}
	acknowledged = k.strike(t, self, e)

	w = newWorld(t, k.Open(t))
	w.clock(time.Time{})
	stored = e.inspect(w, m, acknowledged)
	w.do(m, session.End)
	w.ok(w.Store.Close())
	return acknowledged, stored
}

// strike starts a victim, kills it at a random moment and returns how many
// pings it said are stored.
func (k *Killing) strike(t *testing.T, self string, e errand) (acknowledged int) {
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	victim := exec.CommandContext(t.Context(), self)
	victim.Env = append(os.Environ(), killEnv+"="+string(text))
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(e.Seed, 1))
	after := 1 + random.IntN(40)
	for lines, scanner := 0, bufio.NewScanner(out); scanner.Scan(); lines++ {
		n, err := strconv.Atoi(scanner.Text())
		if err != nil {
			t.Errorf("victim said %q", scanner.Text())
		}
		acknowledged = max(acknowledged, n) // the last line may be cut short
		if lines != after {
			continue
		}
		for range random.IntN(2_000) { // somewhere inside the batches that follow
			sha256.Sum256(text)
		}
		if k.Strike != nil {
			k.Strike(t, victim.Process)
		} else if err := victim.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if err := victim.Wait(); victim.ProcessState.Exited() {
		t.Errorf("the victim was not killed but ended: %v", err)
	}
	return acknowledged
}

// inspect checks what is stored: whole batches from the first on, as they were
// sent, each ping once, and no fewer than were acknowledged.
func (e errand) inspect(w *world, m *session.Mission, acknowledged int) (stored int) {
	rows := map[int64]session.Row{}
	for _, row := range w.track(m, 1000) {
		rows[row.Slot] = row
	}
	batches := e.batches(m)
	last := (*session.Submission)(nil)
	for stored < len(rows) {
		s := batches()
		for i, p := range s.Pings {
			row, ok := rows[p.Timestamp]
			if !ok || string(row.Sealed) != string(s.Sealed[i]) || row.At.UnixMilli() > p.Timestamp || row.Agent != killAgent {
				w.Errorf("ping %d of %d stored, %d acknowledged, is not there as it was sent (there: %v)", stored+i, len(rows), acknowledged, ok)
			}
		}
		stored += len(s.Pings)
		last = s
	}
	if stored != len(rows) || stored < acknowledged {
		w.Errorf("%d positions are stored: want %d acknowledged or more, and whole batches", len(rows), acknowledged)
	}
	w.stored(m, stored)
	if last == nil {
		return stored
	}
	// A phone that heard nothing sends again.
	w.ok(w.Store.Append(w.Context(), []*session.Submission{last}))
	for _, v := range last.Verdicts {
		if v != session.Unchanged {
			w.Errorf("sent again: verdict %s", name(v))
		}
	}
	w.stored(m, stored)
	return stored
}
