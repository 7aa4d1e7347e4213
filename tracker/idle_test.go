package tracker_test

import (
	"bufio"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"ronde/session"
	"ronde/tracker"
)

// idleSockets is how many sockets BenchmarkIdleSockets holds open.
const idleSockets = 5000

// BenchmarkIdleSockets holds many sockets open and shows what one costs the
// server, kilobytes of memory as Go counts it and as the system does. The phones
// and browsers are another process.
func BenchmarkIdleSockets(b *testing.B) {
	var limit syscall.Rlimit
	must(b, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	if limit.Max < idleSockets+500 {
		b.Skipf("the hard limit of open files is %d: too low for %d sockets", limit.Max, idleSockets)
	}
	limit.Cur = limit.Max
	must(b, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	b.Run("agents", func(b *testing.B) {
		idle(b, func(n *node, m *session.Mission, agent string) string {
			return "/agent" + n.caller(agentOf(m, agent)) + " " + agentProtocol
		})
	})
	b.Run("viewers", func(b *testing.B) {
		idle(b, func(n *node, m *session.Mission, _ string) string {
			return "/live" + n.caller(viewerOf(m, session.ProfileExact)) + " " + liveProtocol
		})
	})
}

// idle measures sockets, as many on one mission as it may have agents.
func idle(b *testing.B, socket func(n *node, m *session.Mission, agent string) string) {
	n := newNode(b, new(tracker.MemBus))
	u, err := url.Parse(n.server.URL)
	must(b, err)
	var lines strings.Builder
	for range idleSockets / session.MaxAgents {
		var agents []string
		for i := range session.MaxAgents {
			agents = append(agents, fmt.Sprintf("badge-%d", i))
		}
		m := n.mission(agents...)
		for _, agent := range agents {
			fmt.Fprintf(&lines, "%s %s\n", u.Host, socket(n, m, agent))
		}
	}
	before := measure()
	stop := startCrowd(b, lines.String())
	after := measure()
	stop()
	for b.Loop() {
		runtime.Gosched() // without a loop all this runs again, on memory that is there already
	}
	b.ReportMetric(float64(after.inUse-before.inUse)/1024/idleSockets, "KB/socket")
	b.ReportMetric(float64(after.stacks-before.stacks)/1024/idleSockets, "stackKB/socket")
	b.ReportMetric(float64(after.resident-before.resident)/1024/idleSockets, "residentKB/socket")
	b.ReportMetric(0, "ns/op") // how long it takes to open them says nothing
}

// memory is what a process holds, in bytes.
type memory struct{ inUse, stacks, resident int64 }

func measure() memory {
	heap() // frees what can be freed
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	m := memory{inUse: int64(s.HeapInuse + s.StackInuse), stacks: int64(s.StackInuse)}
	var size, resident int64
	if raw, err := os.ReadFile("/proc/self/statm"); err == nil {
		if _, err := fmt.Sscan(string(raw), &size, &resident); err == nil {
			m.resident = resident * int64(os.Getpagesize())
		}
	}
	return m
}

// startCrowd opens the sockets from another process, and returns what closes
// them.
func startCrowd(b *testing.B, lines string) (stop func()) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), tracker.CrowdEnv+"=1")
	cmd.Stderr = b.Output()
	in, err := cmd.StdinPipe()
	must(b, err)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	go func() { _, _ = fmt.Fprintln(in, lines) }() // the empty line says that these are all
	answer := bufio.NewScanner(out)
	if !answer.Scan() || answer.Text() != "ready" {
		_ = in.Close()
		b.Fatalf("the crowd says %q, %v", answer.Text(), cmd.Wait())
	}
	return func() {
		must(b, in.Close())
		must(b, cmd.Wait())
	}
}
