package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/time/rate"

	"ronde/configs"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres/pgtest"
)

// installation is one whose store and keys are in two PostgreSQL databases, to which its nodes log in as nobody special.
type installation struct {
	t           *testing.T
	config      configs.Config
	store, keys string // for the superuser
	clock       testClock
}

// asNode returns the address of a database for the nodes' login.
func asNode(dsn string) string { return strings.Replace(dsn, "postgres@", "node@", 1) }

// login is SQL that makes a login unless the server has it.
func login(name string) string {
	return fmt.Sprintf("DO $$ BEGIN IF to_regrole('%[1]s') IS NULL THEN CREATE ROLE %[1]s LOGIN; END IF; END $$", name)
}

func newInstallation(t *testing.T, storeServer, keysServer *pgtest.Server) *installation {
	t.Helper()
	i := &installation{t: t, config: configs.Default(), store: storeServer.CreateDB(t), keys: keysServer.CreateDB(t)}
	if o := ronde(t, "migrate", "--store", i.store, "--keys", i.keys); o.code != exitOK {
		t.Fatal(o.errors)
	}
	execSQL(t, i.store, login("node"), "GRANT ronde_app TO node")
	execSQL(t, i.keys, login("node"), "GRANT ronde_keys TO node")
	i.config.Listen, i.config.OpsListen, i.config.Data = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	i.config.Store, i.config.Keys = asNode(i.store), asNode(i.keys)
	i.config.RootSecretFile = filepath.Join(t.TempDir(), "root.secret")
	_, err := session.CreateRootSecret(i.config.RootSecretFile)
	check(t, err)
	return i
}

// start starts a node, beside others if there are any.
func (i *installation) start() *testApp {
	i.t.Helper()
	a := &testApp{t: i.t, log: &logBuffer{}}
	a.app = newApp(i.config.Resolve(), slog.New(slog.NewJSONHandler(a.log, nil)), i.clock.now)
	check(i.t, a.start(i.t.Context()))
	i.t.Cleanup(func() { check(i.t, a.stop()) })
	a.setClock = func(now time.Time) { i.clock.set(now); setPostgresClock(i.t, i.store, now) }
	a.key = a.newKey("acme", session.Platform)
	return a
}

// phoneOf opens the socket of a mission's agent.
func phoneOf(a *testApp, token string) *testSocket {
	a.t.Helper()
	phone := a.socket("/v1/agent", "ronde.agent.v1", token)
	phone.until("hello")
	return phone
}

// ping sends one ping of the present time and returns what the phone is told of it.
func (s *testSocket) ping(seq int, at time.Time) object {
	s.t.Helper()
	s.send(object{"type": "pings", "pings": []object{{"seq": seq, "timestamp": at.UnixMilli(), "latitude": 48.85, "longitude": 2.34}}})
	return s.until("ack", "refused", "retry")
}

// running creates a mission and begins it.
func (a *testApp) running() string {
	a.t.Helper()
	now := time.Now()
	mission := a.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, object{"min_interval_ms": 1})
	a.call(200, "POST", "/v1/missions/"+mission+"/begin", nil)
	return mission
}

// TestKeysInPostgres is a mission's life with its keys in a database: two nodes, a restart, the expiry of its track.
func TestKeysInPostgres(t *testing.T) {
	server := pgtest.Start(t)
	i := newInstallation(t, server, server)
	first := i.start()
	mission := first.running()
	token := first.agentToken(mission)
	phone := phoneOf(first, token)
	begun := time.Now()
	for n := range 3 {
		if answer := phone.ping(n+1, begun.Add(time.Duration(n)*time.Millisecond)); answer["type"] != "ack" {
			t.Fatalf("answer %v", answer)
		}
	}
	second := i.start() // which knows nothing but the root secret's file
	phone = phoneOf(second, token)
	if answer := phone.ping(1, begun.Add(3*time.Millisecond)); answer["type"] != "ack" {
		t.Fatalf("answer of another node: %v", answer)
	}
	for _, a := range []*testApp{first, second} {
		if n := len(a.track(mission)); n != 4 {
			t.Errorf("%d positions, want 4", n)
		}
	}
	if !strings.Contains(first.log.String(), "keys_on_server_of_store") {
		t.Error("nobody is told that a backup of the server holds the keys to what it holds")
	}
	check(t, first.stop())
	check(t, second.stop())

	restarted := i.start()
	if n := len(restarted.track(mission)); n != 4 {
		t.Fatalf("%d positions after a restart, want 4", n)
	}
	restarted.call(200, "POST", "/v1/missions/"+mission+"/end", nil)
	m, err := restarted.service.Mission(t.Context(), "acme", mustID(t, mission))
	check(t, err)
	restarted.setClock(m.ExpiresOn.Time().Add(-time.Millisecond))
	if n := len(restarted.track(mission)); n != 4 {
		t.Fatalf("%d positions before the expiry day, want 4", n)
	}
	restarted.setClock(m.ExpiresOn.Time())
	restarted.call(410, "GET", "/v1/missions/"+mission+"/track", nil) // swept or not
	if swept, err := restarted.service.Sweep(t.Context()); swept.Salts != 1 || err != nil {
		t.Fatalf("swept %+v, %v: want 1 salt", swept, err)
	}
	restarted.call(410, "GET", "/v1/missions/"+mission+"/track", nil)
	i.start().call(410, "GET", "/v1/missions/"+mission+"/track", nil)
}

// TestKeysOutage takes the keys' database away. Missions whose key is known go on as if nothing were; one of another
// tenant that begins meanwhile has to wait, and its phone keeps what it has (I9).
func TestKeysOutage(t *testing.T) {
	server := pgtest.StartPrivate(t)
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			a := newInstallation(t, pgtest.Start(t), server).start()
			known := a.running()
			token := a.agentToken(known)
			phone := phoneOf(a, token)
			if answer := phone.ping(1, time.Now()); answer["type"] != "ack" {
				t.Fatalf("answer %v", answer)
			}

			other := *a
			other.key = a.newKey("other", session.Platform)

			o.down(t, server)
			fresh := other.running()
			waiting := phoneOf(a, other.agentToken(fresh))
			at := time.Now()
			var refused sync.WaitGroup
			refused.Go(func() {
				if answer := waiting.ping(1, at); answer["type"] != "retry" || answer["code"] != "store_unavailable" {
					t.Errorf("a mission without its key: answer %v", answer)
				}
			})
			for n := 2; n < 20; n++ {
				if answer := phone.ping(n, time.Now()); answer["type"] != "ack" || answer["seq"] != float64(n) {
					t.Fatalf("a mission whose key is known: answer %v to ping %d", answer, n)
				}
			}
			refused.Wait()
			phoneOf(a, token) // tokens are verified with the keys that are known
			other.call(503, "GET", "/v1/missions/"+fresh+"/track", nil)
			if ready := a.ready(); ready != http.StatusServiceUnavailable {
				t.Errorf("the node calls itself ready: %d", ready)
			}

			o.up(t, server)
			pace := rate.NewLimiter(5, 1)
			for seq, answer := 2, (object)(nil); answer["type"] != "ack"; seq++ {
				check(t, pace.Wait(t.Context()))
				if answer = waiting.ping(seq, at); answer["type"] == "refused" {
					t.Fatalf("answer %v", answer)
				}
			}
			if n := len(other.track(fresh)); n != 1 {
				t.Errorf("%d positions of the mission that waited, want 1", n)
			}
		})
	}
}

// ready returns the status of the private listener's readiness.
func (a *testApp) ready() int {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), "GET", "http://"+a.ops.Addr().String()+"/readyz", nil)
	check(a.t, err)
	resp, err := http.DefaultClient.Do(req)
	check(a.t, err)
	check(a.t, resp.Body.Close())
	return resp.StatusCode
}

// TestKeysRefused is what a node does not start with, and what it says then.
func TestKeysRefused(t *testing.T) {
	server := pgtest.Start(t)
	whole := newInstallation(t, server, server)
	check(t, whole.start().stop()) // makes the keyring
	for _, c := range []struct {
		name   string
		change func(c *configs.Config)
		says   []string
	}{
		{"another root secret", func(c *configs.Config) {
			c.RootSecretFile = filepath.Join(t.TempDir(), "other.secret")
			_, err := session.CreateRootSecret(c.RootSecretFile)
			check(t, err)
		}, []string{"--keys", "another root secret", "--root-secret-file", "every node"}},
		{"keys that were never migrated", func(c *configs.Config) { c.Keys = asNode(server.CreateDB(t)) },
			[]string{"--keys", "version 0", "`ronde migrate`"}},
		{"the store's database under another name", func(c *configs.Config) {
			c.Keys = strings.Replace(c.Store, "127.0.0.1", "localhost", 1)
		}, []string{"--keys", "same database", "--store", "backup"}},
		{"a login that is no member", func(c *configs.Config) {
			execSQL(t, whole.keys, login("outsider"))
			c.Keys = strings.Replace(whole.keys, "postgres@", "outsider@", 1)
		}, []string{"--keys", "GRANT ronde_keys"}},
		{"keys that are not there", func(c *configs.Config) { c.Keys = "postgres://node@127.0.0.1:1/keys" },
			[]string{"--keys", "connect"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := whole.config
			c.change(&config)
			err := newApp(config.Resolve(), slog.New(slog.DiscardHandler), time.Now).start(t.Context())
			if err == nil {
				t.Fatal("started")
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q does not say %q", err, s)
				}
			}
		})
	}
	o := ronde(t, "serve", "--store", whole.store, "--keys", whole.store)
	if o.code != exitUsage || !strings.Contains(o.errors, "keys: must be another database than the store's") {
		t.Errorf("exit code %d: %s", o.code, o.errors)
	}
}

// TestNothingIsMadeOfEmptyKeys: neither a doctor with whatever root secret nor a node whose store was sealed with another
// keyring makes one in a database that has none.
func TestNothingIsMadeOfEmptyKeys(t *testing.T) {
	server := pgtest.Start(t)
	i := newInstallation(t, server, server)
	made := func(keys string) (n int) {
		conn, err := pgx.Connect(t.Context(), keys)
		check(t, err)
		defer func() { check(t, conn.Close(t.Context())) }()
		check(t, conn.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM keyring) + (SELECT count(*) FROM signing_keys)").Scan(&n))
		return n
	}
	other := filepath.Join(t.TempDir(), "other.secret")
	_, err := session.CreateRootSecret(other)
	check(t, err)
	args := []string{"--store", i.config.Store, "--root-secret-file", other}
	diagnose(t, idleNode(i.config.Data, append(args, "--keys", i.config.Keys)...)...).want("keys", verdictOK, "at the first start")
	if n := made(i.keys); n != 0 {
		t.Errorf("the doctor made %d entries", n)
	}

	i.start()
	empty := newInstallation(t, server, server)
	diagnose(t, idleNode(i.config.Data, append(args, "--keys", empty.config.Keys)...)...).want("keys", verdictFail, "holds no keyring")
	i.config.Keys = empty.config.Keys
	err = newApp(i.config.Resolve(), slog.New(slog.DiscardHandler), time.Now).start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "holds no keyring") {
		t.Errorf("started with keys that are empty: %v", err)
	}
	if n := made(empty.keys); n != 0 {
		t.Errorf("a node that was refused made %d entries", n)
	}
}

// TestMigrateBoth migrates store and keys from several machines at once, and again.
func TestMigrateBoth(t *testing.T) {
	server := pgtest.StartPrivate(t) // without any role of ours
	store, keys := server.CreateDB(t), server.CreateDB(t)
	aside := strings.Replace(store, "127.0.0.1", "localhost", 1)
	if o := ronde(t, "migrate", "--store", store, "--keys", aside); o.code != exitRun || !strings.Contains(o.errors, "same database") {
		t.Errorf("keys beside the store: exit code %d: %s", o.code, o.errors)
	}
	if v, err := keyring.Version(t.Context(), store); v != 0 || err != nil {
		t.Errorf("the store's database has keys of version %d, %v", v, err)
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if o := ronde(t, "migrate", "--store", store, "--keys", keys); o.code != exitOK {
				t.Error(o.errors)
			}
		})
	}
	all.Wait()
	if o := ronde(t, "migrate", "--store", store, "--keys", keys); o.code != exitOK {
		t.Error(o.errors)
	}
	if v, err := keyring.Version(t.Context(), keys); v != keyring.SchemaVersion || err != nil {
		t.Errorf("the keys have version %d, %v", v, err)
	}
	if _, err := keyring.OpenDatabase(t.Context(), store, session.NewRootSecret(), 0); !errors.As(err, new(*keyring.SchemaError)) {
		t.Errorf("the store's database as a keyring: %v", err)
	}
}
