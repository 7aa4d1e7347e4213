package pgtest

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// connect opens a connection that ends with the test.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// show returns the value of a server setting.
func show(t *testing.T, conn *pgx.Conn, setting string) string {
	t.Helper()
	var value string
	if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestSharedServer(t *testing.T) {
	s := Start(t)
	if Start(t) != s {
		t.Fatal("a second server")
	}
	conn := connect(t, s.DSN("postgres"))
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "log_statement": "none",
		"max_connections": "200", "is_superuser": "on", "TimeZone": "UTC", "server_encoding": "UTF8", "data_directory": s.DataDir,
	} {
		if got := show(t, conn, setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	info, err := os.Stat(s.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Sys().(*syscall.Stat_t).Uid == 0 {
		t.Error("the server runs as root")
	}
	if _, err := os.Stat(s.LogFile); err != nil {
		t.Error(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE EXTENSION btree_gist"); err != nil {
		t.Errorf("contributed modules are missing: %v", err)
	}
}

func TestCreateDB(t *testing.T) {
	s := Start(t)
	var first string
	t.Run("two databases are apart", func(t *testing.T) {
		first = s.CreateDB(t)
		if _, err := connect(t, first).Exec(t.Context(), "CREATE TABLE t ()"); err != nil {
			t.Fatal(err)
		}
		if _, err := connect(t, s.CreateDB(t)).Exec(t.Context(), "CREATE TABLE t ()"); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := pgx.Connect(t.Context(), first); err == nil {
		t.Error("the database outlived its test")
	}
}

func TestStopAndRestart(t *testing.T) {
	s := StartPrivate(t)
	dsn := s.CreateDB(t)
	if _, err := connect(t, dsn).Exec(t.Context(), "CREATE TABLE kept (n int)"); err != nil {
		t.Fatal(err)
	}
	ways := []struct {
		name string
		down func() error
	}{
		{"fast", func() error { return s.Stop(Fast) }},
		{"immediate", func() error { return s.Stop(Immediate) }},
		{"killed", func() error { return s.Signal(syscall.SIGKILL) }},
		{"killed while frozen", func() error { return errors.Join(s.Freeze(), s.Signal(syscall.SIGKILL)) }},
		{"stopped while frozen", func() error { return errors.Join(s.Freeze(), s.Stop(Fast)) }},
		{"not at all", func() error { return nil }},
	}
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			if _, err := connect(t, dsn).Exec(t.Context(), "INSERT INTO kept VALUES ($1)", i); err != nil {
				t.Fatal(err)
			}
			if err := way.down(); err != nil {
				t.Fatal(err)
			}
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
			var rows int
			if err := connect(t, dsn).QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&rows); err != nil {
				t.Fatal(err)
			}
			if rows != i+1 {
				t.Errorf("%d rows, want %d", rows, i+1)
			}
		})
	}
}

func TestStoppedServerRefuses(t *testing.T) {
	s := StartPrivate(t)
	for range 2 { // the second time there is nothing to stop
		if err := s.Stop(Fast); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pgx.Connect(t.Context(), s.DSN("postgres")); err == nil {
		t.Error("it still takes connections")
	}
	if err := s.Signal(syscall.SIGTERM); !errors.Is(err, errStopped) {
		t.Errorf("Signal: %v", err)
	}
	if err := s.Freeze(); !errors.Is(err, errStopped) {
		t.Errorf("Freeze: %v", err)
	}
	if left := s.processes(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

func TestFreezeAndThaw(t *testing.T) {
	s := StartPrivate(t)
	conn := connect(t, s.DSN("postgres"))
	if err := s.Freeze(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT 1")
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Errorf("a frozen session answered: %v", err)
		answered <- err
	case <-time.After(200 * time.Millisecond):
	}
	if err := s.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("after the thaw: %v", err)
	}
}

// TestKilledProcessLeavesNothing starts a server in a second process of this test, kills that process and looks for
// what it left. The second process runs this same function.
func TestKilledProcessLeavesNothing(t *testing.T) {
	const variable = "PGTEST_BE_KILLED"
	if os.Getenv(variable) != "" {
		s := StartPrivate(t)
		if err := s.Freeze(); err != nil { // the hardest case: its processes cannot end on their own
			t.Fatal(err)
		}
		os.Stderr.WriteString(s.dir + "\n")
		select {}
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledProcessLeavesNothing$")
	cmd.Env = append(os.Environ(), variable+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dir, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir = strings.TrimSpace(dir)
	left := &Server{mark: filepath.Base(dir)}
	if len(left.processes()) == 0 {
		t.Errorf("no process of a server in %s is seen", dir)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed, and says so
	if !poll(stopLimit, func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, fs.ErrNotExist)
	}) {
		t.Errorf("%s is left", dir)
	}
	if pids := left.processes(); len(pids) > 0 {
		t.Errorf("processes %v are left", pids)
	}
}

func TestMissingServerIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := findBinaries(filepath.Join(t.TempDir(), "*", "bin"))
	if err == nil || !strings.Contains(err.Error(), "Debian package postgresql") {
		t.Errorf("got %v", err)
	}
}

func TestNewestVersionWins(t *testing.T) {
	root := t.TempDir()
	for _, version := range []string{"9", "15", "7.4", "17"} {
		for _, program := range []string{"initdb", "postgres"} {
			path := filepath.Join(root, version, "bin", program)
			if version == "17" && program == "postgres" {
				continue // a client's folder, without the server
			}
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o755)); err != nil {
				t.Fatal(err)
			}
		}
	}
	found, err := findBinaries(filepath.Join(root, "*", "bin"))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(root, "15", "bin", "postgres"); found.postgres != want {
		t.Errorf("got %s, want %s", found.postgres, want)
	}
}
