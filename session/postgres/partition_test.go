package postgres_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// TestPartitionRace: many nodes begin missions that expire on new days at once,
// while others append.
func TestPartitionRace(t *testing.T) {
	d := newDatabase(t, pgtest.Start(t))
	f := newFleet(t, d, 4)
	nodes := []*postgres.Store{d.open(t, postgres.Options{}), d.open(t, postgres.Options{}), d.open(t, postgres.Options{})}
	const missions, days = 24, 6
	var begins, appends sync.WaitGroup
	over := make(chan struct{})
	appends.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			if err := nodes[0].Append(t.Context(), f.batch(4, 5)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	now := session.Millis(time.Now())
	for i := range missions {
		m := newMission(fmt.Sprintf("race-%d", i), now)
		m.Policy.RetentionDays = 1 + i%days
		begins.Go(func() {
			s := nodes[i%len(nodes)]
			if err := s.CreateMission(t.Context(), m); err != nil {
				t.Error(err)
				return
			}
			begun := apply(t, s, m, session.Begin)
			batch := []*session.Submission{{
				Ref: session.Ref{Tenant: "acme", ID: m.ID}, Agent: m.Agents[0].ID,
				Pings: []session.Ping{{Timestamp: begun.BeganAt.UnixMilli()}}, Sealed: [][]byte{f.sealed},
			}}
			if err := s.Append(t.Context(), batch); err != nil || batch[0].Verdicts[0] != session.Stored {
				t.Errorf("after the begin: %v, %v", batch[0].Verdicts, err)
			}
		})
	}
	begins.Wait()
	close(over)
	appends.Wait()
	if n := d.count(t, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'positions'::regclass"); n != days+1 {
		t.Errorf("%d partitions, want %d", n, days+1)
	}
}

// TestPartitionStallsNobody: a transaction that has made a partition and stays
// open holds up neither appends nor reads nor another day's partition.
func TestPartitionStallsNobody(t *testing.T) {
	f := newFleet(t, newDatabase(t, pgtest.Start(t)), 1)
	s := f.open(t, postgres.Options{})
	release := f.hold(t, "SELECT ronde_partition((ronde_now() AT TIME ZONE 'UTC')::date + 50)")
	defer release()
	batch := f.batch(1, 2)
	if err := s.Append(t.Context(), batch); err != nil || !slices.Equal(batch[0].Verdicts, []session.Verdict{session.Stored, session.Stored}) {
		t.Errorf("verdicts %v, %v", batch[0].Verdicts, err)
	}
	if rows, err := s.Track(t.Context(), "acme", batch[0].ID, session.Cursor{}, 10); err != nil || len(rows) != 2 {
		t.Errorf("track %v, %v", rows, err)
	}
}

// TestMissingPartition: one that was lost is made again by the next ping, and
// if its day has passed only its own missions' pings have to wait.
func TestMissingPartition(t *testing.T) {
	d := newClockedDatabase(t, pgtest.Start(t))
	s := d.open(t, postgres.Options{})
	start := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	d.exec(t, "UPDATE test_clock SET at = $1", start)
	if err := s.EnsureTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	var missions []*session.Mission
	for i := range 5 {
		m := newMission(fmt.Sprintf("badge-%d", i), start)
		m.EndsAt = start.Add(70 * time.Hour)
		m.Deadline = m.EndsAt
		m.Policy.RetentionDays = 1 + i // the first expires while it lasts
		if err := s.CreateMission(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		missions = append(missions, apply(t, s, m, session.Begin))
	}
	send := func(at time.Time, want ...session.Verdict) {
		t.Helper()
		d.exec(t, "UPDATE test_clock SET at = $1", at)
		var batch []*session.Submission
		for _, m := range missions {
			batch = append(batch, &session.Submission{
				Ref: session.Ref{Tenant: "acme", ID: m.ID}, Agent: m.Agents[0].ID,
				Pings: []session.Ping{{Timestamp: at.UnixMilli()}}, Sealed: [][]byte{make([]byte, session.SealedSize)},
			})
		}
		if err := s.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		for i, sub := range batch {
			if !slices.Equal(sub.Verdicts, want[i:i+1]) || sub.Now != at.UnixMilli() {
				t.Errorf("mission %d: verdicts %v at %d, want %v", i, sub.Verdicts, sub.Now, want[i])
			}
		}
	}
	const stored, undecided = session.Stored, session.Undecided
	d.exec(t, "DROP TABLE positions_20261122, positions_20261124")
	send(start.Add(time.Minute), stored, stored, stored, stored, stored)
	d.exec(t, "DROP TABLE positions_20261122, positions_20261125")
	send(start.Add(50*time.Hour), undecided, stored, stored, stored, stored)
	if n := d.count(t, "SELECT count(*) FROM pg_class WHERE relname = 'positions_20261122'"); n != 0 {
		t.Error("the partition of a day that has passed was made again")
	}
}
