package storetest

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
)

// everything returns a mission of which no member has its zero value.
func (w *world) everything() *session.Mission {
	m := w.plan("badge-17", "bob@example", "c.3")
	m.Reference = "M-1 «été» 'quoted' \"twice\""
	m.Site = geo.Site{Name: "Entrepôt n° 7; DROP", Center: geo.Point{Latitude: -48.8412345678, Longitude: 2.4187654321}, RadiusM: 80.25}
	m.Checkpoints = []session.Checkpoint{
		{Name: "porte \"A\"", Point: geo.Point{Latitude: 48.1, Longitude: -2.1}, RadiusM: 15},
		{Name: "quai ☂", Point: geo.Point{Latitude: 48.2, Longitude: 2.2}, RadiusM: 12.5},
	}
	m.StartsAt, m.EndsAt = start.Add(7*time.Millisecond), start.Add(8*time.Hour+9*time.Millisecond)
	m.Overrun, m.EarlyBegin = 90*time.Minute, 45*time.Minute
	m.Deadline = m.EndsAt.Add(m.Overrun)
	m.Policy = session.Policy{
		Track: true, Proof: true, RetentionDays: 90, MinInterval: 2500 * time.Millisecond,
		MaxPoints: 50, Speed: true, AgentControls: true,
	}
	return m
}

// outline returns a site that is an area: two parts, one of them with a yard.
func (w *world) outline(name string) geo.Site {
	area, err := geo.ParseArea([]byte(`{"type":"MultiPolygon","coordinates":[
		[[[2.409123456,48.839],[2.411,48.839],[2.411,48.841],[2.409,48.841],[2.409123456,48.839]],
			[[2.41,48.8395],[2.4095,48.8395],[2.4095,48.84],[2.41,48.84],[2.41,48.8395]]],
		[[[2.412,48.839],[2.4121,48.841],[2.4119,48.840000001],[2.412,48.839]]]]}`))
	w.ok(err)
	return geo.NewAreaSite(name, area)
}

func testCreateMission(w *world) {
	w.at(42 * time.Millisecond)
	m := w.everything()
	w.ok(w.Store.CreateMission(w.Context(), m))
	if !m.CreatedAt.Equal(w.now) || !m.ReadAt.Equal(w.now) || m.Revision == 0 {
		w.Errorf("created at %v, read at %v, revision %d; the clock is %v", m.CreatedAt, m.ReadAt, m.Revision, w.now)
	}
	if got := w.read(m); !reflect.DeepEqual(got, m) {
		w.Errorf("read back\n%+v, want\n%+v", got, m)
	}
	bare := w.plan("badge-1")
	bare.Policy = session.Policy{RetentionDays: 3, MinInterval: time.Millisecond}
	w.create(bare)
	if got := w.read(bare); !reflect.DeepEqual(got, bare) {
		w.Errorf("read back\n%+v, want\n%+v", got, bare)
	}

	outlined := w.plan("badge-3")
	outlined.Site = w.outline("Bureaux \"B\"")
	w.create(outlined)
	if got := w.read(outlined); !reflect.DeepEqual(got, outlined) {
		w.Errorf("read back\n%+v, want\n%+v", got, outlined)
	}

	again := w.plan("badge-2")
	again.ID = m.ID
	w.is(w.Store.CreateMission(w.Context(), again), session.ErrExists, "a mission of the same id")
	if got := w.read(m); !reflect.DeepEqual(got.Agents, m.Agents) {
		w.Errorf("the refused mission left agents behind: %+v", got.Agents)
	}
	_, err := w.Store.Mission(w.Context(), w.tenant, session.NewID())
	w.is(err, session.ErrNotFound, "a missing mission")
}

func testMissions(w *world) {
	var made []uuid.UUID
	for i := range 5 {
		w.at(time.Duration(i) * time.Second)
		made = append([]uuid.UUID{w.create(w.plan("badge-1")).ID}, made...)
	}
	other := w.plan("badge-1")
	other.Tenant = w.newTenant()
	w.create(other)

	var listed []uuid.UUID
	after := uuid.Nil
	for page := range 4 {
		list, err := w.Store.Missions(w.Context(), w.tenant, session.MissionFilter{}, after, 2)
		w.ok(err)
		if want := []int{2, 2, 1, 0}[page]; len(list) != want {
			w.Fatalf("page %d holds %d missions, want %d", page, len(list), want)
		}
		for _, m := range list {
			listed, after = append(listed, m.ID), m.ID
		}
	}
	if !slices.Equal(listed, made) {
		w.Errorf("listed %v, want %v", listed, made)
	}
	list, err := w.Store.Missions(w.Context(), w.tenant, session.MissionFilter{}, uuid.Nil, 1)
	w.ok(err)
	if want, err := w.Store.Mission(w.Context(), w.tenant, made[0]); err != nil || !reflect.DeepEqual(list[0], want) {
		w.Errorf("listed\n%+v, read\n%+v", list[0], want)
	}
}

func testUpdateMission(w *world) {
	m := w.create(w.everything())
	w.at(time.Minute)

	// An error of change comes back as it is; nothing is stored.
	cause := errors.New("changed my mind")
	_, err := w.Store.UpdateMission(w.Context(), w.tenant, m.ID, func(m *session.Mission) error {
		if !m.ReadAt.Equal(w.now) {
			w.Errorf("change sees ReadAt %v, want %v", m.ReadAt, w.now)
		}
		w.ok(m.Apply(session.Command{Action: session.Begin, By: session.ByPlatform}, m.ReadAt))
		return cause
	})
	if err != cause { //nolint:errorlint // as it is, says the contract
		w.Errorf("error %v, want the very one that change returned", err)
	}
	m.ReadAt = w.now
	if got := w.read(m); !reflect.DeepEqual(got, m) {
		w.Errorf("a refused change left\n%+v, want\n%+v", got, m)
	}

	// A change of nothing is none.
	same, err := w.Store.UpdateMission(w.Context(), w.tenant, m.ID, func(*session.Mission) error { return nil })
	w.ok(err)
	if !reflect.DeepEqual(same, m) {
		w.Errorf("changing nothing returned\n%+v, want\n%+v", same, m)
	}

	// Whatever changes is stored, raises the revision, and is what is returned.
	begun := w.do(m, session.Begin)
	last := begun
	for _, c := range []session.Command{
		{Action: session.PauseAgent, By: session.ByAgent, Agent: "badge-17"},
		{Action: session.AddAgent, Agent: "dora", Alias: "Relève"},
		{Action: session.Relieve, Agent: "c.3"},
		{Action: session.RevokeTokens, Agent: "bob@example"},
		{Action: session.RaiseSOS, By: session.ByAgent, Agent: "dora"},
		{Action: session.Extend, EndsAt: start.Add(9 * time.Hour)},
		{Action: session.Pause},
		{Action: session.Resume},
		{Action: session.End, By: session.ByAgent, Agent: "dora"},
	} {
		w.clock(w.now.Add(1234 * time.Millisecond))
		got, err := w.try(m, c)
		w.ok(err)
		if got.Revision <= last.Revision || !got.ReadAt.Equal(w.now) {
			w.Errorf("%s: revision %d after %d, read at %v", c.Action, got.Revision, last.Revision, got.ReadAt)
		}
		if read := w.read(m); !reflect.DeepEqual(got, read) {
			w.Errorf("%s returned\n%+v, stored\n%+v", c.Action, got, read)
		}
		// What was stored is what the rules made of what was stored before.
		want := last.Clone()
		if c.By == "" {
			c.By = session.ByPlatform
		}
		w.ok(want.Apply(c, w.now))
		for i := range want.Agents {
			want.Agents[i].Trim = time.Time{}
		}
		want.Revision, want.ReadAt, want.Log = got.Revision, got.ReadAt, nil
		if !reflect.DeepEqual(got, want) {
			w.Errorf("%s: stored\n%+v, want\n%+v", c.Action, got, want)
		}
		last = got
	}
	_, err = w.try(w.plan(), session.Command{Action: session.Begin})
	w.is(err, session.ErrNotFound, "a missing mission")
}
