package session

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestWatches: what an agent is told of who watched, from the rows of the log.
func TestWatches(t *testing.T) {
	begin := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	after := func(seconds int) time.Time { return begin.Add(time.Duration(seconds) * time.Second) }
	a, b := NewID(), NewID()
	one, two, three := NewID(), NewID(), NewID()
	open := func(at int, link, connection uuid.UUID) Access {
		return Access{Action: AccessLiveOpen, At: after(at), Subject: link, Object: connection}
	}
	shut := func(at int, link, connection uuid.UUID) Access {
		return Access{Action: AccessLiveClose, At: after(at), Subject: link, Object: connection}
	}
	type span struct {
		link        uuid.UUID
		from, to    int // -1: lasts
		connections int
	}
	for name, c := range map[string]struct {
		rows []Access
		ends [3]int // of mission, and of link a: expiry and revocation; 0: none
		want []span
	}{
		"nobody":                      {},
		"one":                         {rows: []Access{open(10, a, one), shut(20, a, one)}, want: []span{{a, 10, 20, 1}}},
		"comes again soon":            {rows: []Access{open(10, a, one), shut(20, a, one), open(80, a, two), shut(90, a, two)}, want: []span{{a, 10, 90, 2}}},
		"comes again later":           {rows: []Access{open(10, a, one), shut(20, a, one), open(81, a, two), shut(90, a, two)}, want: []span{{a, 10, 20, 1}, {a, 81, 90, 1}}},
		"two at once":                 {rows: []Access{open(10, a, one), open(15, a, two), shut(20, a, one), shut(200, a, two)}, want: []span{{a, 10, 200, 2}}},
		"two links":                   {rows: []Access{open(10, a, one), open(15, b, two), shut(20, b, two), shut(30, a, one)}, want: []span{{a, 10, 30, 1}, {b, 15, 20, 1}}},
		"is watching":                 {rows: []Access{open(10, a, one)}, want: []span{{a, 10, -1, 1}}},
		"one of two is watching":      {rows: []Access{open(10, a, one), open(11, a, two), shut(12, a, one)}, want: []span{{a, 10, -1, 2}}},
		"closed twice":                {rows: []Access{open(10, a, one), shut(20, a, one), shut(25, a, one)}, want: []span{{a, 10, 20, 1}}},
		"never opened":                {rows: []Access{shut(20, a, one)}},
		"closed by another link":      {rows: []Access{open(10, a, one), shut(20, b, one)}, want: []span{{a, 10, -1, 1}}},
		"node died, mission ended":    {rows: []Access{open(10, a, one)}, ends: [3]int{500}, want: []span{{a, 10, 500, 1}}},
		"node died, link expired":     {rows: []Access{open(10, a, one)}, ends: [3]int{500, 400}, want: []span{{a, 10, 400, 1}}},
		"node died, link revoked":     {rows: []Access{open(10, a, one)}, ends: [3]int{500, 400, 300}, want: []span{{a, 10, 300, 1}}},
		"link expires later":          {rows: []Access{open(10, a, one)}, ends: [3]int{0, 2000}, want: []span{{a, 10, -1, 1}}},
		"came after the mission":      {rows: []Access{open(600, a, one)}, ends: [3]int{500}, want: []span{{a, 600, 600, 1}}},
		"died, came again, and ended": {rows: []Access{open(10, a, one), open(300, a, three), shut(400, a, three)}, ends: [3]int{500}, want: []span{{a, 10, 500, 2}}},
	} {
		end := func(i int) time.Time {
			if c.ends[i] == 0 {
				return time.Time{}
			}
			return after(c.ends[i])
		}
		m := &Mission{ReadAt: after(1000), EndedAt: end(0)}
		var seen onlookers
		for i := range c.rows {
			seen.add(&c.rows[i])
		}
		list := seen.finish(m, map[uuid.UUID]Link{a: {ID: a, Label: "A", ExpiresAt: end(1), RevokedAt: end(2)}})
		if len(list) != len(c.want) {
			t.Errorf("%s: %+v", name, list)
			continue
		}
		for i, want := range c.want {
			got, to := list[i], time.Time{}
			if want.to >= 0 {
				to = after(want.to)
			}
			if got.Link.ID != want.link || (got.Link.Label == "A") != (want.link == a) || !got.From.Equal(after(want.from)) || !got.To.Equal(to) || got.Connections != want.connections {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
	}
}
