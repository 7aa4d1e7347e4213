package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ronde/session/postgres/pgtest"
	"ronde/tracker/redisbus/redistest"
)

const (
	// Each crew sends 40 positions a second, in frames of one, and has two viewers who see all of them.
	costCrews = 25
	costSpell = 5 * time.Second
)

// BenchmarkCostOfPing compares what a ping costs a node on PostgreSQL and Redis with what it costs on the embedded
// default, in processor time at 1,000 pings a second, and says what the two servers spend beside it. The loads take
// turns.
func BenchmarkCostOfPing(b *testing.B) {
	single, cluster := startSingle(b), startFleet(b, size{nodes: 1})
	loads := []*load{
		{name: "embedded", c: single, spent: []time.Duration{0}, spenders: []spender{
			{"node", single.nodes[0].spent},
		}},
		{name: "cluster", c: cluster, spent: []time.Duration{0, 0, 0}, spenders: []spender{
			{"node", cluster.nodes[0].spent},
			{"postgres", func() time.Duration { return spentByFamily(b, postmaster(b, cluster.pg)) }},
			{"redis", func() time.Duration { return spentBy(b, redisProcess(b, cluster.redis[0])) }},
		}},
	}
	for b.Loop() {
		for _, l := range loads {
			l.spell(b)
		}
	}
	for _, l := range loads {
		for i, s := range l.spenders {
			b.ReportMetric(l.cost(i), l.name+"-"+s.name+"-µs/ping")
		}
	}
	b.ReportMetric(loads[1].cost(0)/loads[0].cost(0), "ratio")
	b.ReportMetric(0, "ns/op")
}

// spender is what uses processor time: a process or a family of them.
type spender struct {
	name  string
	spent func() time.Duration // so far
}

// load is one of the installations that are compared.
type load struct {
	name     string
	c        *fleet
	spenders []spender
	spent    []time.Duration // by each, over all spells
	pings    int
}

// cost returns the microseconds that a spender used a ping.
func (l *load) cost(i int) float64 { return float64(l.spent[i].Microseconds()) / float64(l.pings) }

// spell puts the load on for a while, and counts what that took. Coming and going is not counted.
func (l *load) spell(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 4*testPatience)
	defer cancel()
	var all []*crew
	for i := range costCrews {
		all = append(all, startCrew(ctx, l.c, uint64(i), false))
	}
	check(b, eventually(ctx, all, func(w *crew) error { return w.streaming(time.Time{}) }))
	before, acked := l.read(), ackedBy(all)
	sleep(ctx, costSpell)
	l.pings += ackedBy(all) - acked
	for i, now := range l.read() {
		l.spent[i] += now - before[i]
	}
	for _, w := range all {
		w.ticking()
		w.ticks.Wait()
		check(b, w.end(ctx))
	}
}

func (l *load) read() (spent []time.Duration) {
	for _, s := range l.spenders {
		spent = append(spent, s.spent())
	}
	return spent
}

func ackedBy(all []*crew) (n int) {
	for _, w := range all {
		for _, m := range w.members {
			n += int(m.phone.Stats().Acked)
		}
	}
	return n
}

// startSingle starts one node on the embedded default.
func startSingle(b *testing.B) *fleet {
	b.Helper()
	n := &fleetNode{t: b, public: freeAddress(b), ops: freeAddress(b), env: []string{asProgram + "=1"}}
	c := &fleet{t: b, nodes: []*fleetNode{n}, url: "http://" + n.public}
	data := b.TempDir()
	n.args = []string{"serve", "--listen", n.public, "--ops-listen", n.ops, "--data", data, "--log-level", "warn"}
	log, err := os.Create(filepath.Join(b.TempDir(), "node.log"))
	check(b, err)
	n.log = log
	b.Cleanup(func() {
		n.kill()
		_ = log.Close()
	})
	n.start()
	c.key = c.newKey("--data", data)
	return c
}

// spent returns the processor time that the node has used.
func (n *fleetNode) spent() time.Duration { return spentBy(n.t, n.cmd.Process.Pid) }

// clockTicks is how many ticks of processor time Linux counts a second, on every machine that Go runs on.
const clockTicks = 100

// spentBy returns the processor time that a process has used, and its children that have ended.
func spentBy(tb testing.TB, pid int) time.Duration {
	tb.Helper()
	_, fields := stat(tb, fmt.Sprintf("/proc/%d/stat", pid))
	var ticks int
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.Atoi(field)
		check(tb, err)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks
}

// spentByFamily returns the processor time of a process and all its children.
func spentByFamily(tb testing.TB, parent int) time.Duration {
	tb.Helper()
	sum := spentBy(tb, parent)
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	check(tb, err)
	for _, path := range paths {
		if pid, fields := stat(tb, path); len(fields) > 0 && fields[1] == strconv.Itoa(parent) {
			sum += spentBy(tb, pid)
		}
	}
	return sum
}

// stat reads what Linux says of a process: its id, and the fields after its name. There are none if it has gone.
func stat(tb testing.TB, path string) (pid int, fields []string) {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, nil
	}
	pid, err = strconv.Atoi(strings.Fields(string(b))[0])
	check(tb, err)
	return pid, strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
}

// postmaster returns the process that all others of a PostgreSQL server are children of.
func postmaster(tb testing.TB, s *pgtest.Server) int {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(s.DataDir, "postmaster.pid"))
	check(tb, err)
	pid, err := strconv.Atoi(strings.Fields(string(b))[0])
	check(tb, err)
	return pid
}

func redisProcess(tb testing.TB, s *redistest.Server) int {
	tb.Helper()
	info, _ := s.Do(tb, "INFO", "server").(string)
	_, rest, _ := strings.Cut(info, "process_id:")
	pid, err := strconv.Atoi(strings.Fields(rest)[0])
	check(tb, err)
	return pid
}
