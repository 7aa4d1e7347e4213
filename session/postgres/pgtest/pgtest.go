// Package pgtest gives tests a PostgreSQL of their own: real, private, in a temporary folder, on a port of 127.0.0.1,
// run by an ordinary account even if the tests run as root, durable as in production (fsync stays on).
//
// A server outlives neither the test process nor its own test, however either ends: a watchdog (see watchdog.sh) stops
// it and removes its folder. Nothing has to be called at the end, and no goroutine is left running.
//
// A machine without PostgreSQL fails the test that asks for it; it does not skip it.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is one PostgreSQL server. Its methods may be called from several goroutines.
type Server struct {
	DataDir string // the cluster's files
	LogFile string // what the server said, over all its restarts

	dir      string // holds the above
	mark     string // stands in the command line of each of its processes, and of no other
	port     int
	bin      binaries
	account  *account // nil runs as ourselves
	watchdog *watchdog

	// Guarded by mu:
	mu        sync.Mutex
	pid       int // of the postmaster; 0 when it has been reaped
	databases int // created so far, to name the next
}

var shared = sync.OnceValues(newServer)

// Start returns the server that all tests of this process share, starting it at the first call. It must be left
// running; a test that stops or kills its server takes StartPrivate.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := shared()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	s.logOnFailure(tb)
	return s
}

// StartPrivate returns a server that belongs to tb alone and is gone when tb ends.
func StartPrivate(tb testing.TB) *Server {
	tb.Helper()
	s, err := newServer()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.remove(); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	s.logOnFailure(tb)
	return s
}

// DSN returns the URL of a database for the superuser postgres, who needs no password.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// CreateDB makes an empty database and returns its URL for the superuser. It is dropped when tb ends, whoever is still
// connected. Roles are no part of it: all databases of a server share them.
func (s *Server) CreateDB(tb testing.TB) string {
	tb.Helper()
	s.mu.Lock()
	s.databases++
	name := fmt.Sprintf("test_%d", s.databases)
	s.mu.Unlock()
	if err := s.exec("CREATE DATABASE " + name); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			tb.Logf("pgtest: %s stays: %v", name, err) // the server may be stopped by now, which is the test's business
		}
	})
	return s.DSN(name)
}

// exec runs one statement in the maintenance database.
func (s *Server) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// logOnFailure shows the end of the server's log if tb fails, because the log itself will be gone.
func (s *Server) logOnFailure(tb testing.TB) {
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("PostgreSQL's log ends in:\n%s", s.logTail())
		}
	})
}

// logTail returns the last lines of the server's log.
func (s *Server) logTail() string {
	text, err := os.ReadFile(s.LogFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
