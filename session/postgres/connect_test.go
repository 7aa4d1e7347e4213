package postgres

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ronde/geo"
	"ronde/session"
	"ronde/session/postgres/pgtest"
)

// open migrates a new database and opens it, after the given SQL.
func open(t *testing.T, server *pgtest.Server, sql string) *Store {
	t.Helper()
	dsn := server.CreateDB(t)
	if err := Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), dsn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestSettings: a connection is what the store needs, whatever the database's
// own settings.
func TestSettings(t *testing.T) {
	s := open(t, pgtest.Start(t), `DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
		EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database());
		EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
		EXECUTE format('ALTER DATABASE %I SET search_path = nowhere', current_database());
		EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Kathmandu''', current_database());
	END $$`)
	for name, pool := range map[string]*pgxpool.Pool{"writers": s.writers, "readers": s.pool} {
		for setting, want := range map[string]string{
			"role": "ronde_app", "synchronous_commit": "on", "transaction_isolation": "read committed", "transaction_read_only": "off",
			"search_path": "public, pg_temp", "timezone": "UTC", "jit": "off", "statement_timeout": "4s", "lock_timeout": "2s",
			"idle_in_transaction_session_timeout": "8s", "log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0",
		} {
			var got string
			if err := pool.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %s, %v: want %s", name, setting, got, err, want)
			}
		}
	}
}

// TestDemoted: a connection to a server that has become a replica is given up,
// so that the next one is made to the primary.
func TestDemoted(t *testing.T) {
	s := open(t, pgtest.Start(t), "")
	conn, err := s.writers.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err = conn.Exec(t.Context(), "SELECT 1/0"); err == nil || conn.Conn().IsClosed() {
		t.Errorf("after an ordinary error (%v) the connection is closed: %v", err, conn.Conn().IsClosed())
	}
	_, err = conn.Exec(t.Context(), "BEGIN READ ONLY; DELETE FROM latest")
	if !errors.Is(storeError(err), session.ErrUnavailable) || !conn.Conn().IsClosed() {
		t.Errorf("after %v the connection is open", err)
	}
}

// TestServerLog is I5 for the server's log: even one that writes down every
// statement, its parameters and every error holds nothing of what they carry.
func TestServerLog(t *testing.T) {
	server := pgtest.StartPrivate(t)
	s := open(t, server, `DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET log_min_duration_statement = 0', current_database());
		EXECUTE format('ALTER DATABASE %I SET log_error_verbosity = verbose', current_database());
	END $$`)
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	canary := bytes.Repeat([]byte("canary-bytes-"), 10)
	now := session.Millis(time.Now())
	ok(s.EnsureTenant(ctx, "acme"))
	key := session.APIKey{ID: session.NewID(), Tenant: "acme", Role: session.Platform, Hash: canary[:32], CreatedAt: now}
	ok(s.CreateAPIKey(ctx, key))
	if err := s.CreateAPIKey(ctx, key); err == nil {
		t.Error("one key twice")
	}
	m := &session.Mission{
		ID: session.NewID(), Tenant: "acme", Reference: "canary-reference", State: session.Scheduled,
		Site:     geo.Site{Name: "canary-site", Center: geo.Point{Latitude: 48.7654321, Longitude: 2.3456789}, RadiusM: 80},
		StartsAt: now, EndsAt: now.Add(time.Hour), Deadline: now.Add(time.Hour),
		Policy: session.DefaultPolicy(), Agents: []session.Agent{{ID: "badge-1", Alias: "A1"}},
	}
	ok(s.CreateMission(ctx, m))
	if err := s.CreateMission(ctx, m); err == nil {
		t.Error("one mission twice")
	}
	bad := m.Clone()
	bad.ID, bad.Policy.RetentionDays = session.NewID(), 0
	if err := s.CreateMission(ctx, bad); err == nil {
		t.Error("a mission that breaks a rule")
	}
	begin := func(m *session.Mission) error {
		return m.Apply(session.Command{Action: session.Begin, By: session.ByPlatform}, m.ReadAt)
	}
	begun, err := s.UpdateMission(ctx, "acme", m.ID, begin)
	ok(err)
	sub := &session.Submission{
		Ref: session.Ref{Tenant: "acme", ID: m.ID}, Agent: "badge-1",
		Pings: []session.Ping{{Timestamp: begun.BeganAt.UnixMilli()}}, Sealed: [][]byte{canary},
	}
	ok(s.Append(ctx, []*session.Submission{sub}))
	_, err = s.writers.Exec(ctx, "ALTER TABLE positions RENAME TO loot")
	if err == nil {
		t.Error("the application renamed a table")
	}
	admin, err := pgx.Connect(ctx, server.DSN(s.pool.Config().ConnConfig.Database))
	ok(err)
	defer admin.Close(ctx)
	_, err = admin.Exec(ctx, "DROP TABLE positions CASCADE")
	ok(err)
	if err := s.Append(ctx, []*session.Submission{sub}); err == nil {
		t.Error("stored without a table")
	}

	inspectLog(t, server.LogFile)
}

// inspectLog checks that everything TestServerLog did has been logged, and
// nothing of what it carried.
func inspectLog(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	log := string(text)
	for _, expected := range []string{"ronde_append", "INSERT INTO missions", "duplicate key value", `relation "positions" does not exist`} {
		if !strings.Contains(log, expected) {
			t.Errorf("the log does not hold %q: this tested nothing", expected)
		}
	}
	for _, secret := range []string{"canary", hex.EncodeToString([]byte("canary")), "48.7654321", "2.3456789"} {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("the log holds %q: %s", secret, log[max(0, i-300):i+50])
		}
	}
}
