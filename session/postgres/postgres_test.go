package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
	"ronde/session/storetest"
)

// testClock replaces the clock of the database: it stands still at the time in
// a table, or follows the real one if that is null.
const testClock = `
CREATE TABLE test_clock (at timestamptz);
INSERT INTO test_clock VALUES (NULL);
GRANT SELECT ON test_clock TO ronde_app, ronde_judge, ronde_owner;
CREATE OR REPLACE FUNCTION ronde_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS
	'SELECT coalesce((SELECT at FROM public.test_clock), pg_catalog.date_trunc(''milliseconds'', pg_catalog.clock_timestamp()))';`

// outside counts the positions whose time lies in no window of their agent and
// mission.
const outside = `SELECT count(*) FROM positions p WHERE NOT EXISTS (
	SELECT FROM windows w WHERE w.mission = p.mission AND w.agent = p.agent
		AND p.at >= w.opened AND (w.closed IS NULL OR p.at < w.closed))`

// database is a migrated database of its own.
type database struct {
	dsn   string
	admin *pgxpool.Pool // as superuser
}

func newDatabase(tb testing.TB, s *pgtest.Server) *database {
	tb.Helper()
	d := &database{dsn: s.CreateDB(tb)}
	if err := postgres.Migrate(tb.Context(), d.dsn); err != nil {
		tb.Fatal(err)
	}
	d.connect(tb)
	return d
}

// connect gives the test its own connections.
func (d *database) connect(tb testing.TB) {
	tb.Helper()
	config, err := pgxpool.ParseConfig(d.dsn)
	if err != nil {
		tb.Fatal(err)
	}
	// The server may have been restarted in between.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
	if d.admin, err = pgxpool.NewWithConfig(tb.Context(), config); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(d.admin.Close)
}

// exec runs SQL as superuser, which may hold several statements if it takes no
// arguments.
func (d *database) exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := d.admin.Exec(context.WithoutCancel(tb.Context()), sql, args...); err != nil {
		tb.Fatal(err)
	}
}

// count returns the number that SQL selects.
func (d *database) count(tb testing.TB, sql string, args ...any) (n int) {
	tb.Helper()
	if err := d.admin.QueryRow(context.WithoutCancel(tb.Context()), sql, args...).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (d *database) open(tb testing.TB, o postgres.Options) *postgres.Store {
	tb.Helper()
	s, err := postgres.Open(tb.Context(), d.dsn, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// fixture opens the database for the suite. The clock must be the test's.
func (d *database) fixture(t *testing.T) storetest.Fixture {
	return storetest.Fixture{
		Store: d.open(t, postgres.Options{}),
		SetClock: func(at time.Time) {
			if at.IsZero() {
				d.exec(t, "UPDATE test_clock SET at = NULL")
				return
			}
			d.exec(t, "UPDATE test_clock SET at = $1", at)
		},
		Outside: func(t *testing.T) int { return d.count(t, outside) },
		Count: func(t *testing.T, m uuid.UUID) int {
			return d.count(t, "SELECT count(*) FROM positions WHERE mission = $1", m)
		},
		Latest: func(t *testing.T, m uuid.UUID) int {
			return d.count(t, "SELECT count(*) FROM latest WHERE mission = $1", m)
		},
		Rows: d.rows,
	}
}

// rows returns all rows of every table, as text.
func (d *database) rows(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	tables := d.texts(t, `SELECT relname::text FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`)
	for _, table := range tables {
		all[table] = d.texts(t, "SELECT x::text FROM "+table+" x ORDER BY x::text")
	}
	return all
}

// texts returns the one column of a query.
func (d *database) texts(tb testing.TB, sql string) []string {
	tb.Helper()
	rows, _ := d.admin.Query(tb.Context(), sql)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

// newClockedDatabase returns a database whose clock is the test's.
func newClockedDatabase(tb testing.TB, s *pgtest.Server) *database {
	tb.Helper()
	d := newDatabase(tb, s)
	d.exec(tb, testClock)
	return d
}

func TestStore(t *testing.T) {
	d := newClockedDatabase(t, pgtest.Start(t))
	storetest.Run(t, d.fixture)
}
