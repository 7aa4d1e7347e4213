package main

import (
	"context"
	"encoding/hex"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/configs"
	"ronde/session"
	"ronde/session/postgres/pgtest"
	"ronde/tracker/redisbus/redistest"
)

// canary is an installation through which the canary goes, and everything that it writes.
type canary struct {
	*testApp // the node that the phone is at
	t        *testing.T
	there    *testApp // the node that the client is at; with the embedded store, the same
	temp     string   // where everything temporary goes
	needles  []needle
	outputs  map[string]string // of commands, by the command
	scraped  map[string]string // from the ops listeners, by the address
	panics   atomic.Pointer[string]

	// Of the embedded store alone:
	profile string // of the browser

	// Of PostgreSQL alone:
	store, keys *pgtest.Server
	monitor     *monitored
}

// TestCanaryLeavesNoTrace is I5, P11, P14 and P43: a coordinate, tokens, keys and passwords go through a whole run, with
// good and bad requests, and then everything that the run wrote is searched for them in every form; while it runs and
// after it stopped. That the search finds what there is to find is seen by planting the canary in each kind of place.
func TestCanaryLeavesNoTrace(t *testing.T) {
	eachStore(t, func(t *testing.T, store string) {
		c := newCanary(t, store)
		c.fly()
		c.search().report("while it runs", c.kinds())
		check(t, c.stop())
		if c.there != c.testApp {
			check(t, c.there.stop())
		}
		c.search().report("once it stopped", slices.DeleteFunc(c.kinds(), func(kind string) bool { return kind == walOfSQLite }))

		c.plant()
		planted := c.search()
		for _, kind := range c.kinds() {
			if len(planted.found[kind]) == 0 {
				t.Errorf("what is planted in %s is not found", kind)
			}
		}
		t.Logf("planted and found in %d kinds of places: %s", len(planted.found), strings.Join(slices.Sorted(maps.Keys(planted.found)), "; "))
	})
}

// Passwords of the installation. Its servers trust whoever comes from this machine, and take any.
const (
	storePassword = "canary-of-the-store"
	keysPassword  = "canary-of-the-keys"
	busPassword   = "canary-of-the-bus"
)

func newCanary(t *testing.T, store string) *canary {
	t.Helper()
	c := &canary{t: t, outputs: map[string]string{}, scraped: map[string]string{}, needles: coordinateNeedles(t)}
	t.Setenv("TMPDIR", t.TempDir())
	c.temp = os.TempDir()
	data := filepath.Join(c.temp, "data")
	settings := embedded(data)
	if store == "postgres" {
		c.store, c.keys = startLoudPostgres(t), startLoudPostgres(t)
		settings = newInstallation(t, c.store, c.keys).config
		settings.Data = data
		settings.Store = strings.Replace(settings.Store, "node@", "node:"+storePassword+"@", 1)
		settings.Keys = strings.Replace(settings.Keys, "node@", "node:"+keysPassword+"@", 1)
		redis := redistest.Start(t)
		c.monitor = monitorRedis(t, redis)
		settings.Bus = "redis://default:" + busPassword + "@" + redis.Addr()
		for _, password := range []string{storePassword, keysPassword, busPassword} {
			c.needles = append(c.needles, needle{password, []byte(password)})
		}
	}
	c.testApp = c.node(settings)
	c.there = c.testApp
	if store == "postgres" {
		c.there = c.node(settings)
	} else {
		c.profile = filepath.Join(c.temp, "profile")
	}
	c.key = c.newKey("acme", session.Platform)
	c.there.key = c.key
	c.needles = append(c.needles, keyNeedles(c.key)...)
	return c
}

// node starts a node that logs whatever it can, and whose store panics when it is told to.
func (c *canary) node(settings configs.Config) *testApp {
	c.t.Helper()
	log := &logBuffer{}
	a := newApp(settings.Resolve(), newLogger(streams{err: log}, "debug"), time.Now)
	a.open = func(ctx context.Context, settings configs.Config, now func() time.Time) (session.Store, error) {
		store, err := openStore(ctx, settings, now)
		return &panicking{store, &c.panics}, err
	}
	check(c.t, a.start(c.t.Context()))
	c.t.Cleanup(func() { check(c.t, a.stop()) })
	return &testApp{app: a, t: c.t, log: log}
}

// panicking is a store in which listing missions panics, once it is told with what.
type panicking struct {
	session.Store
	with *atomic.Pointer[string]
}

func (s *panicking) Missions(ctx context.Context, tenant string, filter session.MissionFilter, after uuid.UUID, limit int) ([]*session.Mission, error) {
	if with := s.with.Load(); with != nil {
		panic(*with)
	}
	return s.Store.Missions(ctx, tenant, filter, after, limit)
}

// secrets are the needles that only the keyring and the file of the root secret may hold.
func (c *canary) secrets() (all []needle) {
	c.t.Helper()
	root, err := rootSecret(c.config)
	check(c.t, err)
	ring, err := openKeyring(c.t.Context(), c.config, root)
	check(c.t, err)
	defer func() { check(c.t, ring.Close()) }()
	signing, err := ring.SigningKeys(c.t.Context())
	check(c.t, err)
	for _, key := range signing {
		all = append(all, needle{"signing seed", key.Seed})
	}
	text, err := os.ReadFile(c.config.RootSecretFile)
	check(c.t, err)
	raw, err := hex.DecodeString(strings.TrimSpace(string(text)))
	check(c.t, err)
	return append(all, needle{"root secret", raw})
}

// Kinds of places that are named more than once.
const (
	temporary   = "temporary files"
	walOfSQLite = "SQLite: WAL"
	ofPages     = "browser: storage of pages"
	ofBrowser   = "browser: records of its own"
)

// kinds are the kinds of places of this installation.
func (c *canary) kinds() []string {
	kinds := []string{"log on standard error", "metrics, health", "output of commands", "checkpoints", temporary}
	if c.store == nil {
		return append(kinds, "SQLite: database", walOfSQLite, "keyring: folder", ofPages, ofBrowser)
	}
	for _, server := range []string{"store", "keyring"} {
		kinds = append(kinds, server+": data folder", server+": pg_wal", server+": server log")
	}
	return append(kinds, "Redis: MONITOR", "Redis: dump, log")
}

// search looks everywhere.
func (c *canary) search() *places {
	c.t.Helper()
	p := newPlaces(c.t, newFinder(c.needles))
	for i, node := range []*testApp{c.testApp, c.there} {
		p.text("log on standard error", []string{"one", "another"}[i], []byte(node.log.String()))
	}
	for command, output := range c.outputs {
		p.text("output of commands", command, []byte(output))
	}
	for url, text := range c.scraped {
		p.text("metrics, health", url, []byte(text))
	}
	p.folder(c.temp, c.kindOf)
	if c.store != nil {
		p.postgres("store", c.store)
		p.postgres("keyring", c.keys)
		p.redis(c.monitor)
	}
	return p
}

// kindOf tells what a file below the temporary folder is.
func (c *canary) kindOf(path string) string {
	_, keys := configs.Split(c.config.Keys)
	database := filepath.Join(c.config.Data, "ronde.db")
	switch {
	case path == c.config.RootSecretFile:
		return "" // where it is meant to be
	case strings.HasPrefix(path, c.config.Checkpoints):
		return "checkpoints"
	case path == database:
		return "SQLite: database"
	case strings.HasPrefix(path, database):
		return walOfSQLite
	case c.store == nil && strings.HasPrefix(path, keys):
		return "keyring: folder"
	case c.profile != "" && strings.HasPrefix(path, c.profile):
		return kindOfProfile(path)
	case strings.HasPrefix(path, filepath.Join(c.temp, "ronde-redis-")):
		return "Redis: dump, log"
	}
	return temporary
}

// kindOfProfile tells whether a file of a browser's profile holds what pages store, or the browser's own records.
func kindOfProfile(path string) string {
	for _, store := range []string{"Local Storage", "Session Storage", "IndexedDB", "Cache", "Service Worker", "Cookies", "blob_storage", "File System", "WebStorage", "shared_proto_db"} {
		if strings.Contains(path, store) {
			return ofPages
		}
	}
	return ofBrowser
}
