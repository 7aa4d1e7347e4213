package pgtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Backup makes a base backup of the running server, with the log that it needs, as an operator would, and returns what
// restores it: a server of its own on a copy, which belongs to the test that is given.
func (s *Server) Backup(tb testing.TB) (restore func(tb testing.TB) *Server) {
	tb.Helper()
	copied, err := s.backup()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := copied.remove(); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return func(tb testing.TB) *Server {
		tb.Helper()
		copied.mu.Lock()
		defer copied.mu.Unlock()
		if copied.pid == 0 {
			if err := copied.startOnFreePort(); err != nil {
				tb.Fatalf("pgtest: restore: %v", err)
			}
		}
		return copied
	}
}

// backup returns a server that was not started yet, on a base backup of s.
func (s *Server) backup() (_ *Server, err error) {
	c := &Server{bin: s.bin, account: s.account}
	if c.dir, err = c.account.tempDir(); err != nil {
		return nil, err
	}
	c.mark = filepath.Base(c.dir)
	c.DataDir, c.LogFile = filepath.Join(c.dir, "data"), filepath.Join(c.dir, "log")
	if c.watchdog, err = startWatchdog(c.dir, c.mark); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.remove())
		}
	}()
	program := filepath.Join(filepath.Dir(s.bin.postgres), "pg_basebackup")
	cmd := c.command(program, "--pgdata", c.DataDir, "--wal-method=stream", "--checkpoint=fast",
		"--host=127.0.0.1", "--port="+strconv.Itoa(s.port), "--username=postgres")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pg_basebackup: %w: %s", err, out)
	}
	// By its name its processes are told from those of the server it was copied from.
	conf, err := os.OpenFile(filepath.Join(c.DataDir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conf, "cluster_name = '%s'\n", c.mark)
	return c, errors.Join(err, conf.Close())
}
