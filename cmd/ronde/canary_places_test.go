package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ronde/session/postgres/pgtest"
	"ronde/tracker/redisbus/redistest"
)

// places is a search through everything that a run wrote.
type places struct {
	t      *testing.T
	finder *finder
	sizes  map[string]*placeSize // by kind of place
	found  map[string][]string   // by kind of place: which needle, and where
}

type placeSize struct{ files, bytes int }

func newPlaces(t *testing.T, f *finder) *places {
	return &places{t: t, finder: f, sizes: map[string]*placeSize{}, found: map[string][]string{}}
}

func (p *places) text(kind, name string, content []byte) {
	size := p.sizes[kind]
	if size == nil {
		size = &placeSize{}
		p.sizes[kind] = size
	}
	size.files++
	size.bytes += len(content)
	for _, needle := range p.finder.find(content) {
		p.found[kind] = append(p.found[kind], needle+" in "+name)
	}
}

// folder searches every file below a folder, whose path within it tells what kind of place it is. Files that a program
// removes meanwhile are passed over.
func (p *places) folder(folder string, kindOf func(path string) string) {
	p.t.Helper()
	check(p.t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var content []byte
			if content, err = os.ReadFile(path); err == nil {
				if kind := kindOf(path); kind != "" {
					p.text(kind, path, content)
				}
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}))
}

// report lists where was searched, and fails the test where something was found or nothing was searched.
func (p *places) report(when string, kinds []string) {
	p.t.Helper()
	var lines strings.Builder
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(p.sizes)) {
		fmt.Fprintf(&lines, "\n  %-28s %5d files %11d bytes", kind, p.sizes[kind].files, p.sizes[kind].bytes)
		total += p.sizes[kind].bytes
	}
	p.t.Logf("%s: searched %d bytes for %d needles:%s", when, total, p.finder.needles, &lines)
	for _, kind := range kinds {
		if kind != temporary && (p.sizes[kind] == nil || p.sizes[kind].bytes == 0) { // a run leaves no temporary files
			p.t.Errorf("%s: nothing was searched in %s", when, kind)
		}
	}
	for kind, found := range p.found {
		for _, what := range found {
			// No page can make a browser forget the address by which it was opened, and what its tabs knew. What is left is
			// worth what the link is worth, until its mission is over; of the mission itself nothing is left.
			if kind == ofBrowser && strings.HasPrefix(what, opened) {
				continue
			}
			p.t.Errorf("%s: %s: %s", when, kind, what)
		}
	}
}

// postgres searches what a PostgreSQL server wrote.
func (p *places) postgres(name string, server *pgtest.Server) {
	p.t.Helper()
	wal := filepath.Join(server.DataDir, "pg_wal")
	p.folder(server.DataDir, func(path string) string {
		if strings.HasPrefix(path, wal) {
			return name + ": pg_wal"
		}
		return name + ": data folder"
	})
	log, err := os.ReadFile(server.LogFile)
	check(p.t, err)
	p.text(name+": server log", server.LogFile, log)
}

// startLoudPostgres starts a server that logs every statement with its parameters.
func startLoudPostgres(t *testing.T) *pgtest.Server {
	t.Helper()
	server := pgtest.StartPrivate(t)
	for _, setting := range []string{
		"log_statement = 'all'", "log_parameter_max_length = -1", "log_parameter_max_length_on_error = -1", "log_min_messages = 'debug1'",
		"log_error_verbosity = 'verbose'", "log_connections = on",
	} {
		execSQL(t, server.DSN("postgres"), "ALTER SYSTEM SET "+setting)
	}
	execSQL(t, server.DSN("postgres"), "SELECT pg_reload_conf()")
	return server
}

// monitored is everything that a Redis is told.
type monitored struct {
	server *redistest.Server
	mu     sync.Mutex
	lines  strings.Builder // guarded by mu
}

func monitorRedis(t *testing.T, server *redistest.Server) *monitored {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr())
	check(t, err)
	_, err = fmt.Fprintf(conn, "MONITOR\r\n")
	check(t, err)
	m := &monitored{server: server}
	done := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-done })
	go func() {
		defer close(done)
		lines := bufio.NewReader(conn)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			m.mu.Lock()
			m.lines.WriteString(line)
			m.mu.Unlock()
		}
	}()
	m.text(t) // from here on nothing escapes it
	return m
}

// text returns what Redis was told until now, as MONITOR writes it and as it was.
func (m *monitored) text(t *testing.T) []byte {
	t.Helper()
	mark := fmt.Sprintf("told until %d", time.Now().UnixNano())
	for end := time.Now().Add(testPatience); time.Now().Before(end); {
		m.server.Do(t, "ECHO", mark) // the first may come before the monitor
		m.mu.Lock()
		text := m.lines.String()
		m.mu.Unlock()
		if strings.Contains(text, mark) {
			return []byte(text + escape.ReplaceAllStringFunc(text, func(code string) string {
				var b byte
				if _, err := fmt.Sscanf(code, `\x%02x`, &b); err != nil {
					return code[1:]
				}
				return string([]byte{b})
			}))
		}
	}
	t.Fatal("the monitor of Redis says nothing")
	return nil
}

var escape = regexp.MustCompile(`\\x[0-9a-f]{2}|\\["\\]`)

// redis searches what Redis was told and what it would write to its disk.
func (p *places) redis(m *monitored) {
	p.t.Helper()
	p.text("Redis: MONITOR", "MONITOR", m.text(p.t))
	m.server.Do(p.t, "SAVE")
	folder := m.server.Do(p.t, "CONFIG", "GET", "dir").([]any)[1].(string)
	p.folder(folder, func(string) string { return "Redis: dump, log" })
}
