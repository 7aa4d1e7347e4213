package storetest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
)

// start is when tests on a stopped clock begin: also the planned start of
// their missions.
var start = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

// world is one test: a store, a tenant of its own, and a clock.
type world struct {
	*testing.T
	Fixture
	tenant string
	now    time.Time
}

// newWorld makes the tenant and stops the clock at start.
func newWorld(t *testing.T, f Fixture) *world {
	w := &world{T: t, Fixture: f}
	w.at(0)
	w.tenant = w.newTenant()
	return w
}

func (w *world) newTenant() string {
	w.Helper()
	name := "t-" + strings.ReplaceAll(uuid.NewString(), "-", "")
	w.ok(w.Store.EnsureTenant(w.Context(), name))
	return name
}

// at sets the clock to so long after start.
func (w *world) at(d time.Duration) { w.clock(start.Add(d)) }

func (w *world) clock(t time.Time) {
	w.now = t
	w.SetClock(t)
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// is checks for an error, by errors.Is; nil for none.
func (w *world) is(err, want error, doing string, args ...any) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("%s: error %v, want %v", fmt.Sprintf(doing, args...), err, want)
	}
}

// plan returns a mission of eight hours from start, with two hours of overrun,
// not stored.
func (w *world) plan(agents ...string) *session.Mission {
	m := &session.Mission{
		ID: session.NewID(), Tenant: w.tenant, Reference: "M-1", State: session.Scheduled,
		Site:     geo.Site{Name: "Entrepôt", Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80},
		StartsAt: start, EndsAt: start.Add(8 * time.Hour), Overrun: 2 * time.Hour, EarlyBegin: time.Hour,
		Policy: session.DefaultPolicy(),
	}
	m.Deadline = m.EndsAt.Add(m.Overrun)
	for i, id := range agents {
		m.Agents = append(m.Agents, session.Agent{ID: id, Alias: fmt.Sprintf("A%d", i+1)})
	}
	return m
}

// create stores a mission of plan's.
func (w *world) create(m *session.Mission) *session.Mission {
	w.Helper()
	if err := m.Validate(); err != nil {
		w.Fatalf("the test's own mission: %v", err)
	}
	w.ok(w.Store.CreateMission(w.Context(), m))
	return m
}

// begun returns a mission that has just begun.
func (w *world) begun(agents ...string) *session.Mission {
	w.Helper()
	m := w.create(w.plan(agents...))
	return w.do(m, session.Begin)
}

// try carries out a command on behalf of the platform, unless it says another.
func (w *world) try(m *session.Mission, c session.Command) (*session.Mission, error) {
	w.Helper()
	if c.By == "" {
		c.By = session.ByPlatform
	}
	return w.Store.UpdateMission(w.Context(), m.Tenant, m.ID, func(m *session.Mission) error {
		return m.Apply(c, m.ReadAt)
	})
}

// do carries out an action that must succeed: on behalf of an agent, if one is
// named and the action is an agent's own, otherwise of the platform.
func (w *world) do(m *session.Mission, a session.Action, agent ...string) *session.Mission {
	w.Helper()
	c := session.Command{Action: a}
	if len(agent) > 0 {
		c.Agent = agent[0]
	}
	if a == session.PauseAgent || a == session.ResumeAgent {
		c.By = session.ByAgent
	}
	m, err := w.try(m, c)
	if err != nil {
		w.Fatalf("%s %s: %v", a, agent, err)
	}
	return m
}

// settle closes the mission if its deadline has passed.
func (w *world) settle(m *session.Mission) *session.Mission {
	w.Helper()
	m, err := w.Store.UpdateMission(w.Context(), m.Tenant, m.ID, func(m *session.Mission) error {
		m.Settle(m.ReadAt)
		return nil
	})
	w.ok(err)
	return m
}

func (w *world) read(m *session.Mission) *session.Mission {
	w.Helper()
	m, err := w.Store.Mission(w.Context(), m.Tenant, m.ID)
	w.ok(err)
	return m
}

// track returns all stored positions, by pages of the given size.
func (w *world) track(m *session.Mission, page int) []session.Row {
	w.Helper()
	return w.pageThrough(page, func(after session.Cursor) ([]session.Row, error) {
		return w.Store.Track(w.Context(), m.Tenant, m.ID, after, page)
	})
}

// pageThrough returns everything that read reads, by pages of that size.
func (w *world) pageThrough(page int, read func(after session.Cursor) ([]session.Row, error)) []session.Row {
	w.Helper()
	var all []session.Row
	var after session.Cursor
	for {
		rows, err := read(after)
		w.ok(err)
		if len(rows) > page {
			w.Fatalf("a page of %d holds %d positions", page, len(rows))
		}
		if len(rows) == 0 {
			return all
		}
		all = append(all, rows...)
		after = rows[len(rows)-1].Cursor()
	}
}

// sealed stands for a sealed position: a different one for every variant, and
// of the right size and form, a fingerprint first.
func sealed(m session.Ref, agent string, slot int64, variant byte) []byte {
	h := sha256.New()
	h.Write(m.ID[:])
	h.Write([]byte(agent))
	_ = binary.Write(h, binary.BigEndian, slot)
	h.Write([]byte{variant})
	sum := h.Sum(nil)
	for len(sum) < session.SealedSize {
		sum = append(sum, sum...)
	}
	return sum[:session.SealedSize]
}

// submit returns pings of an agent at the given times, sealed; all of the same
// variant.
func submit(m *session.Mission, agent string, variant byte, times ...time.Time) *session.Submission {
	s := &session.Submission{Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Agent: agent}
	for i, at := range times {
		s.Pings = append(s.Pings, session.Ping{
			Seq: uint64(i + 1), Timestamp: at.UnixMilli(), Position: geo.NewPosition(m.Site.Center),
		})
		slot := session.Slot(at.UnixMilli(), m.Policy.MinInterval.Milliseconds())
		s.Sealed = append(s.Sealed, sealed(s.Ref, agent, slot, variant))
	}
	return s
}

// append appends one agent's pings and returns the verdicts.
func (w *world) append(m *session.Mission, agent string, times ...time.Time) []session.Verdict {
	w.Helper()
	s := submit(m, agent, 0, times...)
	w.ok(w.Store.Append(w.Context(), []*session.Submission{s}))
	return s.Verdicts
}

// judged appends one ping and checks what becomes of it.
func (w *world) judged(m *session.Mission, agent string, at time.Time, want session.Verdict) {
	w.Helper()
	if got := w.append(m, agent, at)[0]; got != want {
		w.Errorf("ping of %s at %s, now %s: verdict %s, want %s", agent, clockTime(at), clockTime(w.now), name(got), name(want))
	}
}

// stored checks how many positions of the mission are stored, and that all of
// them, everywhere, lie inside.
func (w *world) stored(m *session.Mission, want int) {
	w.Helper()
	if got := w.Count(w.T, m.ID); got != want {
		w.Errorf("%d positions stored, want %d", got, want)
	}
	if n := w.Outside(w.T); n != 0 {
		w.Errorf("%d positions stored outside every window", n)
	}
}

// latest checks how many latest positions of a mission without a track are
// stored.
func (w *world) latest(m *session.Mission, want int) {
	w.Helper()
	if w.Latest == nil {
		return
	}
	if got := w.Latest(w.T, m.ID); got != want {
		w.Errorf("%d latest positions stored, want %d", got, want)
	}
}

func clockTime(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// name returns a verdict for people: some have no code, or share one.
func name(v session.Verdict) string {
	names := [...]string{
		"undecided", "stored", "unchanged", "not_active", "outside_window", "future", "invalid",
		"too_frequent", "notice_missing", "paused", "paused outside", "locked", "unsealed",
	}
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("verdict %d", v)
}
