package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// Backup copies the running server with pg_basebackup, write-ahead log included, and returns the folder, which is gone
// with the server.
func (s *Server) Backup(tb testing.TB) (folder string) {
	tb.Helper()
	folder, err := os.MkdirTemp(s.dir, "backup-") //nolint:usetesting // where the server's account may write, and on the disk of its files
	if err == nil && s.account != nil {
		err = os.Chown(folder, s.account.uid, s.account.gid)
	}
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	cmd := s.command(filepath.Join(filepath.Dir(s.bin.postgres), "pg_basebackup"), "--pgdata", folder, "--wal-method=stream", "--checkpoint=fast",
		"--host=127.0.0.1", "--port="+strconv.Itoa(s.port), "--username=postgres", "--no-password")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("pgtest: pg_basebackup: %v: %s", err, out)
	}
	return folder
}

// Restore puts a backup in the place of the server's files, of which nothing is left, and starts it. The backup is used
// up.
func (s *Server) Restore(tb testing.TB, folder string) {
	tb.Helper()
	if err := s.restore(folder); err != nil {
		tb.Fatalf("pgtest: restore: %v", err)
	}
}

func (s *Server) restore(folder string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stop(Immediate); err != nil {
		return err
	}
	if err := os.RemoveAll(s.DataDir); err != nil {
		return err
	}
	if err := os.Rename(folder, s.DataDir); err != nil {
		return fmt.Errorf("put the backup in place: %w", err)
	}
	return s.start()
}
