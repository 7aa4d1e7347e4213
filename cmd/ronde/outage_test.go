package main

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"ronde/session/postgres/pgtest"
)

// outage is one way in which a database goes away and comes back.
type outage struct {
	name     string
	down, up func(t *testing.T, s *pgtest.Server)
}

var outages = []outage{
	{"crashed", func(t *testing.T, s *pgtest.Server) { check(t, s.Stop(pgtest.Immediate)) }, func(t *testing.T, s *pgtest.Server) { check(t, s.Restart()) }},
	{"frozen", func(t *testing.T, s *pgtest.Server) { check(t, s.Freeze()) }, func(t *testing.T, s *pgtest.Server) { check(t, s.Thaw()) }},
}

// TestDatabaseOutage takes the database away while a phone streams and a client watches: the phone keeps what it has,
// the client is told, nothing is acknowledged; afterwards everything arrives once (I9).
func TestDatabaseOutage(t *testing.T) {
	server := pgtest.StartPrivate(t)
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			a := startAppOn(t, newDatabase(t, server))
			p := newOutagePhone(a)
			o.down(t, server)
			p.mustKeep()
			p.viewer.until("degraded")
			a.call(503, "GET", "/v1/missions/"+p.mission, nil)
			o.up(t, server)
			p.mustArrive()
			p.viewer.until("recovered")
			p.compare()
		})
	}
}

// TestEmbeddedStoreLocked lets another process hold the write lock of the embedded database.
func TestEmbeddedStoreLocked(t *testing.T) {
	a := startAppOn(t, "")
	p := newOutagePhone(a)
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(a.config.Data, "ronde.db")+"?_txlock=immediate")
	check(t, err)
	defer func() { check(t, db.Close()) }()
	tx, err := db.BeginTx(t.Context(), nil)
	check(t, err)
	p.mustKeep()
	check(t, tx.Rollback())
	p.mustArrive()
	p.compare()
}

type outagePhone struct {
	a       *testApp
	mission string
	phone   *testSocket
	viewer  *testSocket
	kept    int64 // device time of the ping that met the outage
	pace    *rate.Limiter
}

func newOutagePhone(a *testApp) *outagePhone {
	now := time.Now()
	p := &outagePhone{a: a, pace: rate.NewLimiter(5, 1)}
	p.mission = a.createMission(now, now.Add(time.Hour), 48.85, 2.34, 100, object{"min_interval_ms": 1})
	a.call(200, "POST", "/v1/missions/"+p.mission+"/begin", nil)
	p.phone = a.socket("/v1/agent", "ronde.agent.v1", a.agentToken(p.mission))
	p.phone.until("hello")
	p.viewer = a.socket("/v1/live", "ronde.live.v1", a.link(p.mission, "exact"))
	p.viewer.until("snapshot")
	p.send(1, time.Now().UnixMilli())
	p.phone.until("ack")
	p.viewer.until("progress")
	p.kept = time.Now().UnixMilli() + 1
	return p
}

func (p *outagePhone) send(seq int, timestamp int64) {
	p.phone.send(object{"type": "pings", "pings": []object{{"seq": seq, "timestamp": timestamp, "latitude": 48.85, "longitude": 2.34}}})
}

// mustKeep sends the ping into the outage.
func (p *outagePhone) mustKeep() {
	p.a.t.Helper()
	p.send(2, p.kept)
	if answer := p.phone.until("ack", "refused", "retry"); answer["type"] != "retry" || answer["code"] != "store_unavailable" {
		p.a.t.Fatalf("answer %v", answer)
	}
}

// mustArrive sends the ping again until it is acknowledged.
func (p *outagePhone) mustArrive() {
	p.a.t.Helper()
	for {
		check(p.a.t, p.pace.Wait(p.a.t.Context()))
		p.send(2, p.kept)
		switch answer := p.phone.until("ack", "refused", "retry"); answer["type"] {
		case "ack":
			if answer["seq"] == 2.0 {
				return
			}
		case "refused":
			p.a.t.Fatalf("answer %v", answer)
		}
	}
}

func (p *outagePhone) compare() {
	p.a.t.Helper()
	items := p.a.track(p.mission)
	if len(items) != 2 || int64(items[1]["timestamp"].(float64)) != p.kept {
		p.a.t.Fatalf("stored %v", items)
	}
}
