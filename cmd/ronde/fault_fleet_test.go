package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"ronde/session"
	"ronde/session/postgres/pgtest"
	"ronde/tracker/redisbus/redistest"
)

// fleet is what a company that outgrew one machine runs: nodes of ronde serve as processes of their own behind HAProxy,
// one PostgreSQL, one Redis. Every node reaches the two over links of its own, which the test can cut.
type fleet struct {
	t     testing.TB
	pg    *pgtest.Server
	dsn   string
	redis []*redistest.Server // one, or the masters of a Redis Cluster
	slots *redistest.Cluster  // nil without one
	nodes []*fleetNode
	url   string // of the balancer, the public URL of every node
	key   string // an API key of role platform
}

// fleetNode is one node: a process that can be killed, frozen and cut off from what it depends on.
type fleetNode struct {
	t      testing.TB
	args   []string
	env    []string
	public string // host:port, the same after every start
	ops    string
	links  []*toxiproxy.Proxy
	log    *os.File
	cmd    *exec.Cmd // nil while it is down
}

// size says what a cluster is made of.
type size struct {
	nodes   int
	masters int    // of Redis; 0 for a single server
	bug     string // planted in every node; "" for none
}

func startFleet(t testing.TB, s size) *fleet {
	t.Helper()
	c := &fleet{t: t, pg: pgtest.StartPrivate(t)}
	c.dsn = newDatabase(t, c.pg)
	check(t, c.exec(`CREATE ROLE ronde_node LOGIN`, `GRANT ronde_app TO ronde_node`))
	if s.masters > 0 {
		c.slots = redistest.StartCluster(t, s.masters)
		c.redis = c.slots.Masters
	} else {
		c.redis = []*redistest.Server{redistest.Start(t)}
	}
	data := t.TempDir()
	_, err := session.CreateRootSecret(filepath.Join(data, "root.secret"))
	check(t, err)
	balancer := freeAddress(t)
	c.url = "http://" + balancer
	for i := range s.nodes {
		c.addNode(i, data, s.bug)
	}
	for _, n := range c.nodes {
		n.start()
	}
	startBalancer(t, balancer, c.nodes)
	c.key = c.newKey("--data", data, "--store", c.nodeDSN(), "--root-secret-file", filepath.Join(data, "root.secret"))
	return c
}

func (c *fleet) addNode(i int, data, bug string) {
	c.t.Helper()
	n := &fleetNode{t: c.t, public: freeAddress(c.t), ops: freeAddress(c.t)}
	store, storeLink := link(c.t, c.nodeDSN())
	n.links = append(n.links, storeLink)
	var bus string
	if c.slots != nil { // whose masters tell their own addresses: no link can stand before them
		bus = "redis-cluster://" + c.redis[0].Addr() + "," + c.redis[1].Addr()
	} else {
		url, busLink := link(c.t, "redis://"+c.redis[0].Addr())
		n.links, bus = append(n.links, busLink), url
	}
	n.args = []string{
		"serve", "--listen", n.public, "--ops-listen", n.ops, "--public-url", c.url, "--data", data,
		"--store", store, "--bus", bus, "--log-level", "warn", "--root-secret-file", filepath.Join(data, "root.secret"),
	}
	n.env = []string{asProgram + "=1", planted + "=" + bug}
	log, err := os.Create(filepath.Join(c.t.TempDir(), fmt.Sprintf("node-%d.log", i)))
	check(c.t, err)
	n.log = log
	c.t.Cleanup(func() {
		n.kill()
		if c.t.Failed() {
			n.showLog()
		}
		_ = log.Close()
	})
	c.nodes = append(c.nodes, n)
}

// nodeDSN is the database as the nodes see it: with a login that may only what the application may.
func (c *fleet) nodeDSN() string { return asLogin(c.t, c.dsn, "ronde_node") }

// onDatabase lends out a connection of the database's superuser.
func (c *fleet) onDatabase(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, c.dsn)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close(context.WithoutCancel(ctx)))
}

// exec runs statements as the database's superuser.
func (c *fleet) exec(statements ...string) error {
	return c.onDatabase(c.t.Context(), func(conn *pgx.Conn) error {
		for _, s := range statements {
			if _, err := conn.Exec(c.t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
}

// newKey makes an API key over a path of its own, as an administrator does.
func (c *fleet) newKey(args ...string) string {
	c.t.Helper()
	out, err := program(c.t, append([]string{"apikey", "create", "--tenant", "acme", "--role", "platform"}, args...)...).Output()
	check(c.t, err)
	return strings.TrimSpace(string(out))
}

// link puts a proxy on loopback before the server that a URL names, and returns the URL that leads through it.
func link(t testing.TB, target string) (string, *toxiproxy.Proxy) {
	t.Helper()
	before, after, ok := strings.Cut(target, "127.0.0.1:")
	if !ok {
		t.Fatalf("no link to %q: it is not on loopback", target)
	}
	port, tail, found := strings.Cut(after, "/")
	if found {
		tail = "/" + tail
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, port, "127.0.0.1:0", "127.0.0.1:"+port)
	check(t, p.Start())
	t.Cleanup(p.Stop)
	return before + p.Listen + tail, p
}

// freeAddress returns an address on loopback that nobody listens on, and that a node finds free again after a restart.
func freeAddress(t testing.TB) string { return fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(t)) }

// start starts the node and waits until it is ready.
func (n *fleetNode) start() {
	n.t.Helper()
	n.cmd = program(n.t, n.args...)
	n.cmd.Env = append(os.Environ(), n.env...)
	n.cmd.Stderr = n.log
	check(n.t, n.cmd.Start())
	poll(n.t, "a node that is ready", func() error { return n.ready() })
}

func (n *fleetNode) ready() error {
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.ops+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	return nil
}

// poll tries something again and again until it works. Nothing depends on how long that takes, but for a bound that
// no sound system comes near.
func poll(t testing.TB, what string, try func() error) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(2 * testPatience)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("never came: %s: %v", what, err)
		}
	}
}

// kill ends the node at once, as a machine that loses power does.
func (n *fleetNode) kill() { n.end(syscall.SIGKILL) }

// drain ends the node as an orderly restart does.
func (n *fleetNode) drain() { n.end(syscall.SIGTERM) }

func (n *fleetNode) end(s syscall.Signal) {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Signal(s) // it may have gone by itself, which the wait tells
	err := n.cmd.Wait()
	n.cmd = nil
	if s == syscall.SIGTERM && err != nil {
		n.t.Errorf("a node that was told to stop: %v", err)
	}
}

// freeze halts the process where it stands; thaw lets it go on.
func (n *fleetNode) freeze() error { return n.cmd.Process.Signal(syscall.SIGSTOP) }
func (n *fleetNode) thaw() error   { return n.cmd.Process.Signal(syscall.SIGCONT) }

// isolate lets nothing through between the node and what it depends on, in neither direction, without closing a
// connection: the network is gone and nobody says so.
func (n *fleetNode) isolate() error { return n.poison(`"timeout"`, `{"timeout":0}`) }

// poison spoils both directions of every link of the node in one way. rejoin mends them, and closes what was held up.
func (n *fleetNode) poison(kind, attributes string) error {
	var errs []error
	for _, l := range n.links {
		for _, stream := range []string{"upstream", "downstream"} {
			_, err := l.Toxics.AddToxicJson(strings.NewReader(`{"type":` + kind + `,"stream":"` + stream + `","attributes":` + attributes + `}`))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (n *fleetNode) rejoin() {
	for _, l := range n.links {
		l.Toxics.ResetToxics(n.t.Context())
	}
}

// cut closes every connection to what the node depends on, whatever is under way, and lets it connect anew.
func (n *fleetNode) cut() error {
	var errs []error
	for _, l := range n.links {
		l.Stop()
		errs = append(errs, l.Start())
	}
	return errors.Join(errs...)
}

func (n *fleetNode) showLog() {
	b, err := os.ReadFile(n.log.Name())
	check(n.t, err)
	if lines := bytes.SplitAfter(b, []byte("\n")); len(lines) > 30 {
		b = bytes.Join(lines[len(lines)-30:], nil)
	}
	n.t.Logf("%s ends with:\n%s", filepath.Base(n.log.Name()), b)
}

// startBalancer starts HAProxy before the nodes. It sends nothing to a node that says it is not ready.
func startBalancer(t testing.TB, address string, nodes []*fleetNode) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "defaults\n mode http\n timeout connect 2s\n timeout client 60s\n timeout server 60s\n timeout tunnel 1h\n"+
		"frontend public\n bind %s\n default_backend nodes\n"+
		"backend nodes\n balance roundrobin\n option redispatch\n option httpchk GET /readyz\n", address)
	for i, n := range nodes {
		_, ops, _ := net.SplitHostPort(n.ops)
		fmt.Fprintf(&b, " server n%d %s check port %s inter 500ms fastinter 200ms downinter 500ms fall 1 rise 1\n", i, n.public, ops)
	}
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	check(t, os.WriteFile(path, []byte(b.String()), 0o600))
	cmd := exec.CommandContext(t.Context(), "haproxy", "-db", "-f", path)
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed, and says so
	})
	awaitListener(t, address)
}

// statusError is an answer that is not the one asked for.
type statusError struct {
	status int
	body   string
}

func (e statusError) Error() string { return fmt.Sprintf("%d %s", e.status, e.body) }

// ask makes a REST call as the platform through the balancer, again and again while the cluster cannot answer: what it
// asks for is either a reading or something that may be repeated.
func (c *fleet) ask(ctx context.Context, method, path string, body any) (object, error) {
	var raw []byte
	if body != nil {
		raw, _ = json.Marshal(body) // objects of strings and numbers always marshal
	}
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, err := c.askOnce(ctx, method, path, raw)
		var refused statusError
		if err == nil || errors.As(err, &refused) && refused.status < 500 {
			return answer, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

func (c *fleet) askOnce(ctx context.Context, method, path string, body []byte) (object, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return nil, statusError{resp.StatusCode, string(raw)}
	}
	var answer object
	return answer, json.Unmarshal(raw, &answer)
}
