package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// untenanted are the tables that hold nothing of a tenant's. Every other table
// must have row-level security: a new one that is forgotten fails TestIsolation.
var untenanted = map[string]bool{
	"ronde_schema": true, "keyring": true, "erasures": true, "expiry": true, "nodes": true, "access_hashes": true, "access_checkpoints": true,
}

const denied = "42501" // insufficient privilege; row-level security says the same

// populated is a database in which the tenant acme has rows in every table, and
// a login that may serve.
type populated struct {
	*database
	login  string
	tables []string
}

func newPopulated(t *testing.T) *populated {
	t.Helper()
	p := &populated{database: newDatabase(t, pgtest.Start(t)), login: "isolation_node"}
	p.exec(t, "CREATE ROLE isolation_node LOGIN; GRANT ronde_app TO isolation_node")
	t.Cleanup(func() { p.exec(t, "DROP ROLE isolation_node") })
	ctx, s := t.Context(), p.open(t, postgres.Options{})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := session.Millis(time.Now())
	ok(s.EnsureTenant(ctx, "acme"))
	ok(s.EnsureTenant(ctx, "stranger"))
	ok(s.CreateAPIKey(ctx, session.APIKey{ID: session.NewID(), Tenant: "acme", Role: session.Platform, Hash: make([]byte, 32), CreatedAt: now}))
	_, err := s.PublishNotice(ctx, "acme", session.Notice{Text: "avis"})
	ok(err)
	ok(s.Acknowledge(ctx, "acme", "badge-0", 1))
	ok(s.Acknowledge(ctx, "acme", "badge-1", 1))
	_, err = s.Bar(ctx, session.Tombstone{Tenant: "acme", Agent: "badge-9", Pseudonym: "erased-9"})
	ok(err)
	node, err := s.Attend(ctx, uuid.Nil)
	ok(err)
	for i, track := range []bool{true, false} {
		m := newMission(fmt.Sprintf("badge-%d", i), now)
		m.Policy.Track = track
		ok(s.CreateMission(ctx, m))
		m = apply(t, s, m, session.Begin)
		sub := &session.Submission{
			Ref: session.Ref{Tenant: "acme", ID: m.ID}, Agent: m.Agents[0].ID,
			Pings: []session.Ping{{Timestamp: m.BeganAt.UnixMilli()}, {Timestamp: 0}}, Sealed: [][]byte{make([]byte, session.SealedSize)},
		}
		ok(s.Append(ctx, []*session.Submission{sub}))
		if sub.Verdicts[0] != session.Stored || sub.Verdicts[1] != session.OutsideWindow {
			t.Fatalf("verdicts %d", sub.Verdicts)
		}
		ok(s.SaveProgress(ctx, []session.SavedProgress{{
			Ref: session.Ref{Tenant: "acme", ID: m.ID}, Agent: m.Agents[0].ID, Opened: m.BeganAt, At: m.BeganAt, Sealed: []byte("sealed"),
		}}))
		ok(s.CreateOnce(ctx, session.Creation{
			Ref: session.Ref{Tenant: "acme", ID: m.ID}, Receipt: session.ReceiptID{byte(i)}, Seal: func() ([]byte, error) { return []byte("sealed"), nil },
		}))
		link := session.NewID()
		ok(s.CreateLink(ctx, session.Link{ID: link, Tenant: "acme", Mission: m.ID, CreatedAt: now, ExpiresAt: now}))
		ok(s.Watch(ctx, node, []*session.Attendance{{Tenant: "acme", Link: link, Want: 1, New: 1}}))
		h, err := s.UpdateHold(ctx, "acme", m.ID, "", func(c *session.HoldChange) error {
			c.Hold = session.Hold{ID: session.NewID(), Tenant: "acme", Mission: m.ID, Reason: "a dispute", SetAt: m.BeganAt, Until: m.BeganAt.Add(time.Hour)}
			return nil
		})
		ok(err)
		p.exec(t, "INSERT INTO archive (tenant, hold, agent, slot, at, sealed) VALUES ('acme', $1, 'badge-0', 1, now(), '\\x00')", h.ID)
	}
	rows, _ := p.admin.Query(ctx, `SELECT relname FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname`)
	p.tables, err = pgx.CollectRows(rows, pgx.RowTo[string])
	ok(err)
	return p
}

// session opens a connection of the login that has become ronde_app, for a
// tenant unless that is "".
func (p *populated) session(t *testing.T, tenant string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), as(p.dsn, p.login))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	setup := "SET ROLE ronde_app"
	if tenant != "" {
		setup += fmt.Sprintf("; SET ronde.tenant = '%s'", tenant)
	}
	if _, err := conn.Exec(t.Context(), setup); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestIsolation is P27 and I8 below the adapter: raw SQL as the application's
// role, on every table there is.
func TestIsolation(t *testing.T) {
	p := newPopulated(t)
	own, stranger, nobody := p.session(t, "acme"), p.session(t, "stranger"), p.session(t, "")
	for _, table := range p.tables {
		if untenanted[table] {
			continue
		}
		t.Run(table, func(t *testing.T) {
			all := "SELECT count(*) FROM " + table
			if n := p.count(t, `SELECT count(*) FROM pg_class
				WHERE relname = $1 AND relrowsecurity AND relforcerowsecurity`, table); n != 1 {
				t.Errorf("row-level security is not forced")
			}
			if table != "tenants" && p.count(t, all) == 0 {
				t.Fatal("is empty: this test must put something of acme's into it")
			}
			if n := count(t, own, all); n == 0 || n != p.count(t, all+ofAcme(table)) {
				t.Errorf("its tenant sees %d rows", n)
			}
			if n := count(t, stranger, all+ofAcme(table)); n != 0 {
				t.Errorf("another tenant sees %d rows", n)
			}
			if n := count(t, nobody, all); n != 0 {
				t.Errorf("without a tenant %d rows are seen", n)
			}
			p.unmodifiable(t, stranger, table)
		})
	}
}

// ofAcme returns the condition for rows of acme's.
func ofAcme(table string) string {
	switch table {
	case "tenants":
		return " WHERE name = 'acme'"
	case "positions":
		return " WHERE mission IN (SELECT id FROM missions WHERE tenant = 'acme')"
	}
	return " WHERE tenant = 'acme'"
}

func count(t *testing.T, conn *pgx.Conn, sql string) (n int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// unmodifiable tries to change, remove and add rows of acme's on behalf of
// another tenant: nothing may be affected, or the statement is denied.
func (p *populated) unmodifiable(t *testing.T, stranger *pgx.Conn, table string) {
	t.Helper()
	before := p.contents(t, table)
	rows, _ := p.admin.Query(t.Context(), `SELECT attname FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped`, table)
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	statements := []string{"DELETE FROM " + table, "TRUNCATE " + table}
	for _, c := range columns {
		update := fmt.Sprintf("UPDATE %s SET %s = %[2]s", table, c)
		if table == "tenants" { // one of its rows is the stranger's own
			update += ofAcme(table)
		}
		statements = append(statements, update)
	}
	for _, sql := range statements {
		tag, err := stranger.Exec(t.Context(), sql)
		if code := codeOf(err); err != nil && code != denied || tag.RowsAffected() != 0 {
			t.Errorf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
		}
	}
	_, err = stranger.Exec(t.Context(), fmt.Sprintf("INSERT INTO %s SELECT * FROM json_populate_recordset(NULL::%[1]s, $1)", table), before)
	if codeOf(err) != denied {
		t.Errorf("adding rows of acme's on behalf of another tenant: %v", err)
	}
	if after := p.contents(t, table); after != before {
		t.Errorf("another tenant changed %s to %s", before, after)
	}
}

// contents returns acme's rows as JSON.
func (p *populated) contents(t *testing.T, table string) (text string) {
	t.Helper()
	err := p.admin.QueryRow(t.Context(), fmt.Sprintf("SELECT json_agg(x ORDER BY x::text)::text FROM (SELECT * FROM %s%s) x", table, ofAcme(table))).Scan(&text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func codeOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// TestApplicationRole: what the application's role cannot do even for its own
// tenant, so that a hole in the program is none in the gate.
func TestApplicationRole(t *testing.T) {
	p := newPopulated(t)
	conn := p.session(t, "acme")
	day := p.day(t)
	for _, sql := range []string{
		"INSERT INTO positions SELECT expires_on, mission, agent, slot + 1, at, sealed FROM positions",
		"UPDATE positions SET at = at", "UPDATE positions SET sealed = sealed", "UPDATE positions SET slot = slot + 1",
		"INSERT INTO positions_" + day + " SELECT * FROM positions", "SELECT * FROM positions_" + day,
		"DELETE FROM positions_" + day, "DROP TABLE positions_" + day, "ALTER TABLE positions DETACH PARTITION positions_" + day,
		"INSERT INTO latest SELECT * FROM latest", "UPDATE latest SET sealed = sealed",
		"INSERT INTO progress SELECT * FROM progress", "UPDATE progress SET sealed = sealed",
		"INSERT INTO refusals SELECT tenant, mission, agent, 'future', 1 FROM refusals", "UPDATE refusals SET count = 1", "DELETE FROM refusals",
		"UPDATE access_log SET why = ''", "UPDATE access_log SET leaf = NULL", "DELETE FROM access_log", "TRUNCATE access_log",
		"INSERT INTO access_log SELECT * FROM access_log", "INSERT INTO access_hashes VALUES (0, sha256(''))", "DELETE FROM access_hashes",
		"UPDATE access_hashes SET hash = sha256('')", "INSERT INTO access_checkpoints VALUES (1, now(), '')", "DELETE FROM access_checkpoints",
		"UPDATE missions SET tenant = 'stranger'", "UPDATE missions SET retention_days = 60", "UPDATE missions SET id = gen_random_uuid()",
		"UPDATE windows SET opened = opened - interval '1 hour'", "DELETE FROM missions", "DELETE FROM api_keys",
		"ALTER TABLE positions DISABLE ROW LEVEL SECURITY", "DROP POLICY tenant ON missions", "ALTER TABLE missions OWNER TO ronde_app",
		"CREATE OR REPLACE FUNCTION ronde_now() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
		"CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'",
		"CREATE TABLE loot (x text)", "CREATE SCHEMA loot", "CREATE ROLE loot", "SET ROLE ronde_judge", "SET ROLE ronde_owner",
		"SELECT ronde_good('{}', '{}', '{}', '{}', '{}', '{}', '{}')",
		"SELECT ronde_settle('{}', '{}', '{}', '{}', '{}', '{}', '{}')",
		"DELETE FROM mission_agents", "DELETE FROM notices", "DELETE FROM acknowledgements", "DELETE FROM tenants", "DELETE FROM receipts",
		"INSERT INTO erasing SELECT * FROM erasing", "DELETE FROM erasing", "UPDATE erasing SET at = now()", "INSERT INTO erasures (number, done_at) VALUES (99, now())", "UPDATE erasures SET done_at = now()", "DELETE FROM erasures",
		"SELECT ronde_erase_positions('2026-11-21', gen_random_uuid(), NULL, 1)",
		"SELECT ronde_count('{}', '{}', '{}', '{}', '{}')",
		"SELECT ronde_keep('{}', '{}', '{}', '{}', '{}', '{}', 0, '{}')",
		"SET log_statement = 'all'", "INSERT INTO ronde_schema (version_id, is_applied) VALUES (99, true)",
	} {
		if _, err := conn.Exec(t.Context(), sql); codeOf(err) != denied {
			t.Errorf("%s: %v", sql, err)
		}
	}
	// A row of the access log is dated by the database, and gets its leaf from the tree.
	const columns, values = "(id, tenant, role, subject, action, mission, agent, object, why, salt, mac", `
		(gen_random_uuid(), 'acme', '', gen_random_uuid(), '', gen_random_uuid(), '', gen_random_uuid(), '', decode(repeat('00', 16), 'hex'), ''`
	for more, value := range map[string]string{"": "", ", at": ", now()", ", leaf": ", 0"} {
		_, err := conn.Exec(t.Context(), "INSERT INTO access_log "+columns+more+") VALUES "+values+value+")")
		if (more == "") != (err == nil) || err != nil && codeOf(err) != denied {
			t.Errorf("a row with%s: %v", more, err)
		}
	}
	for _, sql := range []string{"SELECT ronde_now()", "SELECT ronde_append('{}', '{}', '{}', '{}', '{}', '{}')", "SET log_parameter_max_length = 0"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	// A whole transaction with one snapshot would judge by an old view.
	for _, level := range []string{"REPEATABLE READ", "SERIALIZABLE"} {
		_, err := conn.Exec(t.Context(), "BEGIN ISOLATION LEVEL "+level+"; SELECT ronde_append('{}', '{}', '{}', '{}', '{}', '{}')")
		if err == nil || !strings.Contains(err.Error(), "read committed") {
			t.Errorf("judging in a transaction that is %s: %v", level, err)
		}
		if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	}
}

// day returns the suffix of the one partition.
func (p *populated) day(t *testing.T) (day string) {
	t.Helper()
	if err := p.admin.QueryRow(t.Context(), "SELECT DISTINCT to_char(expires_on, 'YYYYMMDD') FROM positions").Scan(&day); err != nil {
		t.Fatal(err)
	}
	return day
}

// TestOwnership: nothing runs as a superuser, nothing can be executed by
// everybody, and what runs as its owner cannot be led astray by a search path.
func TestOwnership(t *testing.T) {
	p := newPopulated(t)
	const ours = "pronamespace = 'public'::regnamespace AND proname LIKE 'ronde%'"
	for _, c := range []struct{ what, sql string }{
		{"relations of another owner", `SELECT count(*) FROM pg_class
			WHERE relnamespace = 'public'::regnamespace AND pg_get_userbyid(relowner) <> 'ronde_owner'`},
		{"functions of another owner", "SELECT count(*) FROM pg_proc WHERE " + ours + " AND pg_get_userbyid(proowner) NOT IN ('ronde_owner', 'ronde_judge')"},
		{"functions for everybody", "SELECT count(*) FROM pg_proc WHERE " + ours + " AND has_function_privilege('anyone', oid, 'EXECUTE')"},
		{"functions with a loose search path", "SELECT count(*) FROM pg_proc WHERE " + ours + ` AND prosecdef
			AND NOT 'search_path=pg_catalog, public, pg_temp' = ANY (proconfig)`},
		{"tables for everybody", `SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
			AND has_table_privilege('anyone', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')`},
		{"partitions for the application", `SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'
			AND has_table_privilege('ronde_app', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')`},
		{"roles that log in, or can do more than they must", `SELECT count(*) FROM pg_roles WHERE rolname LIKE 'ronde%'
			AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls <> (rolname = 'ronde_judge'))`},
	} {
		if c.what == "functions for everybody" {
			p.exec(t, "CREATE ROLE anyone")
			defer p.exec(t, "DROP ROLE anyone")
		}
		if n := p.count(t, c.sql); n != 0 {
			t.Errorf("%s: %d", c.what, n)
		}
	}
}
