// Package bustest is the contract of tracker.Bus as a program: every
// implementation runs the same suite over itself.
package bustest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"ronde/geo"
	"ronde/session"
	"ronde/tracker"
)

// patience bounds how long a test waits for what must come. None depends on how
// much of it is used.
const patience = 20 * time.Second

// Run runs the suite. open returns a bus nobody else uses; the suite closes it.
// To test two nodes of a bus that connects several, hand it one that publishes
// on the one and subscribes on the other.
func Run(t *testing.T, open func(t *testing.T) tracker.Bus) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, tracker.Bus)
	}{
		{"a message arrives as it was published", arrivesAsPublished},
		{"a batch reaches the missions it names and no others", reachesItsMissions},
		{"every subscriber hears", everySubscriberHears},
		{"messages of one publisher come in order", inOrder},
		{"what was published before is not heard", notBefore},
		{"cancel ends one subscription", cancelEnds},
		{"cancel may be repeated, and come after Close", cancelTwice},
		{"a mission can be subscribed to again", again},
		{"publishing to nobody is no error", nobody},
		{"many publish, subscribe and cancel at once", races},
		{"a closed bus is unavailable", closed},
		{"close ends subscriptions while messages come", closeRaces},
	} {
		t.Run(c.name, func(t *testing.T) {
			bus := open(t)
			t.Cleanup(func() { _ = bus.Close() })
			c.run(t, bus)
		})
	}
}

// ear collects what one subscription hears.
type ear struct {
	mu    sync.Mutex
	heard []string      // guarded by mu
	rang  chan struct{} // holds one token when something was heard
}

// listen subscribes to a mission.
func listen(t *testing.T, bus tracker.Bus, mission session.Ref) (*ear, func()) {
	t.Helper()
	e := &ear{rang: make(chan struct{}, 1)}
	cancel, err := bus.Subscribe(t.Context(), mission.ID, e.hear)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	return e, cancel
}

func (e *ear) hear(m *tracker.Message) {
	e.mu.Lock()
	e.heard = append(e.heard, text(m))
	e.mu.Unlock()
	select {
	case e.rang <- struct{}{}:
	default:
	}
}

func (e *ear) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard)
}

// until waits until a message was heard and returns all that came, with it as
// the last one.
func (e *ear) until(t *testing.T, last *tracker.Message) []string {
	t.Helper()
	limit := time.After(patience)
	for {
		heard := e.all()
		if i := slices.Index(heard, text(last)); i >= 0 {
			return heard[:i+1]
		}
		select {
		case <-e.rang:
		case <-limit:
			t.Fatalf("%d messages, and never %s", len(heard), text(last))
		}
	}
}

// text writes a message out in full, so that two of them can be compared:
// an unknown number is no number, which differs from itself.
func text(m *tracker.Message) string { return fmt.Sprintf("%+v", *m) }

func mission() session.Ref { return session.Ref{Tenant: "acme", ID: session.NewID()} }

// changed is the simplest message, told apart by its revision.
func changed(mission session.Ref, revision int64) *tracker.Message {
	return &tracker.Message{Mission: mission.ID, Kind: tracker.Changed, Revision: revision}
}

func publish(t *testing.T, bus tracker.Bus, batch ...*tracker.Message) {
	t.Helper()
	if err := bus.Publish(t.Context(), batch); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

func texts(messages ...*tracker.Message) []string {
	list := make([]string, len(messages))
	for i, m := range messages {
		list[i] = text(m)
	}
	return list
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("heard\n%q\nwant\n%q", got, want)
	}
}

func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("%s: %v, want session.ErrUnavailable", what, err)
	}
}

// moves makes a message with progress of every sort: folded over several fixes,
// so that what the fold remembers travels too, and with unknown members.
func moves(mission session.Ref) *tracker.Message {
	m := &session.Mission{Site: geo.Site{Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80}}
	var left, far session.Progress
	inside, outside := geo.NewPosition(m.Site.Center), geo.NewPosition(geo.Point{Latitude: 48.842, Longitude: 2.41})
	inside.Accuracy, inside.Heading, inside.Battery = 6.5, 359.5, 1
	left.Fold(m, 1795255200250, &inside)
	left.Fold(m, 1795255201250, &outside) // one fix away: not left yet, and to be remembered
	left.Version = math.MaxInt64
	corner := geo.NewPosition(geo.Point{Latitude: -90, Longitude: math.Nextafter(180, 0)})
	corner.Accuracy, corner.Altitude, corner.Speed = 0, -11000.5, 0.1
	far.Fold(m, 1, &corner)
	return &tracker.Message{Mission: mission.ID, Kind: tracker.Moved, Moves: []tracker.Move{
		{Agent: "badge-17", Progress: left, Seen: 1795255201250},
		{Agent: "équipe@nuit", Progress: far, Seen: 2},
		{Agent: "nobody"},
	}}
}
