package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestDemo starts the demo as a newcomer does, watches one of its missions until an agent moves, and interrupts it: it
// ends well and leaves nothing behind.
func TestDemo(t *testing.T) {
	d := startDemo(t)
	places := map[any]bool{}
	for len(places) < 2 {
		frame := d.viewer.until("progress")
		if position := frame["agents"].([]any)[0].(object)["position"]; position != nil {
			places[position.(object)["latitude"]] = true
		}
	}
	d.endsBy(os.Interrupt)
}

// TestDemoHangsUp: the demo goes with its terminal, and leaves nothing behind either.
func TestDemoHangsUp(t *testing.T) { startDemo(t).endsBy(syscall.SIGHUP) }

// TestDemoUnread: a demo whose reader is gone, as with ronde demo | head, ends, says why, and leaves nothing behind.
func TestDemoUnread(t *testing.T) {
	cmd, temporary := demoProcess(t)
	reader, writer, err := os.Pipe()
	check(t, err)
	check(t, reader.Close())
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = writer, &said
	err = cmd.Run()
	check(t, writer.Close())
	if cmd.ProcessState.ExitCode() != exitRun || !strings.Contains(said.String(), syscall.EPIPE.Error()) {
		t.Errorf("%v, and said %q", err, &said)
	}
	empty(t, temporary)
}

// TestOutlivingTheTerminal: under nohup, a terminal that is closed is no reason to end.
func TestOutlivingTheTerminal(t *testing.T) {
	if !slices.Contains(endings(), os.Signal(syscall.SIGHUP)) && !signal.Ignored(syscall.SIGHUP) {
		t.Error("SIGHUP is no ending")
	}
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	if slices.Contains(endings(), os.Signal(syscall.SIGHUP)) {
		t.Error("SIGHUP is an ending even if it is ignored")
	}
}

// TestPlotsEnd: an interrupted demo asks nothing more of the server, whose answer it would wait for.
func TestPlotsEnd(t *testing.T) {
	plots := map[string]func(context.Context, *phone){"takeBreaks": takeBreaks, "endSoon": endSoon}
	for name, plot := range plots {
		for _, played := range []time.Duration{10 * time.Second, 40 * time.Second} {
			t.Run(fmt.Sprint(name, " after ", played), func(t *testing.T) {
				withPhone(t, nil, func(r *running) {
					r.peer.greeted()
					synctest.Wait()
					ctx, interrupt := context.WithCancel(r.t.Context())
					defer interrupt()
					ended := make(chan struct{})
					go func() {
						plot(ctx, r.phone)
						close(ended)
					}()
					time.Sleep(played) // fake time
					before := r.asked()
					interrupt()
					synctest.Wait()
					if n := r.asked(); n != before {
						t.Errorf("asked for %d more things", n-before)
					}
					<-ended
				})
			})
		}
	}
}

// asked counts the control frames that the phone was to send.
func (r *running) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.out.controls)
}

// demoProcess is the demo as a process that has not been started, and where it may put temporary files.
func demoProcess(t *testing.T) (cmd *exec.Cmd, temporary string) {
	t.Helper()
	temporary = t.TempDir()
	cmd = program(t, "demo", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "TMPDIR="+temporary)
	return cmd, temporary
}

// runningDemo is the demo as a process, with a viewer of its second mission.
type runningDemo struct {
	t         *testing.T
	cmd       *exec.Cmd
	lines     *bufio.Scanner
	temporary string
	viewer    *testSocket
}

func startDemo(t *testing.T) *runningDemo {
	t.Helper()
	// A signal that is ignored here, as under nohup, the process would ignore as well.
	hangUps := make(chan os.Signal, 1)
	signal.Notify(hangUps, syscall.SIGHUP)
	defer signal.Stop(hangUps)

	cmd, temporary := demoProcess(t)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	link := regexp.MustCompile(`(http://\S+)/live#(\S+)`)
	lines, links := bufio.NewScanner(stdout), [][]string{}
	for len(links) < len(stories) && lines.Scan() {
		if found := link.FindStringSubmatch(lines.Text()); found != nil {
			links = append(links, found)
		}
	}
	if len(links) != len(stories) {
		t.Fatalf("%d links for %d missions", len(links), len(stories))
	}
	a := &testApp{app: &app{}, t: t}
	a.config.PublicURL = links[1][1]
	return &runningDemo{t, cmd, lines, temporary, a.socket("/v1/live", "ronde.live.v1", links[1][2])}
}

// endsBy sends a signal, at which the demo is to end well and to leave nothing behind.
func (d *runningDemo) endsBy(s os.Signal) {
	d.t.Helper()
	check(d.t, d.cmd.Process.Signal(s))
	for d.lines.Scan() { // to its end, or Wait would lose some
	}
	check(d.t, d.cmd.Wait())
	empty(d.t, d.temporary)
}

func empty(t *testing.T, folder string) {
	t.Helper()
	left, err := os.ReadDir(folder)
	check(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDemoFails: a node that cannot listen any more ends the demo, which says so.
func TestDemoFails(t *testing.T) {
	a := startApp(t, "sqlite")
	check(t, a.public.Close())
	d := &demo{app: a.app, out: t.Output()}
	if err := d.run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the demo ended with %v", err)
	}
}
