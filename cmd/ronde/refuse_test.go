package main

import (
	"context"
	"database/sql"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ronde/configs"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres/pgtest"
)

// served brings a data folder into the state that a first start leaves.
func served(t *testing.T) (data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	start := newApp(embedded(data), newLogger(streams{err: t.Output()}, "warn"), (&testClock{}).now)
	check(t, start.start(t.Context()))
	check(t, start.stop())
	return data
}

// embedded returns the settings of a node on the embedded store, on ports that
// the system chooses.
func embedded(data string) configs.Config {
	c := configs.Default()
	c.Listen, c.OpsListen, c.Data = "127.0.0.1:0", "127.0.0.1:0", data
	return c.Resolve()
}

// refuses starts a node that must not start, and checks that it says each of
// the words.
func refuses(t *testing.T, args []string, says ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	var out, errs strings.Builder
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, args...)
	if code := run(ctx, args, strings.NewReader(""), &out, &errs); code != exitRun {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	for _, words := range says {
		if !strings.Contains(errs.String(), words) {
			t.Errorf("%q does not say %q", errs.String(), words)
		}
	}
}

// taken holds a port of loopback until the test ends.
func taken(t *testing.T) (address, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = l.Close() })
	_, port, err = net.SplitHostPort(l.Addr().String())
	check(t, err)
	return l.Addr().String(), port
}

func TestStartSaysWhoHasThePort(t *testing.T) {
	address, port := taken(t)
	for _, flag := range []string{"--listen", "--ops-listen"} {
		refuses(t, []string{"--data", t.TempDir(), flag, address}, flag+" "+address, "ss -ltnp 'sport = :"+port+"'", "choose another",
			flag+" or", configs.EnvName(strings.TrimPrefix(flag, "--"))+"=HOST:PORT")
	}
	refuses(t, []string{"--data", t.TempDir(), "--listen", "192.0.2.1:1"}, "--listen 192.0.2.1:1", "ip address")
}

// ordinary makes a process of this program belong to a user to whom file modes
// apply, even if the tests run as root. Where that user may not reach, a
// process still finds itself.
func ordinary(cmd *exec.Cmd) *exec.Cmd {
	if os.Geteuid() == 0 {
		cmd.Path = "/proc/self/exe"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	return cmd
}

// closedFolder returns a folder that an ordinary user can see and not write to.
func closedFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	check(t, os.Chmod(filepath.Dir(folder), 0o755))
	check(t, os.Chmod(folder, 0o555))
	return folder
}

func TestStartSaysThatTheFolderIsClosed(t *testing.T) {
	folder := closedFolder(t)
	for name, args := range map[string][]string{
		"itself":  {"--data", folder},
		"inside":  {"--data", filepath.Join(folder, "data")},
		"a store": {"--data", folder, "--store", "sqlite:" + filepath.Join(folder, "ronde.db"), "--root-secret-file", secretFor(t, folder)},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := ordinary(program(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, args...)...)).CombinedOutput()
			if err == nil {
				t.Fatal("it served")
			}
			for _, words := range []string{"permission denied", "must be able to write to the folder " + folder, "--data"} {
				if !strings.Contains(string(out), words) {
					t.Errorf("%q does not say %q", out, words)
				}
			}
		})
	}
}

// secretFor puts a root secret that an ordinary user can read beside a folder.
func secretFor(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(folder), "root.secret")
	_, err := session.CreateRootSecret(path)
	check(t, err)
	if os.Geteuid() == 0 {
		check(t, os.Chown(path, 65534, 65534))
	}
	return path
}

func TestStartSaysWhatTheSchemaNeeds(t *testing.T) {
	data := served(t)
	execSQLite(t, filepath.Join(data, "ronde.db"), "PRAGMA user_version = 99")
	refuses(t, []string{"--data", data}, "newer version of Ronde", "schema 99")

	server := pgtest.Start(t)
	secret := filepath.Join(t.TempDir(), "root.secret")
	_, err := session.CreateRootSecret(secret)
	check(t, err)
	refuses(t, []string{"--data", t.TempDir(), "--root-secret-file", secret, "--store", server.CreateDB(t)}, "`ronde migrate`")
	newer := newDatabase(t, server)
	execSQL(t, newer, "INSERT INTO ronde_schema (version_id, is_applied) VALUES (9999, true)")
	refuses(t, []string{"--data", t.TempDir(), "--root-secret-file", secret, "--store", newer}, "9999", "run a newer ronde")
}

func TestStartSaysWhatIsWrongWithTheSecret(t *testing.T) {
	data := served(t)
	secret := filepath.Join(data, "root.secret")
	postgres := []string{"--data", t.TempDir(), "--store", "postgres://nobody@127.0.0.1:1/ronde"}
	refuses(t, postgres, "--root-secret-file", "openssl rand -hex 32", "the same file on every node")

	check(t, os.Chmod(secret, 0o644))
	refuses(t, []string{"--data", data}, "--root-secret-file", "chmod 600")
	check(t, os.Chmod(secret, 0o600))

	check(t, os.WriteFile(secret, []byte(strings.Repeat("ab", 32)), 0o600))
	refuses(t, []string{"--data", data}, "--root-secret-file", "openssl rand -hex 32")

	check(t, os.Remove(secret)) // and a new one is made, which opens nothing
	refuses(t, []string{"--data", data}, "--keys", "another root secret", "--root-secret-file")
}

// TestStartRefusesAnotherKeyring: a folder that is empty, because its disk is
// not mounted, is no new keyring for a database that has one; and nothing is
// laid out in it.
func TestStartRefusesAnotherKeyring(t *testing.T) {
	data, empty := served(t), t.TempDir()
	refuses(t, []string{"--data", data, "--keys", "file:" + empty}, "--keys", empty+" holds no keyring", "mount its disk")
	left, err := os.ReadDir(empty)
	check(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}

	root, err := session.LoadRootSecret(filepath.Join(data, "root.secret"))
	check(t, err)
	folder := filepath.Join(t.TempDir(), "keys")
	other, err := keyring.OpenFolder(folder, root)
	check(t, err)
	check(t, other.Close())
	refuses(t, []string{"--data", data, "--keys", "file:" + folder}, "--keys", other.ID().String(), "was sealed with")
}

// execSQLite runs a statement as the sqlite3 shell would.
func execSQLite(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	check(t, err)
	_, err = db.Exec(statement)
	check(t, err)
	check(t, db.Close())
}

// TestUnreachableStoreHelps: a database that does not answer is no riddle.
func TestUnreachableStoreHelps(t *testing.T) {
	data := served(t)
	refuses(t, []string{"--data", data, "--store", "postgres://ronde@127.0.0.1:1/ronde", "--root-secret-file", filepath.Join(data, "root.secret")},
		"--store", "connection refused", unreachableStore)
}
