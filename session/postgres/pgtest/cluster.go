package pgtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// settings are those of a small server that keeps every promise of durability.
const settings = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
cluster_name = '%s'
max_connections = 200
shared_buffers = '32MB'
log_statement = 'none'
log_timezone = 'UTC'
timezone = 'UTC'
`

// startLimit bounds how long a server may take to answer, recovery after a crash included.
const startLimit = time.Minute

// newServer makes a cluster and starts it.
func newServer() (_ *Server, err error) {
	s := &Server{}
	if s.bin, err = findBinaries(debianBinaries); err != nil {
		return nil, err
	}
	if s.account, err = ordinaryAccount(); err != nil {
		return nil, err
	}
	if s.dir, err = s.account.tempDir(); err != nil {
		return nil, err
	}
	s.mark = filepath.Base(s.dir)
	s.DataDir = filepath.Join(s.dir, "data")
	s.LogFile = filepath.Join(s.dir, "log")
	if s.watchdog, err = startWatchdog(s.dir, s.mark); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err = s.initialise(); err == nil {
		err = s.startOnFreePort()
	}
	if err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// initialise makes the cluster's files.
func (s *Server) initialise() error {
	cmd := s.command(s.bin.initdb, "--pgdata", s.DataDir, "--username=postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	conf, err := os.OpenFile(filepath.Join(s.DataDir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(conf, settings, s.mark)
	return errors.Join(err, conf.Close())
}

// command prepares one of PostgreSQL's programs to run as its account, untouched by our environment and terminal.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...) //nolint:noctx // a server outlives the call that starts it
	cmd.Dir = s.dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + filepath.Dir(name) + ":/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: s.account.credential()}
	return cmd
}

// startOnFreePort starts the server for the first time. A port that was free a moment ago can be gone, so it tries a
// few.
func (s *Server) startOnFreePort() error {
	var err error
	for range 5 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.start(); err == nil {
			return nil
		}
	}
	return err
}

// freePort returns a port of 127.0.0.1 that nobody listens on. It lies below those which the kernel hands out to
// outgoing connections, or one of these could take it while the server is being restarted.
func freePort() (int, error) {
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

// start launches the postmaster and waits until it answers. Callers hold mu, or are the only ones to know s.
func (s *Server) start() error {
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := s.command(s.bin.postgres, "-D", s.DataDir, "-p", strconv.Itoa(s.port))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.pid = cmd.Process.Pid
	if err := cmd.Process.Release(); err != nil { // reap waits for it, without a goroutine that blocks
		return errors.Join(err, s.kill())
	}
	ready := poll(startLimit, func() bool { return s.reap() || s.answers() })
	switch {
	case s.pid == 0:
		return fmt.Errorf("PostgreSQL did not start:\n%s", s.logTail())
	case !ready:
		return errors.Join(fmt.Errorf("PostgreSQL did not answer within %v:\n%s", startLimit, s.logTail()), s.kill())
	}
	return nil
}

// answers tells whether the server takes connections.
func (s *Server) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}

// poll asks until the answer is yes or the limit is reached, and returns the last answer.
func poll(limit time.Duration, done func() bool) bool {
	const pause = 10 * time.Millisecond
	for deadline := time.Now().Add(limit); !done(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
