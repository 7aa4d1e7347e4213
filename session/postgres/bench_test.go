package postgres_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ronde/geo"
	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// BenchmarkAppend measures one connection that appends batches of pings, each
// of another mission, or one backlog of a single agent; and, in the same run, a
// COPY of the same rows into the same table with nothing judged. One operation
// is one row. us-pg/row is the processor time of PostgreSQL's own process for
// that connection.
func BenchmarkAppend(b *testing.B) {
	d := newDatabase(b, pgtest.Start(b))
	f := newFleet(b, d, 500)
	for _, size := range []int{1, 42, 500} {
		b.Run(fmt.Sprintf("gated/%d", size), func(b *testing.B) { benchmarkGated(b, f, size, 1, session.Stored) })
	}
	b.Run("gated/backlog-500", func(b *testing.B) { benchmarkGated(b, f, 1, 500, session.Stored) })
	b.Run("resent/42", func(b *testing.B) { benchmarkGated(b, f, 42, 1, session.Unchanged) })
	b.Run("refused/42", func(b *testing.B) { benchmarkGated(b, f, 42, 1, session.TooFrequent) })
	for _, size := range []int{1, 42, 500} {
		b.Run(fmt.Sprintf("copy/%d", size), func(b *testing.B) { benchmarkCopy(b, f, size) })
	}
}

// fleet is many active missions of one agent each, whose windows opened long
// enough ago to take any number of pings.
type fleet struct {
	*database
	missions []*session.Mission
	next     int64 // milliseconds since the fleet began
	sealed   []byte
}

const fleetAge = 60 * time.Hour

func newFleet(tb testing.TB, d *database, n int) *fleet {
	tb.Helper()
	f := &fleet{database: d, sealed: make([]byte, session.SealedSize)}
	s, err := postgres.Open(tb.Context(), d.dsn, postgres.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Close()
	if err := s.EnsureTenant(tb.Context(), "acme"); err != nil {
		tb.Fatal(err)
	}
	now := session.Millis(time.Now())
	for i := range n {
		m := newMission(fmt.Sprintf("badge-%d", i), now)
		m.Policy.MinInterval = time.Millisecond
		if err := s.CreateMission(tb.Context(), m); err != nil {
			tb.Fatal(err)
		}
		f.missions = append(f.missions, apply(tb, s, m, session.Begin))
	}
	d.exec(tb, fmt.Sprintf("UPDATE windows SET opened = opened - interval '%d s'; ANALYZE", int(fleetAge.Seconds())))
	return f
}

// newMission returns a mission of the tenant acme that starts now, not stored.
func newMission(agent string, now time.Time) *session.Mission {
	return &session.Mission{
		ID: session.NewID(), Tenant: "acme", Reference: "M-1", State: session.Scheduled,
		Site:     geo.Site{Name: "Entrepôt", Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80},
		StartsAt: now, EndsAt: now.Add(8 * time.Hour), Deadline: now.Add(8 * time.Hour), EarlyBegin: time.Hour,
		Policy: session.DefaultPolicy(), Agents: []session.Agent{{ID: agent, Alias: "A1"}},
	}
}

// apply carries out an action on behalf of the platform.
func apply(tb testing.TB, s session.Store, m *session.Mission, a session.Action) *session.Mission {
	tb.Helper()
	m, err := s.UpdateMission(tb.Context(), m.Tenant, m.ID, func(m *session.Mission) error {
		return m.Apply(session.Command{Action: a, By: session.ByPlatform}, m.ReadAt)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// batch returns submissions of so many missions with so many new pings each.
func (f *fleet) batch(missions, pings int) []*session.Submission {
	batch := make([]*session.Submission, missions)
	for i := range batch {
		m := f.missions[(int(f.next)+i)%len(f.missions)]
		s := &session.Submission{Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Agent: m.Agents[0].ID}
		for k := range pings {
			s.Pings = append(s.Pings, session.Ping{Timestamp: f.missions[0].BeganAt.Add(-fleetAge).UnixMilli() + 10_000 + f.next + int64(k)})
			s.Sealed = append(s.Sealed, f.sealed)
		}
		batch[i] = s
	}
	f.next += int64(pings)
	return batch
}

func benchmarkGated(b *testing.B, f *fleet, missions, pings int, want session.Verdict) {
	s := f.open(b, postgres.Options{Writers: 1, Readers: 1})
	_, _ = rand.Read(f.sealed)
	batch := f.batch(missions, pings)
	if err := s.Append(b.Context(), batch); err != nil { // plans
		b.Fatal(err)
	}
	if want == session.TooFrequent {
		_, _ = rand.Read(f.sealed) // the batch holds it: now it is of other positions
	}
	usage := f.backends(b, "query LIKE '%ronde_append%'")
	before := usage()
	b.ReportAllocs()
	b.ResetTimer()
	rows := 0
	for rows < b.N {
		b.StopTimer()
		if want == session.Stored {
			batch = f.batch(missions, pings)
		}
		b.StartTimer()
		if err := s.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		for _, sub := range batch {
			for _, v := range sub.Verdicts {
				if v != want {
					b.Fatalf("verdict %d", v)
				}
			}
		}
		rows += missions * pings
	}
	b.StopTimer()
	report(b, rows, usage()-before)
}

func benchmarkCopy(b *testing.B, f *fleet, size int) {
	conn, err := pgx.Connect(b.Context(), f.dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	usage := f.backends(b, fmt.Sprintf("pid = %d", conn.PgConn().PID()))
	before := usage()
	_, _ = rand.Read(f.sealed)
	b.ReportAllocs()
	b.ResetTimer()
	rows := 0
	for rows < b.N {
		b.StopTimer()
		batch := f.batch(size, 1)
		table := make([][]any, size)
		for i, s := range batch {
			at := s.Pings[0].Timestamp
			table[i] = []any{f.missions[0].ExpiresOn.Time(), s.ID, s.Agent, at, time.UnixMilli(at), f.sealed}
		}
		b.StartTimer()
		_, err := conn.CopyFrom(b.Context(), pgx.Identifier{"positions"},
			[]string{"expires_on", "mission", "agent", "slot", "at", "sealed"}, pgx.CopyFromRows(table))
		if err != nil {
			b.Fatal(err)
		}
		rows += size
	}
	b.StopTimer()
	report(b, rows, usage()-before)
}

func report(b *testing.B, rows int, cpu time.Duration) {
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/1000/float64(rows), "us-pg/row")
}

// backends returns a function that returns the processor time so far of the
// database's sessions that the condition on pg_stat_activity names.
func (d *database) backends(tb testing.TB, condition string) func() time.Duration {
	tb.Helper()
	rows, _ := d.admin.Query(tb.Context(), `SELECT pid FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND `+condition)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil || len(pids) == 0 {
		tb.Fatalf("no session %s: %v", condition, err)
	}
	return func() (sum time.Duration) {
		for _, pid := range pids {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
			if err != nil {
				return 0 // no figure where there is no such file
			}
			ns, _ := strconv.ParseInt(strings.Fields(string(stat))[0], 10, 64)
			sum += time.Duration(ns)
		}
		return sum
	}
}
