package keyring

import (
	"testing"

	"ronde/session"
	"ronde/session/postgres/pgtest"
)

// TestSettings: a connection is what the keyring needs, whatever the database's
// own settings and whoever logs in.
func TestSettings(t *testing.T) {
	dsn := pgtest.Start(t).CreateDB(t)
	if err := Migrate(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	root := session.NewRootSecret()
	first, err := OpenDatabase(t.Context(), dsn, root, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	conn, err := first.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), `RESET ROLE; DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
		EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database());
		EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
		EXECUTE format('ALTER DATABASE %I SET search_path = nowhere', current_database());
		EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Kathmandu''', current_database());
	END $$`); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDatabase(t.Context(), dsn, root, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for setting, want := range map[string]string{
		"role": "ronde_keys", "synchronous_commit": "on", "transaction_isolation": "read committed", "transaction_read_only": "off",
		"search_path": "public, pg_temp", "timezone": "UTC", "jit": "off", "statement_timeout": "2s", "lock_timeout": "1s",
		"idle_in_transaction_session_timeout": "2s", "log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0",
	} {
		var got string
		if err := d.pool.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v: want %s", setting, got, err, want)
		}
	}
	var salt []byte
	if salt, err = d.Salt(t.Context(), "acme", 20000, 20000); err != nil || len(salt) != saltSize {
		t.Errorf("a salt of %d bytes, %v", len(salt), err)
	}
}
