package tracker

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"ronde/geo"
	"ronde/session"
)

// The mission that the vectors of the server's frames are about.
var (
	vectorStart = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	vectorSite  = geo.Site{Name: "Entrepôt", Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80}
	onTheWay    = geo.Point{Latitude: 48.8466123, Longitude: 2.4167891}
	atTheDoor   = geo.Point{Latitude: 48.8400001, Longitude: 2.4100002}
)

// vectorBuilding are the rings of a building with a courtyard.
const vectorBuilding = `[[2.4095,48.8395],[2.411,48.8395],[2.411,48.8405],[2.4095,48.8405],[2.4095,48.8395]],[[2.41,48.8398],[2.41,48.8402],[2.4105,48.8402],[2.4105,48.8398],[2.41,48.8398]]`

func vectorArea(geometry string) geo.Site {
	area, err := geo.ParseArea([]byte(geometry))
	if err != nil {
		panic(err)
	}
	return geo.NewAreaSite("Bureaux", area)
}

func vectorMission() *session.Mission {
	return &session.Mission{
		ID: uuid.MustParse("019a9f3c-7a10-7cc4-8b6e-0123456789ab"), Tenant: "acme", Reference: `M-1 "nuit"`, Site: vectorSite,
		StartsAt: vectorStart, EndsAt: vectorStart.Add(8 * time.Hour), Deadline: vectorStart.Add(10 * time.Hour),
		Policy: session.DefaultPolicy(), State: session.Active, ChangedBy: session.ByAgent,
		BeganAt: vectorStart.Add(-5 * time.Minute), ExpiresOn: session.DayOf(vectorStart) + 30,
		Agents: []session.Agent{
			{ID: "badge-17", Alias: "A1", Windows: []session.Window{{Opened: vectorStart.Add(-5 * time.Minute)}}},
			{ID: "badge-18", Alias: "Équipe 2", Windows: []session.Window{{Opened: vectorStart.Add(-5 * time.Minute)}}},
		},
	}
}

// with returns the mission changed.
func with(change func(m *session.Mission)) *session.Mission {
	m := vectorMission()
	change(m)
	return m
}

// bareHub is a hub that serves nothing: what a room needs of one.
func bareHub() *Hub {
	h := &Hub{
		metrics: newMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler),
		ctx: context.Background(), bus: new(MemBus), start: time.Now(), now: time.Now, rooms: map[uuid.UUID]*room{},
	}
	h.turnstile = newTurnstile(h)
	return h
}

// bareRoom is a room of the mission, confirmed just now, outside any hub.
func bareRoom(m *session.Mission) *room {
	r := newRoom(bareHub(), session.Ref{Tenant: m.Tenant, ID: m.ID})
	r.mission = m
	r.meet(m)
	r.confirm(time.Now(), vectorStart)
	for _, p := range r.people {
		p.version = 41
	}
	return r
}

// at puts an agent somewhere, as a fix an hour into the mission.
func (r *room) at(agent string, phase session.Phase, p geo.Point) *room {
	fix := geo.NewPosition(p)
	fix.Accuracy, fix.Heading, fix.Altitude, fix.Speed, fix.Battery = 6.5, 87.5, 61.2, 1.4, 0.81
	who := r.people[agent]
	who.version = 42
	who.shown = session.Progress{
		Version: 42, Phase: phase, Signal: session.Live,
		Timestamp: vectorStart.Add(time.Hour).UnixMilli() + 250, Position: fix,
	}
	who.shown.Latest = who.shown.Timestamp
	return r
}

func (r *room) progressOf(profile session.Profile, agents ...string) []byte {
	return r.progressFrame(profile, agents)
}

func (r *room) snapshotOf(profile session.Profile) []byte {
	b, err := r.snapshot(profile, r.showable())
	if err != nil {
		panic(err)
	}
	return b
}

func trailOf(profile session.Profile, points ...geo.Point) []byte {
	m := vectorMission()
	found := map[string][]byte{}
	for i, p := range points {
		fix := session.Fix{Row: session.Row{Agent: "badge-17", At: vectorStart.Add(time.Duration(i) * time.Second)}}
		fix.Position = geo.NewPosition(p)
		if err := addPoint(found, m, profile, &fix); err != nil {
			panic(err)
		}
	}
	frames := trailFrames(m, found)
	if len(frames) != 1 {
		panic("not one frame")
	}
	return frames[0]
}

// toAgent makes the frames of to_agent.json.
var toAgent = map[string]func() []byte{
	"hello": func() []byte {
		n := &noticeFrame{Version: 3, Text: "Vous êtes localisé\npendant la mission.", Acknowledged: true}
		return encodeHello(vectorMission(), "badge-17", n, vectorStart)
	},
	"hello of an area": func() []byte {
		m := with(func(m *session.Mission) {
			m.Site = vectorArea(`{"type":"Polygon","coordinates":[` + vectorBuilding + `]}`)
		})
		return encodeHello(m, "badge-17", nil, vectorStart)
	},
	"hello before the begin, without a notice": func() []byte {
		m := with(func(m *session.Mission) {
			m.State, m.ChangedBy, m.BeganAt = session.Scheduled, "", time.Time{}
			m.Agents[0].Windows = nil
			m.Policy.MinInterval = 250 * time.Millisecond
		})
		return encodeHello(m, "badge-17", nil, vectorStart.Add(7*time.Millisecond))
	},
	"ack":                func() []byte { return appendAck(nil, 57) },
	"the greatest ack":   func() []byte { return appendAck(nil, maxSeq) },
	"refused":            func() []byte { return appendRefused(nil, 58, session.OutsideWindow.Code()) },
	"retry":              func() []byte { return appendRetry(nil, session.Undecided.Code(), retryAfter) },
	"retry after a lock": func() []byte { return appendRetry(nil, session.Locked.Code(), retryAfter) },
	"retry during the mission's pause": func() []byte {
		return appendRetry(nil, session.MissionPaused.Code(), retryAfter)
	},
	"state on duty": func() []byte { return encodeAgentState(vectorMission(), "badge-17") },
	"state on the agent's own pause": func() []byte {
		return encodeAgentState(with(func(m *session.Mission) { m.ChangedBy, m.Agents[0].Paused = session.ByPlatform, true }), "badge-17")
	},
	"state in the mission's pause": func() []byte {
		return encodeAgentState(with(func(m *session.Mission) { m.State, m.ChangedBy = session.Paused, session.ByOperator }), "badge-17")
	},
	"state of a relieved agent": func() []byte {
		return encodeAgentState(with(func(m *session.Mission) { m.Agents[0].Relieved = true }), "badge-17")
	},
	"state before any change": func() []byte {
		return encodeAgentState(with(func(m *session.Mission) { m.State, m.ChangedBy = session.Scheduled, "" }), "badge-17")
	},
	"state at the deadline": func() []byte {
		return encodeAgentState(with(func(m *session.Mission) { m.Settle(m.Deadline) }), "badge-17")
	},
	"viewers":          func() []byte { return encodeViewers(2) },
	"no viewers":       func() []byte { return encodeViewers(0) },
	"sos raised":       func() []byte { return encodeSOS(session.SOSRaised) },
	"sos acknowledged": func() []byte { return encodeSOS(session.SOSAcknowledged) },
	"sos closed":       func() []byte { return encodeSOS(session.SOSClosed) },
	"error":            func() []byte { return encodeError(errNoType.code, errNoType.detail) },
}

// toViewer makes the frames of to_viewer.json.
var toViewer = map[string]func() []byte{
	"snapshot before the begin": func() []byte {
		m := with(func(m *session.Mission) {
			m.State, m.Agents[0].Windows, m.Agents[1].Windows = session.Scheduled, nil, nil
		})
		return bareRoom(m).snapshotOf(session.ProfileExact)
	},
	"snapshot": func() []byte {
		return bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay).snapshotOf(session.ProfileExact)
	},
	"snapshot of an area": func() []byte {
		m := with(func(m *session.Mission) {
			m.Site = vectorArea(`{"type":"Polygon","coordinates":[` + vectorBuilding + `]}`)
		})
		return bareRoom(m).snapshotOf(session.ProfileExact)
	},
	"snapshot of an area in parts": func() []byte {
		m := with(func(m *session.Mission) {
			m.Site = vectorArea(`{"type":"MultiPolygon","coordinates":[[` + vectorBuilding + `],[[[2.4112,48.8395],[2.4115,48.8395],[2.4115,48.8405],[2.4112,48.8395]]]]}`)
		})
		return bareRoom(m).snapshotOf(session.ProfileExact)
	},
	"snapshot in the mission's pause": func() []byte {
		m := with(func(m *session.Mission) { m.State = session.Paused })
		return bareRoom(m).at("badge-17", session.EnRoute, onTheWay).snapshotOf(session.ProfileExact)
	},
	"progress, status": func() []byte {
		return bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay).progressOf(session.ProfileStatus, "badge-17")
	},
	"progress, cell:8": func() []byte {
		return bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay).progressOf("cell:8", "badge-17")
	},
	"progress, cell:0": func() []byte {
		return bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay).progressOf("cell:0", "badge-17")
	},
	"progress, exact": func() []byte {
		return bareRoom(vectorMission()).at("badge-17", session.Arriving, onTheWay).progressOf(session.ProfileExact, "badge-17")
	},
	"progress, exact_on_site, off the site": func() []byte {
		return bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay).progressOf(session.ProfileOnSite, "badge-17")
	},
	"progress, exact_on_site, on the site": func() []byte {
		return bareRoom(vectorMission()).at("badge-17", session.OnSite, atTheDoor).progressOf(session.ProfileOnSite, "badge-17")
	},
	"progress, exact, expected": func() []byte {
		r := bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay)
		seen, err := session.See(r.people["badge-17"].shown, &r.mission.Site, session.ProfileExact)
		if err != nil {
			panic(err)
		}
		seen.ETA = session.ETA{LowerS: 179.2, Seconds: 430.4, UpperS: 896.5}
		return append(appendAgent([]byte(`{"type":"progress","agents":[`), "A1", 42, &seen), `]}`...)
	},
	"progress, exact, lost": func() []byte {
		r := bareRoom(vectorMission()).at("badge-17", session.EnRoute, onTheWay)
		r.people["badge-17"].shown.Timestamp = vectorStart.Add(-2 * time.Minute).UnixMilli()
		return r.progressOf(session.ProfileExact, "badge-17")
	},
	"progress, nothing known but the position": func() []byte {
		r := bareRoom(vectorMission()).at("badge-17", session.Left, onTheWay)
		r.people["badge-17"].shown.Position = geo.NewPosition(onTheWay)
		return r.progressOf(session.ProfileExact, "badge-17")
	},
	"progress without a fix": func() []byte {
		return bareRoom(vectorMission()).progressOf(session.ProfileExact, "badge-17")
	},
	"progress of an agent on their own pause": func() []byte {
		m := with(func(m *session.Mission) { m.Agents[0].Paused, m.Agents[0].Windows = true, nil })
		return bareRoom(m).progressOf(session.ProfileExact, "badge-17")
	},
	"progress of two agents": func() []byte {
		return bareRoom(vectorMission()).at("badge-17", session.OnSite, atTheDoor).progressOf(session.ProfileStatus, "badge-17", "badge-18")
	},
	"trail, exact":         func() []byte { return trailOf(session.ProfileExact, onTheWay, atTheDoor) },
	"trail, cell:8":        func() []byte { return trailOf("cell:8", onTheWay, atTheDoor) },
	"trail, exact_on_site": func() []byte { return trailOf(session.ProfileOnSite, onTheWay, atTheDoor) },
	"state":                func() []byte { return encodeState(with(func(m *session.Mission) { m.State = session.Paused })) },
	"degraded":             func() []byte { return encodeDegraded(busDown) },
	"degraded by the store": func() []byte {
		return encodeDegraded(storeDown)
	},
	"recovered": func() []byte { return encodeDegraded("") },
	"ended": func() []byte {
		return encodeEnded(with(func(m *session.Mission) {
			m.State, m.EndReason, m.EndedAt = session.Ended, session.ByAgent, vectorStart.Add(8*time.Hour+1500*time.Millisecond)
		}))
	},
	"ended at the deadline": func() []byte { return encodeEnded(with(func(m *session.Mission) { m.Settle(m.Deadline) })) },
	"ended without a begin": func() []byte {
		return encodeEnded(with(func(m *session.Mission) {
			m.State, m.BeganAt = session.Scheduled, time.Time{}
			m.Settle(m.Deadline)
		}))
	},
	"ended by cancellation": func() []byte {
		return encodeEnded(with(func(m *session.Mission) {
			m.State, m.BeganAt, m.EndedAt = session.Cancelled, time.Time{}, vectorStart
		}))
	},
}

// TestEncodeVectors: every frame of the server has exactly the members of its
// vector, in their order and spelling, and every sort of frame has a vector.
func TestEncodeVectors(t *testing.T) {
	for file, frames := range map[string]map[string]func() []byte{"to_agent.json": toAgent, "to_viewer.json": toViewer} {
		t.Run(file, func(t *testing.T) {
			seen := map[string]bool{}
			for _, v := range vectors(t, file) {
				seen[v.Name] = true
				frame := frames[v.Name]
				if frame == nil {
					t.Errorf("%s: nothing makes this frame", v.Name)
					continue
				}
				if got, want := string(frame()), compact(t, v.Frame); got != want {
					t.Errorf("%s:\n%s\nwant\n%s", v.Name, got, want)
				}
			}
			for name, frame := range frames {
				if !seen[name] {
					t.Errorf("no vector for %q: %s", name, frame())
				}
			}
		})
	}
}
