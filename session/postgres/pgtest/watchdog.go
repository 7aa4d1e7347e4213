package pgtest

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

//go:embed watchdog.sh
var watchdogScript string

// watchdog is a process that cleans up after a server as soon as its pipe is closed. It sits in a session of its own,
// where neither Ctrl-C nor a killed process group reaches it.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

// startWatchdog sets a watchdog over the folder dir and over every process with mark in its command line.
func startWatchdog(dir, mark string) (*watchdog, error) {
	if err := os.WriteFile(filepath.Join(dir, "mark"), []byte(mark+"\n"), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", watchdogScript) //nolint:noctx // it must outlive everything
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("watchdog: %w", err)
	}
	return &watchdog{cmd, pipe}, nil
}

// finish lets the watchdog do its work and waits for it.
func (w *watchdog) finish() error {
	if err := errors.Join(w.pipe.Close(), w.cmd.Wait()); err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	return nil
}
