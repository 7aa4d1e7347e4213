// Package redistest gives tests Redis servers of their own: real, private, in a
// temporary folder, on ports of 127.0.0.1, alone or as a cluster of masters.
//
// A server outlives neither its test nor the test process, however either ends:
// a watchdog kills it and removes its folder.
//
// A machine without Redis fails the test that asks for it; it does not skip it.
package redistest

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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// startLimit bounds how long a server may take to answer.
const startLimit = 30 * time.Second

// Server is one Redis server. Its methods may be called from several
// goroutines.
type Server struct {
	Port int // on 127.0.0.1

	dir   string
	admin *redis.Client // as the user default, who may do everything

	mu      sync.Mutex
	process *os.Process // guarded by mu, like exited; nil while the server is down
	exited  chan struct{}
}

// Start starts a server that belongs to tb alone and is gone when tb ends. Each
// setting is a line of redis.conf.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	return start(tb, watch(tb), settings...)
}

// start starts a server in a new folder below parent.
func start(tb testing.TB, parent string, settings ...string) *Server {
	tb.Helper()
	s := &Server{Port: FreePort(tb)}
	s.dir = filepath.Join(parent, strconv.Itoa(s.Port))
	config := strings.Join(append([]string{
		"bind 127.0.0.1", "port " + strconv.Itoa(s.Port),
		"dir " + s.dir, "pidfile " + s.dir + "/pid", "logfile " + s.dir + "/log",
		`save ""`, "appendonly no",
	}, settings...), "\n")
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "redis.conf"), []byte(config), 0o600); err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	s.admin = redis.NewClient(&redis.Options{Addr: s.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the log of the Redis on port %d ends in:\n%s", s.Port, s.logTail())
		}
		s.Kill(tb)
		_ = s.admin.Close() // its server is dead: there is nothing to tell it
	})
	s.Restart(tb)
	return s
}

// FreePort returns a port of 127.0.0.1 that nobody listens on. It lies below
// those which the kernel hands out to outgoing connections, or one of these
// could take it while a server is being restarted.
func FreePort(tb testing.TB) int {
	tb.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	tb.Fatal("redistest: no free port on 127.0.0.1")
	return 0
}

// Addr returns the server's host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// Do runs a command as a user who may do everything and returns the reply. An
// error ends the test.
func (s *Server) Do(tb testing.TB, args ...any) any {
	tb.Helper()
	reply, err := s.admin.Do(context.WithoutCancel(tb.Context()), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		tb.Fatalf("redistest: %v: %v", args, err)
	}
	return reply
}

// Restart starts a server that is down, on the same folder and port, and waits
// until it answers. One that runs is killed first.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.Kill(tb)
	cmd := exec.Command("redis-server", "redis.conf") //nolint:noctx // a server outlives the call that starts it
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("redistest: %v; install the Debian package redis-server (make test does so where it may)", err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = cmd.Wait() // says how it ended, which the log tells better
	}()
	s.mu.Lock()
	s.process, s.exited = cmd.Process, exited
	s.mu.Unlock()
	alive := true
	ready := poll(func() bool {
		select {
		case <-exited:
			alive = false
			return true
		default:
			return s.admin.Ping(context.WithoutCancel(tb.Context())).Err() == nil
		}
	})
	if !ready || !alive {
		tb.Fatalf("redistest: Redis does not answer:\n%s", s.logTail())
	}
}

// Kill ends the server as a crash does. Killing a server that is down does
// nothing.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	if err := s.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Errorf("redistest: %v", err)
	}
	<-s.exited
	s.process = nil
	_ = os.Remove(filepath.Join(s.dir, "pid")) // it names nobody any more
}

// Freeze halts the server: connections stay open and nobody answers, as when a
// machine hangs.
func (s *Server) Freeze(tb testing.TB) { tb.Helper(); s.signal(tb, syscall.SIGSTOP) }

// Thaw lets a frozen server go on where it was.
func (s *Server) Thaw(tb testing.TB) { tb.Helper(); s.signal(tb, syscall.SIGCONT) }

func (s *Server) signal(tb testing.TB, sig syscall.Signal) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		tb.Fatal("redistest: the server is down")
	}
	if err := s.process.Signal(sig); err != nil {
		tb.Fatalf("redistest: %v", err)
	}
}

// logTail returns the last lines of the server's log.
func (s *Server) logTail() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// poll asks until the answer is yes or startLimit is reached, and returns the
// last answer.
func poll(done func() bool) bool {
	const pause = 10 * time.Millisecond
	for deadline := time.Now().Add(startLimit); !done(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// watchdog waits until the test process has closed its end of the pipe, which
// the kernel does for it even when it is killed, then ends every server whose
// process id lies in a folder below its own, and removes it all.
const watchdog = `trap '' HUP INT TERM
read -r _
for file in */pid; do kill -KILL "$(cat "$file")"; done 2>/dev/null
folder=$PWD; cd /; rm -rf "$folder"`

// watch returns a new folder with a watchdog over it, which ends with tb.
func watch(tb testing.TB) (dir string) {
	tb.Helper()
	dir, err := os.MkdirTemp("", "ronde-redis-*") //nolint:usetesting // the watchdog removes it even if the tests are killed
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	cmd := exec.Command("sh", "-c", watchdog) //nolint:noctx // it must outlive everything
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatalf("redistest: watchdog: %v", err)
	}
	tb.Cleanup(func() {
		if err := errors.Join(pipe.Close(), cmd.Wait()); err != nil {
			tb.Errorf("redistest: watchdog: %v", fmt.Errorf("%s: %w", dir, err))
		}
	})
	return dir
}
