package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"ronde/session"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
)

// asProgram makes the test binary be the program itself, for tests that kill it.
const asProgram = "RONDE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	switch bug := os.Getenv(planted); {
	case bug != "":
		os.Exit(servePlanted(bug, os.Args[1:]))
	case os.Getenv(asProgram) != "":
		main()
		return
	}
	os.Exit(m.Run())
}

// rounds returns how often a test with a long form repeats: long with make chaos.
func rounds(short, long int) int {
	if os.Getenv("RONDE_CHAOS") != "" {
		return long
	}
	return short
}

// program is a process that runs ronde with the given arguments.
func program(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// serving starts ronde serve and returns its process and public URL once it serves.
func serving(t *testing.T, args []string) (*exec.Cmd, string) {
	t.Helper()
	cmd := program(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	check(t, err)
	check(t, cmd.Start())
	lines := bufio.NewScanner(stderr)
	var seen []string
	for lines.Scan() {
		var line struct {
			Msg       string `json:"msg"`
			PublicURL string `json:"public_url"`
		}
		seen = append(seen, lines.Text())
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "started" {
			go func() { _, _ = io.Copy(io.Discard, stderr) }() // ends with the process
			return cmd, line.PublicURL
		}
	}
	t.Fatalf("ronde serve did not start:\n%s", strings.Join(seen, "\n"))
	return nil, ""
}

// killing is a phone that streams to a server which is killed again and again.
type killing struct {
	t       *testing.T
	args    []string
	key     string
	mission string
	token   string
	start   int64
	pace    *rate.Limiter

	sent  int // pings so far; ping i is known by its latitude
	acked int // pings up to this one were acknowledged
}

// TestKilledNodeLosesNothing kills the server with SIGKILL while a phone streams, again and again, and then compares
// what was acknowledged with what is stored (I3).
func TestKilledNodeLosesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		data := t.TempDir()
		args := []string{"--data", data}
		if store == "postgres" {
			dsn := pgtest.Start(t).CreateDB(t)
			check(t, postgres.Migrate(t.Context(), dsn))
			secret := filepath.Join(data, "root.secret")
			_, err := session.CreateRootSecret(secret)
			check(t, err)
			args = append(args, "--store", dsn, "--root-secret-file", secret)
		}
		k := &killing{t: t, args: args, pace: rate.NewLimiter(15, 5)}
		k.prepare()
		for range rounds(4, 1000) {
			k.round()
		}
		k.compare()
	})
}

func (k *killing) prepare() {
	out, err := program(k.t, append([]string{"apikey", "create", "--tenant", "acme", "--role", "platform"}, k.args...)...).Output()
	check(k.t, err)
	k.key = strings.TrimSpace(string(out))
	cmd, url := serving(k.t, k.args)
	a, now := k.node(url), time.Now()
	k.mission = a.createMission(now, now.Add(8*time.Hour), 48.0, 2.4, 80, object{"min_interval_ms": 1})
	k.token = a.agentToken(k.mission)
	a.call(200, "POST", "/v1/missions/"+k.mission+"/begin", nil)
	k.start = time.Now().UnixMilli()
	k.kill(cmd)
}

func (k *killing) kill(cmd *exec.Cmd) {
	check(k.t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed, and says so
}

// node speaks to the process that serves at a URL.
func (k *killing) node(url string) *testApp {
	a := &testApp{app: &app{}, t: k.t, key: k.key}
	a.config.PublicURL = url
	return a
}

// round starts the server, streams until a random number of acks have come, and kills it.
func (k *killing) round() {
	cmd, url := serving(k.t, k.args)
	phone := k.node(url).socket("/v1/agent", "ronde.agent.v1", k.token)
	phone.until("hello")
	base := k.acked // sequence numbers begin anew: number n is ping base+n
	k.sent = base   // and what was not acknowledged is sent again
	for acks := 1 + rand.IntN(8); acks > 0; {
		check(k.t, k.pace.Wait(k.t.Context()))
		phone.send(k.frame(base, 20))
		if rand.IntN(3) == 0 { // sometimes several frames are in flight
			continue
		}
		answer := phone.until("ack", "refused", "retry", "error")
		if answer["type"] != "ack" {
			k.t.Fatalf("answer %v", answer)
		}
		k.acked = base + int(answer["seq"].(float64))
		acks--
	}
	k.kill(cmd)
}

// frame makes the next n pings. Each millisecond since the begin is one slot.
func (k *killing) frame(base, n int) object {
	var pings []object
	for range n {
		k.sent++
		pings = append(pings, object{
			"seq": k.sent - base, "timestamp": k.start + int64(k.sent), "latitude": latitudeOf(k.sent), "longitude": 2.4,
		})
	}
	return object{"type": "pings", "pings": pings}
}

func latitudeOf(n int) float64 { return 48 + float64(n)/1e7 }

func (k *killing) compare() {
	cmd, url := serving(k.t, k.args)
	defer k.kill(cmd)
	found := map[string]int{}
	for _, item := range k.node(url).track(k.mission) {
		found[fmt.Sprintf("%.7f", item["latitude"])]++
	}
	lost, twice := 0, 0
	for i := 1; i <= k.sent; i++ {
		switch n := found[fmt.Sprintf("%.7f", latitudeOf(i))]; {
		case n == 0 && i <= k.acked:
			lost++
		case n > 1:
			twice++
		}
	}
	if lost > 0 || twice > 0 || len(found) < k.acked {
		k.t.Fatalf("%d acknowledged, %d stored: %d lost, %d twice", k.acked, len(found), lost, twice)
	}
	k.t.Logf("acknowledged %d, stored %d, lost 0, twice 0", k.acked, len(found))
}
