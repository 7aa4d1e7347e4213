package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// StopMode is how a server is told to stop.
type StopMode syscall.Signal

// The two ways in which a PostgreSQL server is brought down.
const (
	Fast      = StopMode(syscall.SIGINT)  // rolls back what is running, writes a checkpoint
	Immediate = StopMode(syscall.SIGQUIT) // drops everything; the next start recovers from the log
)

// stopLimit bounds how long a server may take to stop before it is killed.
const stopLimit = 30 * time.Second

// errStopped is returned by what needs a running server.
var errStopped = errors.New("the server is stopped")

// Stop stops the server and waits until its last process has gone. A frozen server is thawed first. Stopping a stopped
// server does nothing.
func (s *Server) Stop(mode StopMode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop(mode)
}

// Restart starts the server anew on the same files and port, and waits until it answers; recovery included, if it was
// killed or stopped at once. A server that runs is stopped first.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stop(Fast); err != nil {
		return err
	}
	return s.start()
}

// Signal sends a signal to the postmaster alone. After SIGKILL the other processes notice and end on their own; call
// Restart to go on. To hold up the whole server, use Freeze: its sessions have processes of their own.
func (s *Server) Signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid == 0 {
		return errStopped
	}
	return syscall.Kill(s.pid, sig)
}

// Freeze halts every process of the server. Connections stay open and nobody answers, as when a machine hangs.
func (s *Server) Freeze() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid == 0 {
		return errStopped
	}
	if err := syscall.Kill(s.pid, syscall.SIGSTOP); err != nil { // first, so that it starts no more of them
		return err
	}
	return s.signalAll(syscall.SIGSTOP)
}

// Thaw lets a frozen server go on where it was.
func (s *Server) Thaw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signalAll(syscall.SIGCONT)
}

// stop does the work of Stop. Callers hold mu.
func (s *Server) stop(mode StopMode) error {
	if s.pid == 0 {
		return nil
	}
	if err := syscall.Kill(s.pid, syscall.Signal(mode)); err != nil {
		return err
	}
	if err := s.signalAll(syscall.SIGCONT); err != nil {
		return err
	}
	if !poll(stopLimit, s.reap) {
		return errors.Join(fmt.Errorf("PostgreSQL did not stop within %v", stopLimit), s.kill())
	}
	return s.kill() // what a killed postmaster left behind would keep the next one from starting
}

// kill ends every process of the server and waits for that. Callers hold mu.
func (s *Server) kill() error {
	var err error
	gone := poll(stopLimit, func() bool {
		err = s.signalAll(syscall.SIGKILL)
		return s.reap() && len(s.processes()) == 0
	})
	if err == nil && !gone {
		err = errors.New("PostgreSQL does not die")
	}
	return err
}

// reap tells whether the postmaster has ended, and clears away what the kernel keeps of it. Callers hold mu.
func (s *Server) reap() bool {
	if s.pid == 0 {
		return true
	}
	pid, err := syscall.Wait4(s.pid, nil, syscall.WNOHANG, nil)
	if pid == s.pid || errors.Is(err, syscall.ECHILD) {
		s.pid = 0
	}
	return s.pid == 0
}

// signalAll sends a signal to every process of the server. One that has just ended is no error.
func (s *Server) signalAll(sig syscall.Signal) error {
	var errs []error
	for _, pid := range s.processes() {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, fmt.Errorf("signal %v to process %d: %w", sig, pid, err))
		}
	}
	return errors.Join(errs...)
}

// processes returns the ids of the server's live processes, orphans of a killed postmaster among them. They are known
// by the mark in their command line, which anybody may read, unlike most else about another account's process.
func (s *Server) processes() []int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is valid, which is all the error is about
	var pids []int
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(line, []byte(s.mark)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// remove stops the server and leaves nothing of it.
func (s *Server) remove() error {
	return errors.Join(s.Stop(Immediate), s.watchdog.finish())
}
