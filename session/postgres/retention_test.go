package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
	"ronde/session/storetest"
)

// newKeyring returns a keyring in a database of its own.
func newKeyring(t *testing.T, s *pgtest.Server, root session.RootSecret) session.Keyring {
	t.Helper()
	dsn := s.CreateDB(t)
	if err := keyring.Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.OpenDatabase(t.Context(), dsn, root, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ring.Close() })
	return ring
}

func TestRetention(t *testing.T) {
	server := pgtest.Start(t)
	storetest.RunRetention(t, func(t *testing.T) storetest.Installation {
		root := session.NewRootSecret()
		return newClockedDatabase(t, server).installation(t, root, newKeyring(t, server, root))
	})
}

func (d *database) installation(t *testing.T, root session.RootSecret, ring session.Keyring) storetest.Installation {
	return storetest.Installation{Fixture: d.fixture(t), Keys: storetest.Keys{
		Root: root, Ring: ring,
		Another: func(t *testing.T) session.Store { return d.open(t, postgres.Options{}) },
		Exec:    func(t *testing.T, sql string) { d.exec(t, sql) },
		Number:  func(t *testing.T, sql string) int { return d.count(t, sql) },
	}}
}

// TestRestore: the backup of the store is a base backup with its log, that of the
// keyring a copy of its folder.
func TestRestore(t *testing.T) {
	server := pgtest.StartPrivate(t)
	d := newClockedDatabase(t, server)
	root, dir := session.NewRootSecret(), filepath.Join(t.TempDir(), "keyring")
	storetest.Restore(t, storetest.Restoring{
		Installation: d.installation(t, root, newFolder(t, dir, root)),
		Backup: func(t *testing.T) func(t *testing.T) storetest.Fixture {
			restore := server.Backup(t)
			return func(t *testing.T) storetest.Fixture {
				copied := &database{dsn: restore(t).DSN(filepath.Base(strings.TrimSuffix(d.dsn, "?sslmode=disable")))}
				copied.connect(t)
				return copied.fixture(t)
			}
		},
		BackupKeys: func(t *testing.T) func(t *testing.T) session.Keyring {
			kept := filepath.Join(t.TempDir(), "keyring")
			if err := errors.Join(os.CopyFS(kept, os.DirFS(dir)), os.Chmod(kept, 0o700)); err != nil {
				t.Fatal(err)
			}
			return func(t *testing.T) session.Keyring { return newFolder(t, kept, root) }
		},
	})
}

func newFolder(t *testing.T, dir string, root session.RootSecret) session.Keyring {
	t.Helper()
	ring, err := keyring.OpenFolder(dir, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ring.Close() })
	return ring
}

// TestColumns: the table of data classes names every column of this database.
func TestColumns(t *testing.T) {
	d := newDatabase(t, pgtest.Start(t))
	rows, err := d.admin.Query(t.Context(), `SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	storetest.Columns(t, rows)
}

// expired returns a database with one mission whose expiry day has come, and one
// that goes on, with what appends to it.
func expired(t *testing.T) (f *fleet, day time.Time) {
	t.Helper()
	d := newClockedDatabase(t, pgtest.Start(t))
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	d.exec(t, "UPDATE test_clock SET at = $1", start)
	s := d.open(t, postgres.Options{})
	if err := s.EnsureTenant(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	m := newMission("badge-old", start)
	m.Policy.RetentionDays = 1
	if err := s.CreateMission(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m = apply(t, s, m, session.Begin)
	if err := s.Append(t.Context(), []*session.Submission{{
		Ref: session.Ref{Tenant: "acme", ID: m.ID}, Agent: m.Agents[0].ID,
		Pings: []session.Ping{{Timestamp: start.UnixMilli()}}, Sealed: [][]byte{make([]byte, session.SealedSize)},
	}}); err != nil {
		t.Fatal(err)
	}
	apply(t, s, m, session.End)
	d.exec(t, "UPDATE test_clock SET at = NULL")
	return newFleet(t, d, 1), m.ExpiresOn.Time()
}

// TestDropStallsNobody: while a reader keeps a partition open that is to be
// dropped, appends go on, and so do reads of other days; it is dropped once the
// reader has gone.
func TestDropStallsNobody(t *testing.T) {
	f, day := expired(t)
	f.exec(t, "UPDATE expiry SET before = $1", day.AddDate(0, 0, 1))
	s := f.open(t, postgres.Options{})
	// By its own patience the drop would wait for half a minute, and appends give
	// up long before.
	patient := f.open(t, postgres.Options{Patience: time.Minute})
	release := f.hold(t, "SELECT count(*) FROM positions WHERE expires_on = '"+day.Format(time.DateOnly)+"'")
	defer release()
	over, dropped := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(over)
		var err error
		for range 3 {
			_, err = patient.PurgePositions(context.WithoutCancel(t.Context()), session.DayOf(day)+1)
		}
		dropped <- err
	}()
	appended := 0
	for going := true; going; {
		select {
		case <-over:
			going = false
		default:
		}
		batch := f.batch(1, 1)
		if err := s.Append(t.Context(), batch); err != nil {
			t.Fatalf("behind a drop that waits: %v", err)
		}
		appended++
		if _, err := s.Track(t.Context(), "acme", batch[0].ID, session.Cursor{}, 10); err != nil {
			t.Fatalf("a read of another day: %v", err)
		}
	}
	if err := <-dropped; err == nil {
		t.Error("a partition that a reader has open was dropped")
	}
	release()
	if _, err := s.PurgePositions(t.Context(), session.DayOf(day)+1); err != nil {
		t.Errorf("once the reader has gone: %v", err)
	}
	if n := f.count(t, "SELECT count(*) FROM pg_class WHERE relname = 'positions_"+day.Format("20060102")+"'"); n != 0 {
		t.Error("the partition is still there")
	}
	t.Logf("%d appends while the reader was there", appended)
}

// TestClaimWaitsForHolds: a sweep that claims a day waits for whoever is setting a
// hold and has read that the day was not claimed, and then knows of the hold.
func TestClaimWaitsForHolds(t *testing.T) {
	f, day := expired(t)
	s, other := f.open(t, postgres.Options{}), f.open(t, postgres.Options{})
	before := day.Add(-time.Millisecond)
	f.exec(t, "UPDATE test_clock SET at = $1", before)
	list, err := s.Missions(t.Context(), "acme", session.MissionFilter{Agent: "badge-old"}, uuid.Nil, 1)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	type claim struct {
		kept []session.Pin
		err  error
	}
	claimed := make(chan claim, 1)
	_, err = s.UpdateHold(t.Context(), "acme", list[0].ID, "", func(c *session.HoldChange) error {
		c.Hold = session.Hold{ID: session.NewID(), Reason: "a dispute", SetAt: before, Until: day.AddDate(0, 1, 0)}
		f.exec(t, "UPDATE test_clock SET at = $1", day)
		go func() {
			_, kept, err := other.ClaimDays(t.Context())
			claimed <- claim{kept, err}
		}()
		for end := time.Now().Add(30 * time.Second); f.count(t, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%ronde_claim_days%'`) == 0; {
			if len(claimed) > 0 || time.Now().After(end) {
				t.Error("the claim does not wait for the hold")
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := <-claimed; got.err != nil || len(got.kept) != 1 || got.kept[0].SaltID != (session.SaltID{Tenant: "acme", Day: session.DayOf(day)}) {
		t.Errorf("claimed but for %v, %v; want the day %v kept, which is held", got.kept, got.err, session.DayOf(day))
	}
}

// TestRetentionGuards: the application can put nothing into the archive, undo no
// claim, remove no day and read no other tenant's holds, whatever it says.
func TestRetentionGuards(t *testing.T) {
	f, day := expired(t)
	f.exec(t, `INSERT INTO tenants (name, created_at) VALUES ('globex', now())`)
	f.exec(t, `INSERT INTO holds (id, tenant, mission, reason, role, subject, set_at, until)
		SELECT gen_random_uuid(), tenant, id, 'a dispute', 'operator', gen_random_uuid(), now(), now() + interval '1 day' FROM missions WHERE ended_at IS NOT NULL`)
	for _, sql := range []string{
		"INSERT INTO archive (tenant, hold, agent, slot, at, sealed) SELECT tenant, id, 'badge-old', 1, now(), '\\x00' FROM holds",
		"UPDATE archive SET sealed = '\\x00'",
		"DELETE FROM archive",
		"UPDATE holds SET copied_at = now()",
		"UPDATE holds SET gone_at = now()",
		"DELETE FROM holds",
		"UPDATE expiry SET before = '2000-01-01'",
		"DROP TABLE positions_" + day.Format("20060102"),
		"SELECT ronde_drop_partition('" + day.Format(time.DateOnly) + "')", // not claimed
		"UPDATE missions SET reference = ''",
		"UPDATE windows SET agent = 'another'",
	} {
		if err := f.asApp(t, "acme", sql, nil); err == nil {
			t.Errorf("the application may: %s", sql)
		}
	}
	for tenant, want := range map[string]int{"acme": 1, "globex": 0, "": 0} {
		var n int
		if err := f.asApp(t, tenant, "SELECT count(*) FROM holds", &n); err != nil || n != want {
			t.Errorf("tenant %q sees %d holds, %v; want %d", tenant, n, err, want)
		}
	}
	f.exec(t, "UPDATE expiry SET before = $1", day.AddDate(0, 0, 1))
	// A hold that is not copied keeps the partition, whoever asks.
	if err := f.asApp(t, "acme", "SELECT ronde_drop_partition('"+day.Format(time.DateOnly)+"')", nil); err == nil {
		t.Error("a day with a hold that is not copied was removed")
	}
}

// asApp runs one statement as a node does, for a tenant.
func (d *database) asApp(t *testing.T, tenant, sql string, n *int) error {
	t.Helper()
	return pgx.BeginFunc(t.Context(), d.admin, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "SET LOCAL ROLE ronde_app"); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), "SELECT set_config('ronde.tenant', $1, true)", tenant); err != nil {
			return err
		}
		if n == nil {
			_, err := tx.Exec(t.Context(), sql)
			return err
		}
		return tx.QueryRow(t.Context(), sql).Scan(n)
	})
}
