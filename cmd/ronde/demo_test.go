package main

import (
	"bufio"
	"errors"
	"net"
	"os"
	"regexp"
	"testing"
)

// TestDemo starts the demo as a newcomer does, watches one of its missions until an agent moves, and interrupts it: it
// ends well and leaves nothing behind.
func TestDemo(t *testing.T) {
	temporary := t.TempDir()
	cmd := program(t, "demo", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "TMPDIR="+temporary)
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
	viewer := a.socket("/v1/live", "ronde.live.v1", links[1][2])
	places := map[any]bool{}
	for len(places) < 2 {
		frame := viewer.until("progress")
		if position := frame["agents"].([]any)[0].(object)["position"]; position != nil {
			places[position.(object)["latitude"]] = true
		}
	}
	check(t, cmd.Process.Signal(os.Interrupt))
	for lines.Scan() { // to its end, or Wait would lose some
	}
	check(t, cmd.Wait())
	left, err := os.ReadDir(temporary)
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
