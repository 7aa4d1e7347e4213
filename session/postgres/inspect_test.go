package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// inspect looks at the database as the login does.
func (d *database) inspect(t *testing.T, login string) postgres.Report {
	t.Helper()
	r, err := postgres.Inspect(t.Context(), as(d.dsn, login))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestInspect: who the login is and what the database holds, told without
// changing anything.
func TestInspect(t *testing.T) {
	server := pgtest.StartPrivate(t) // with a setting of its own, and roles by these names
	d := &database{dsn: server.CreateDB(t)}
	d.connect(t)
	d.exec(t, "CREATE ROLE node LOGIN; CREATE ROLE stranger LOGIN; CREATE ROLE administrator LOGIN")
	if r := d.inspect(t, "postgres"); r.Migrated || r.Schema != 0 || !r.Superuser || r.Login != "postgres" || r.Server == "" || !r.Durable {
		t.Errorf("an empty database: %+v", r)
	}
	if err := postgres.Migrate(t.Context(), d.dsn); err != nil {
		t.Fatal(err)
	}
	d.exec(t, "GRANT ronde_app TO node; GRANT ronde_app, ronde_owner TO administrator")

	r := d.inspect(t, "node")
	if !r.Migrated || !r.Member || r.Superuser || len(r.Owned) != 0 || r.Schema != postgres.SchemaVersion || time.Since(r.Now).Abs() > time.Minute {
		t.Errorf("as a node: %+v", r)
	}
	if r := d.inspect(t, "stranger"); !r.Migrated || r.Member || r.Schema != 0 {
		t.Errorf("as a stranger: %+v", r)
	}
	if r := d.inspect(t, "administrator"); !r.Member || !slices.Contains(r.Owned, "positions") || !slices.Contains(r.Owned, "keyring") {
		t.Errorf("as an owner: %+v", r)
	}

	id := session.NewID()
	if _, err := d.open(t, postgres.Options{}).AdoptKeyring(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if r := d.inspect(t, "node"); r.KeyringID != id {
		t.Errorf("the keyring is %v, want %v", r.KeyringID, id)
	}

	d.exec(t, fmt.Sprintf("DELETE FROM ronde_schema WHERE version_id = %d", postgres.SchemaVersion))
	if r := d.inspect(t, "node"); r.Schema != postgres.SchemaVersion-1 || !r.Now.IsZero() {
		t.Errorf("an older schema: %+v", r)
	}
	if _, err := postgres.Inspect(t.Context(), "postgres://postgres@127.0.0.1:1/nowhere"); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("a server that is not there: %v", err)
	}
}

// TestKeyringStays: the application can write the identity of the keyring once
// and never change it.
func TestKeyringStays(t *testing.T) {
	p := newPopulated(t)
	if r := p.inspect(t, "postgres"); !r.Sealed || r.KeyringID != uuid.Nil {
		t.Errorf("a store with tracks, of before it knew its keyring: %+v", r)
	}
	id := session.NewID()
	if _, err := p.open(t, postgres.Options{}).AdoptKeyring(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	own := p.session(t, "acme")
	for _, sql := range []string{
		"UPDATE keyring SET id = gen_random_uuid()", "DELETE FROM keyring", "TRUNCATE keyring",
		"INSERT INTO keyring VALUES (false, gen_random_uuid())", "INSERT INTO keyring VALUES (true, gen_random_uuid())",
	} {
		if _, err := own.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was done", sql)
		}
	}
	if n := p.count(t, "SELECT count(*) FROM keyring WHERE id = $1", id); n != 1 {
		t.Error("the keyring was exchanged")
	}
}
