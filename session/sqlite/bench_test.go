package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
	"ronde/session/sqlite"
)

// BenchmarkAppend measures a durable append, as the recorder makes them: of
// pings of as many agents as there are pings ("live") or of one agent who was
// offline ("backlog"); and beside it the same rows by a plain prepared insert
// with the same durability, into a table without triggers ("ungated").
func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 42, 500} {
		b.Run(fmt.Sprintf("live/%d", n), func(b *testing.B) { benchmarkAppend(b, n, 1) })
		if n > 1 {
			b.Run(fmt.Sprintf("backlog/%d", n), func(b *testing.B) { benchmarkAppend(b, 1, n) })
		}
		b.Run(fmt.Sprintf("ungated/%d", n), func(b *testing.B) { benchmarkInsert(b, n) })
	}
}

func benchmarkAppend(b *testing.B, submissions, pings int) {
	now := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	ctx := context.Background()
	store, err := sqlite.Open(ctx, b.TempDir()+"/ronde.db", func() time.Time { return now })
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	if err := store.EnsureTenant(ctx, "acme"); err != nil {
		b.Fatal(err)
	}
	var batch []*session.Submission
	for i := range submissions {
		m := &session.Mission{
			ID: session.NewID(), Tenant: "acme", Reference: "M-1", State: session.Scheduled,
			Site:     geo.Site{Name: "Entrepôt", Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80},
			StartsAt: now, EndsAt: now.Add(71 * time.Hour), Deadline: now.Add(71 * time.Hour),
			Policy: session.DefaultPolicy(),
			Agents: []session.Agent{{ID: fmt.Sprintf("badge-%d", i), Alias: "A1"}},
		}
		m.Policy.MinInterval = time.Millisecond
		if err := store.CreateMission(ctx, m); err != nil {
			b.Fatal(err)
		}
		_, err := store.UpdateMission(ctx, "acme", m.ID, func(m *session.Mission) error {
			return m.Apply(session.Command{Action: session.Begin, By: session.ByPlatform}, m.ReadAt)
		})
		if err != nil {
			b.Fatal(err)
		}
		s := &session.Submission{Ref: session.Ref{Tenant: "acme", ID: m.ID}, Agent: m.Agents[0].ID, Pings: make([]session.Ping, pings)}
		for range pings {
			s.Sealed = append(s.Sealed, make([]byte, session.SealedSize))
		}
		batch = append(batch, s)
	}
	timestamp := now.UnixMilli()
	now = now.Add(70 * time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		for range pings {
			timestamp++
		}
		for _, s := range batch {
			for i := range s.Pings {
				s.Pings[i].Timestamp = timestamp - int64(pings-1-i)
			}
		}
		if err := store.Append(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	for _, s := range batch {
		for _, v := range s.Verdicts {
			if v != session.Stored {
				b.Fatalf("verdict %d", v)
			}
		}
	}
	perRow(b, submissions*pings)
}

func benchmarkInsert(b *testing.B, n int) {
	ctx := context.Background()
	db, err := sql.Open("sqlite3", "file:"+b.TempDir()+"/plain.db?_journal_mode=WAL&_synchronous=FULL&_secure_delete=on&_cache_size=-32000")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.ExecContext(ctx, `CREATE TABLE positions (expires_on TEXT NOT NULL, mission TEXT NOT NULL, agent TEXT NOT NULL,
		slot INTEGER NOT NULL, at INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (expires_on, mission, agent, slot)) STRICT, WITHOUT ROWID`); err != nil {
		b.Fatal(err)
	}
	insert, err := conn.PrepareContext(ctx, "INSERT INTO positions VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = insert.Close() }()
	var missions []any
	for range n {
		missions = append(missions, session.NewID().String())
	}
	sealed := make([]byte, session.SealedSize)
	slot := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
			b.Fatal(err)
		}
		slot++
		for i := range n {
			if _, err := insert.ExecContext(ctx, "2026-12-21", missions[i], "badge-1", slot, slot, sealed); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b, n)
}

func perRow(b *testing.B, n int) {
	rows := float64(b.N) * float64(n)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/rows, "ns/row")
	b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
}
