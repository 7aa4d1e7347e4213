package redisbus_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ronde/session"
	"ronde/tracker"
	"ronde/tracker/redisbus"
	"ronde/tracker/redisbus/redistest"
)

// documented returns the rules of the ACL user that the package and the README
// document.
func documented(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, file := range []string{"doc.go", "../../README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		line := regexp.MustCompile(`ACL SETUSER ronde on >PASSWORD (.*)`).FindSubmatch(text)
		if line == nil {
			t.Fatalf("%s documents no ACL user", file)
		}
		found = append(found, string(line[1]))
	}
	if found[0] != found[1] {
		t.Fatalf("two users are documented: %q", found)
	}
	return strings.Fields(found[0])
}

// allow makes the user ronde with the rules, from nothing.
func allow(t *testing.T, server *redistest.Server, rules []string) {
	t.Helper()
	args := []any{"acl", "setuser", "ronde", "reset", "on", ">pass word"}
	for _, rule := range rules {
		args = append(args, rule)
	}
	server.Do(t, args...)
}

// refusals returns what the user was refused, by the server's own account.
func refusals(t *testing.T, server *redistest.Server) string {
	t.Helper()
	return fmt.Sprint(server.Do(t, "acl", "log"))
}

// tryOpen opens a bus that may fail.
func tryOpen(t *testing.T, url string) (*redisbus.Bus, error) {
	t.Helper()
	bus, err := redisbus.Open(t.Context(), redisbus.Options{
		URL: url, Root: session.NewRootSecret(), Registry: prometheus.NewRegistry(), Patience: 5 * time.Second,
		Log: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		t.Cleanup(func() { _ = bus.Close() })
	}
	return bus, err
}

// TestBus runs the suite as the user that the package documents, on one Redis
// and on a cluster, and shows that this user may do nothing that is not needed.
func TestBus(t *testing.T) {
	rules := documented(t)
	t.Run("one Redis", func(t *testing.T) {
		server := redistest.Start(t)
		own := slices.DeleteFunc(slices.Clone(rules), func(rule string) bool { return strings.HasPrefix(rule, "+cluster") })
		if len(own) == len(rules) {
			t.Fatal("the documented user has no command for a cluster alone")
		}
		allow(t, server, own)
		conform(t, "redis://ronde:pass%20word@"+server.Addr())
		if got := refusals(t, server); got != "[]" {
			t.Errorf("the documented user was refused %s", got)
		}
		oneLess(t, []*redistest.Server{server}, own, "redis://ronde:pass%20word@"+server.Addr())
	})
	t.Run("cluster", func(t *testing.T) {
		cluster := redistest.StartCluster(t, 3)
		for _, server := range cluster.Masters {
			allow(t, server, rules)
		}
		url := "redis-cluster://ronde:pass%20word@" + cluster.Masters[0].Addr()
		conform(t, url)
		for _, server := range cluster.Masters {
			if got := refusals(t, server); got != "[]" {
				t.Errorf("the documented user was refused %s", got)
			}
		}
		oneLess(t, cluster.Masters, rules, url)
	})
}

// oneLess takes each permission away in turn: something is refused, and but for
// SUNSUBSCRIBE, which is sent only later, the bus does not open.
func oneLess(t *testing.T, servers []*redistest.Server, rules []string, url string) {
	for i, rule := range rules {
		if !strings.HasPrefix(rule, "+") && !strings.HasPrefix(rule, "&") {
			continue
		}
		t.Run("without "+rule, func(t *testing.T) {
			for _, server := range servers {
				allow(t, server, slices.Delete(slices.Clone(rules), i, i+1))
				server.Do(t, "acl", "log", "reset")
			}
			if rule == "+sunsubscribe" {
				leaveOne(t, url)
			} else if _, err := tryOpen(t, url); err == nil || !strings.Contains(err.Error(), "redisbus lists") {
				t.Errorf("the bus opened: %v", err)
			}
			command := strings.Trim(rule, "+")
			until(t, "the refusal is logged", func() bool {
				return slices.ContainsFunc(servers, func(s *redistest.Server) bool {
					log := refusals(t, s)
					return strings.Contains(log, command) || rule[0] == '&' && strings.Contains(log, "channel")
				})
			})
			for _, server := range servers {
				allow(t, server, rules)
			}
		})
	}
}

// leaveOne gives up one of two subscriptions on one partition.
func leaveOne(t *testing.T, url string) {
	t.Helper()
	n := open(t, url, session.NewRootSecret(), nil)
	first, second := twoOfOnePartition()
	subscribe(t, n, first)
	_, cancel := subscribe(t, n, second)
	cancel()
}

// TestMisconfigured: what waiting does not cure is said at once, in words that
// help, and without the password.
func TestMisconfigured(t *testing.T) {
	server := redistest.Start(t)
	allow(t, server, documented(t))
	cluster := redistest.StartCluster(t, 1)
	for url, want := range map[string]string{
		"redis://ronde:s3cret@" + server.Addr():                 "this user with this password",
		"redis://nobody:s3cret@" + server.Addr():                "this user with this password",
		"redis-cluster://" + server.Addr():                      "write redis:// or rediss://",
		"redis://u:s3cret@" + server.Addr() + "/7":              "no database but 0",
		"redis://u:s3cret@" + server.Addr() + "?x=1":            "no parameter",
		"redis-cluster://u:s3cret@" + cluster.Masters[0].Addr(): "this user with this password",
	} {
		_, err := tryOpen(t, url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want something of %q", url, err, want)
		}
	}
	three := redistest.StartCluster(t, 3)
	if _, err := tryOpen(t, "redis://"+three.Masters[0].Addr()); err == nil || !strings.Contains(err.Error(), "redis-cluster://") {
		t.Errorf("one node of a cluster: %v", err)
	}
	if _, err := tryOpen(t, "redis://127.0.0.1:1"); err != nil {
		t.Errorf("a Redis that is down keeps a node from starting: %v", err)
	}
}

// TestStartsWhileRedisIsDown: the bus works as soon as Redis does.
func TestStartsWhileRedisIsDown(t *testing.T) {
	server := redistest.Start(t)
	server.Kill(t)
	url, root := "redis://"+server.Addr(), session.NewRootSecret()
	here, there := open(t, url, root, hasty), open(t, url, root, hasty)
	mission := session.NewID()
	_, err := there.Subscribe(t.Context(), mission, func(*tracker.Message) {})
	if !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("subscribe: %v", err)
	}
	server.Restart(t)
	until(t, "both nodes know", func() bool { return here.Check() == nil && there.Check() == nil })
	heard, _ := subscribe(t, there, mission)
	publishUntil(t, here, mission, heard)
}
