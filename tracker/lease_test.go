package tracker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"ronde/geo"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/sqlite"
)

// brittle is the real store behind a switch that makes it unreachable.
type brittle struct {
	session.Store
	down atomic.Bool // everything but Append fails
	full atomic.Bool // Append fails
	hung atomic.Bool // News and Due answer when nobody waits any more

	forgetful atomic.Bool  // keeps no progress
	garbled   atomic.Bool  // gives back other progress than was kept
	tracks    atomic.Int64 // calls of AgentTrack
	reads     atomic.Int64 // calls of Latest
	stuck     atomic.Bool  // Latest answers when nobody waits any more
	slow      atomic.Bool  // Now looks at the clock after a second

	logging atomic.Pointer[func(batch []session.Access) error] // called before rows of the access log are written

	lost    atomic.Bool  // Watch does what it is asked and says that it may not have
	watches atomic.Int64 // calls of Watch
	mute    atomic.Bool  // Watch alone fails
}

func (b *brittle) LogAccess(ctx context.Context, batch []session.Access) error {
	if before := b.logging.Load(); before != nil {
		if err := (*before)(batch); err != nil {
			return err
		}
	}
	return b.Store.LogAccess(ctx, batch)
}

// brittleBus is the bus of a single node behind a switch: while it hangs, nobody
// gets an answer to a subscription.
type brittleBus struct {
	MemBus
	hung atomic.Bool
}

func (b *brittleBus) Subscribe(ctx context.Context, mission uuid.UUID, fn func(*Message)) (func(), error) {
	if b.hung.Load() {
		<-ctx.Done()
		return nil, errDown
	}
	return b.MemBus.Subscribe(ctx, mission, fn)
}

var errDown = session.ErrUnavailable.Because("switched off by the test")

func (b *brittle) Append(ctx context.Context, batch []*session.Submission) error {
	if b.full.Load() {
		return errDown
	}
	return b.Store.Append(ctx, batch)
}

func (b *brittle) News(ctx context.Context, known []session.Known) (session.News, error) {
	if b.hung.Load() {
		<-ctx.Done()
		return session.News{}, errDown
	}
	if b.down.Load() {
		return session.News{}, errDown
	}
	return b.Store.News(ctx, known)
}

func (b *brittle) Attend(ctx context.Context, node uuid.UUID) (uuid.UUID, error) {
	if b.down.Load() {
		return uuid.Nil, errDown
	}
	return b.Store.Attend(ctx, node)
}

func (b *brittle) Watch(ctx context.Context, node uuid.UUID, batch []*session.Attendance) error {
	if b.down.Load() || b.mute.Load() {
		return errDown
	}
	b.watches.Add(1)
	err := b.Store.Watch(ctx, node, batch)
	if b.lost.Load() {
		return errDown
	}
	return err
}

func (b *brittle) Due(ctx context.Context, limit int) ([]session.Ref, error) {
	if b.hung.Load() {
		<-ctx.Done()
		return nil, errDown
	}
	if b.down.Load() {
		return nil, errDown
	}
	return b.Store.Due(ctx, limit)
}

func (b *brittle) Mission(ctx context.Context, tenant string, id uuid.UUID) (*session.Mission, error) {
	if b.down.Load() {
		return nil, errDown
	}
	return b.Store.Mission(ctx, tenant, id)
}

// brittleRing is a real keyring behind switches that make it hang or slow.
type brittleRing struct {
	session.Keyring
	hung atomic.Bool // Salt answers when nobody waits any more
	slow atomic.Bool // Salt takes a second
}

func (b *brittleRing) Salt(ctx context.Context, tenant string, day, today session.Day) ([]byte, error) {
	if b.hung.Load() {
		<-ctx.Done()
		return nil, errDown
	}
	if b.slow.Load() {
		pause(ctx, time.Second) // fake time
	}
	return b.Keyring.Salt(ctx, tenant, day, today)
}

// world is a hub on the real embedded store in the fake time of synctest, with
// one active mission and a viewer that has no socket.
type world struct {
	t       *testing.T
	store   *brittle
	ring    *brittleRing
	root    session.RootSecret
	hub     *Hub
	bus     *brittleBus
	service *session.Service
	mission *session.Mission
	viewer  *viewer

	mu     sync.Mutex
	frames []seenFrame // guarded by mu: what the viewer was sent
}

type seenFrame struct {
	at   time.Time
	text string
}

var (
	operator = &session.Principal{Role: session.Operator, Tenant: "acme", Subject: session.NewID()}
	onSite   = geo.Point{Latitude: 48.8466, Longitude: 2.4167}
)

// inWorld runs a test in fake time. The mission begins at once and lasts for
// the duration given.
func inWorld(t *testing.T, lasts time.Duration, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		root := session.NewRootSecret()
		ring, err := keyring.OpenFolder(filepath.Join(dir, "keys"), root)
		ok(t, err)
		db, err := sqlite.Open(t.Context(), filepath.Join(dir, "ronde.db"), time.Now)
		ok(t, err)
		ok(t, db.EnsureTenant(t.Context(), "acme"))
		w := &world{t: t, store: &brittle{Store: db}, ring: &brittleRing{Keyring: ring}, root: root, bus: &brittleBus{}}
		log := slog.New(slog.NewTextHandler(t.Output(), nil))
		w.service = &session.Service{Store: w.store, Sealer: session.NewSealer(root, w.ring), Tokens: session.NewTokens(ring, time.Now), Log: log}
		w.service.Access = session.NewAccessWriter(w.store)
		w.hub = New(Options{Service: w.service, Bus: w.bus, Log: log, Registry: prometheus.NewRegistry()})
		defer func() { // a failed test must leave no goroutine in the bubble either
			w.hub.Close()
			ok(t, errors.Join(db.Close(), ring.Close()))
		}()
		w.mission = w.begin(lasts, "badge-17")
		w.watch()
		defer w.hub.unwatch(w.viewer)
		test(w)
	})
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begin creates a mission and begins it.
func (w *world) begin(lasts time.Duration, agent string) *session.Mission {
	m, err := w.service.Do(w.t.Context(), operator, w.plan(lasts, agent).ID, session.Command{Action: session.Begin})
	ok(w.t, err)
	return m
}

// plan creates a mission that may begin now.
func (w *world) plan(lasts time.Duration, agent string) *session.Mission {
	now := time.Now()
	m := &session.Mission{
		Reference: "M-1", Site: geo.Site{Name: "Entrepôt", Center: onSite, RadiusM: 80}, StartsAt: now, EndsAt: now.Add(lasts),
		Policy: session.DefaultPolicy(), Agents: []session.Agent{{ID: agent}},
	}
	ok(w.t, w.service.CreateMission(w.t.Context(), operator, m))
	return m
}

func (w *world) watch() {
	w.viewer = &viewer{
		hub: w.hub, profile: session.ProfileExact, below: func() {},
		principal: &session.Principal{Role: session.Viewer, Tenant: "acme", Subject: session.NewID(), Mission: w.mission.ID},
	}
	w.viewer.wake = func() {
		w.hub.sockets.Go(func() {
			w.viewer.drain(func(frame []byte) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.frames = append(w.frames, seenFrame{time.Now(), string(frame)})
				return nil
			})
		})
	}
	w.link(w.viewer.principal.Subject, 0)
	ok(w.t, w.hub.watch(w.viewer))
	synctest.Wait()
}

// link makes a link to the mission that allows so many viewers.
func (w *world) link(id uuid.UUID, most int) {
	now := time.Now()
	ok(w.t, w.store.CreateLink(w.t.Context(), session.Link{
		ID: id, Tenant: "acme", Mission: w.mission.ID, MaxViewers: most, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}))
}

// wait lets time pass, and everything that is due happen.
func (w *world) wait(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}

// ping sends one ping at the present time on the whole way, and returns its
// verdict.
func (w *world) ping() session.Verdict {
	v := <-w.submit(w.mission)
	synctest.Wait()
	return v
}

// pingFrom is ping from another place.
func (w *world) pingFrom(point geo.Point) session.Verdict {
	p := pingNow(w.mission)
	p.Pings[0].Position = geo.NewPosition(point)
	v := <-w.send(p)
	synctest.Wait()
	return v
}

// submit sends one ping of a mission that has a room, and returns where its
// verdict will come.
func (w *world) submit(m *session.Mission) <-chan session.Verdict { return w.send(pingNow(m)) }

func (w *world) send(sub session.Submission) <-chan session.Verdict {
	j := &job{Submission: sub, room: w.hub.room(sub.ID), received: time.Now()}
	done := make(chan session.Verdict, 1)
	j.settle = func(j *job) { done <- j.Verdicts[0] }
	w.hub.sockets.Go(func() { ok(w.t, w.hub.record(j)) })
	return done
}

// pingNow is one ping of the present time, by the mission's first agent.
func pingNow(m *session.Mission) session.Submission {
	return session.Submission{Ref: session.Ref{Tenant: m.Tenant, ID: m.ID}, Agent: m.Agents[0].ID, Pings: []session.Ping{{
		Seq: 1, Timestamp: time.Now().UnixMilli(), Position: geo.NewPosition(onSite),
	}}}
}

// storeUnheard stores a position that no message tells of.
func (w *world) storeUnheard(r *room) {
	sub := pingNow(w.mission)
	sub.Ref = r.ref
	ok(w.t, w.service.Append(w.t.Context(), []*session.Submission{&sub}))
}

// publish puts progress on the bus as another node would that has not heard
// of anything yet.
func (w *world) publish(at time.Time) {
	now := at.UnixMilli()
	progress := session.Progress{Version: now, Timestamp: now, Latest: now, Phase: session.OnSite, Position: geo.NewPosition(onSite)}
	ok(w.t, w.bus.Publish(w.t.Context(), []*Message{{
		Mission: w.mission.ID, Kind: Moved, Moves: []Move{{Agent: "badge-17", Progress: progress, Seen: at.UnixMilli()}},
	}}))
	synctest.Wait()
}

// positions returns when positions were shown after a time.
func (w *world) positions(after time.Time) (shown []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.frames {
		if f.at.After(after) && strings.Contains(f.text, `"latitude":48.8466,"longitude":2.4167}`) && !strings.HasPrefix(f.text, `{"type":"snapshot"`) {
			shown = append(shown, f.at)
		}
	}
	return shown
}

// told reports whether the viewer was sent such a frame after a time.
func (w *world) told(after time.Time, prefix string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.frames {
		if f.at.After(after) && strings.HasPrefix(f.text, prefix) {
			return true
		}
	}
	return false
}

func TestPositionIsShownWhileConfirmed(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		begin := time.Now()
		for range 10 {
			w.wait(time.Second)
			if v := w.ping(); v != session.Stored {
				w.t.Fatalf("verdict %q", v.Code())
			}
		}
		if n := len(w.positions(begin)); n != 10 {
			w.t.Fatalf("%d positions shown of 10", n)
		}
	})
}

// TestUnconfirmedNodeShowsNothing cuts the node off from its store: past the
// interval it shows nothing, says so, and shows the latest once it is back (I4).
func TestUnconfirmedNodeShowsNothing(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(1500 * time.Millisecond)
		w.store.down.Store(true)
		cut := time.Now()
		for range 100 {
			w.wait(100 * time.Millisecond)
			w.publish(time.Now())
		}
		for _, at := range w.positions(cut) {
			if at.Sub(cut) > Interval {
				w.t.Fatalf("a position was shown %v after the last confirmation", at.Sub(cut))
			}
		}
		if !w.told(cut, `{"type":"degraded","code":"store_unavailable"}`) {
			w.t.Fatal("the viewer was not told")
		}
		w.store.down.Store(false)
		back := time.Now()
		w.wait(Interval)
		if !w.told(back, `{"type":"recovered"}`) {
			w.t.Fatal("the viewer was not told that it is over")
		}
		if len(w.positions(back)) == 0 {
			w.t.Fatal("the latest state did not come")
		}
	})
}

// TestPauseWithoutBus pauses a mission elsewhere while the bus brings nothing
// of it but old news: within the interval the positions stop (I4).
func TestPauseWithoutBus(t *testing.T) {
	for _, action := range []session.Action{session.Pause, session.End} {
		inWorld(t, time.Hour, func(w *world) {
			w.wait(1700 * time.Millisecond)
			w.ping()
			elsewhere := *w.service
			elsewhere.Changed = nil
			_, err := elsewhere.Do(w.t.Context(), operator, w.mission.ID, session.Command{Action: action})
			ok(w.t, err)
			closed := time.Now()
			for range 60 {
				w.wait(100 * time.Millisecond)
				w.publish(closed.Add(-time.Millisecond)) // what a slow node still sends
			}
			for _, at := range w.positions(closed) {
				if at.Sub(closed) > Interval {
					w.t.Fatalf("%s: a position was shown %v after it", action, at.Sub(closed))
				}
			}
			if want := map[session.Action]string{session.Pause: `{"type":"state","state":"paused"}`, session.End: `{"type":"ended","reason":"operator"`}[action]; !w.told(closed, want) {
				w.t.Fatalf("%s: the viewer was not told", action)
			}
		})
	}
}

// TestDeadlineWithEverythingDown lets the deadline come while the store cannot
// be reached: the node stops on its own (I4).
func TestDeadlineWithEverythingDown(t *testing.T) {
	inWorld(t, 10*time.Second, func(w *world) {
		w.wait(9500 * time.Millisecond)
		w.store.down.Store(true)
		for range 100 {
			w.wait(10 * time.Millisecond)
			w.publish(time.Now())
		}
		shown := w.positions(w.mission.Deadline.Add(-time.Second))
		if len(shown) == 0 {
			w.t.Fatal("nothing was shown before the deadline")
		}
		for _, at := range shown {
			if !at.Before(w.mission.Deadline) {
				w.t.Fatalf("a position was shown %v after the deadline", at.Sub(w.mission.Deadline))
			}
		}
	})
}

// TestDeadlineEndsByItself lets the deadline come with nobody doing anything.
func TestDeadlineEndsByItself(t *testing.T) {
	inWorld(t, 10*time.Second, func(w *world) {
		w.wait(12 * time.Second)
		if !w.told(w.mission.Deadline.Add(-1), `{"type":"ended","reason":"deadline"`) {
			w.t.Fatal("the viewer was not told")
		}
		if v := w.ping(); v != session.NotActive {
			w.t.Fatalf("verdict %q after the deadline", v.Code())
		}
		m, err := w.service.Mission(w.t.Context(), "acme", w.mission.ID)
		ok(w.t, err)
		if !m.EndedAt.Equal(m.Deadline) || m.EndReason != session.ByDeadline {
			w.t.Fatalf("ended %v by %s, deadline %v", m.EndedAt, m.EndReason, m.Deadline)
		}
	})
}

// TestDeadlineIsNoOutage: a mission whose deadline comes while the store answers
// is shown as ended, and not as cut off before.
func TestDeadlineIsNoOutage(t *testing.T) {
	const lasts = 10*time.Second + 400*time.Millisecond // the hub looks for outages before it ends missions
	inWorld(t, lasts, func(w *world) {
		w.wait(lasts + 2*Interval)
		if !w.told(w.mission.Deadline, `{"type":"ended","reason":"deadline"`) {
			w.t.Fatal("the viewer was not told of the end")
		}
		if w.told(w.mission.BeganAt, `{"type":"degraded"`) {
			w.t.Error("the viewer was told of an outage")
		}
	})
}

// TestHungBus lets the bus lose a message and then hang when it is subscribed to
// anew: the leases go on, the viewer is told for as long as it lasts, and gets
// what there is from the store.
func TestHungBus(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(time.Second)
		r := w.hub.room(w.mission.ID)
		w.bus.hung.Store(true)
		begin := time.Now()
		for range 20 {
			w.storeUnheard(r)
			w.wait(time.Second)
			if !r.showable() {
				w.t.Fatalf("after %v the room has no lease", time.Since(begin))
			}
		}
		if !w.told(begin, `{"type":"degraded","code":"bus_unavailable"}`) || w.told(begin, `{"type":"recovered"}`) {
			w.t.Fatal("the viewer was not told, or told that it is over")
		}
		if n := len(w.positions(begin)); n < 5 {
			w.t.Fatalf("%d positions of 20 were shown", n)
		}
		w.bus.hung.Store(false)
		back := time.Now()
		w.wait(storeTimeout + 2*Interval)
		if !w.told(back, `{"type":"recovered"}`) {
			w.t.Fatal("the viewer was not told that it is over")
		}
		before := time.Now()
		w.publish(time.Now())
		if len(w.positions(before.Add(-1))) != 1 {
			w.t.Fatal("the room does not hear the bus again")
		}
	})
}

// TestLostMessagesAreFound stores positions whose message the bus loses: the
// reconcile loop finds them, tells the viewer and fills the room.
func TestLostMessagesAreFound(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(time.Second)
		r := w.hub.room(w.mission.ID)
		w.storeUnheard(r)
		lost := time.Now()
		w.wait(2 * Interval)
		if !w.told(lost, `{"type":"degraded","code":"bus_unavailable"}`) || !w.told(lost, `{"type":"recovered"}`) {
			w.t.Fatal("the viewer was not told")
		}
		if len(w.positions(lost)) != 1 {
			w.t.Fatalf("%d positions shown of one", len(w.positions(lost)))
		}
	})
}

// TestNothingIsRenderedWithoutLease pings while the node cannot confirm the
// mission: the position is stored, and not shown.
func TestNothingIsRenderedWithoutLease(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(time.Second)
		w.ping()
		w.store.down.Store(true)
		before := time.Now()
		w.wait(3 * time.Second)
		if v := w.ping(); v != session.Stored {
			w.t.Fatalf("verdict %q", v.Code())
		}
		if n := len(w.positions(before)); n != 0 {
			w.t.Fatalf("%d positions shown without a lease", n)
		}
		if w.hub.room(w.mission.ID).full(session.ProfileExact) != nil {
			w.t.Fatal("a frame was rendered without a lease")
		}
	})
}

// TestHungStoreIsToldInTime lets the store hang instead of fail: viewers hear of
// it when the lease has ended, and not when the store's time is up.
func TestHungStoreIsToldInTime(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(3 * time.Second)
		w.store.hung.Store(true)
		hung := time.Now()
		w.wait(Interval + 2*watchEvery)
		if !w.told(hung, `{"type":"degraded","code":"store_unavailable"}`) {
			w.t.Fatal("the viewer was not told")
		}
		w.store.hung.Store(false)
		back := time.Now()
		w.wait(storeTimeout + Interval)
		if !w.told(back, `{"type":"recovered"}`) {
			w.t.Fatal("the viewer was not told that it is over")
		}
	})
}

// TestTrailIsTheNewest: of a track longer than a trail, the trail is the end.
func TestTrailIsTheNewest(t *testing.T) {
	inWorld(t, 4*time.Hour, func(w *world) {
		const points = trailPoints + 1000
		begin := time.Now()
		w.wait(points * time.Second)
		for n := 0; n < points; n += 500 {
			sub := &session.Submission{Ref: w.hub.room(w.mission.ID).ref, Agent: "badge-17"}
			for i := range 500 {
				at := begin.Add(time.Duration(n+i) * time.Second)
				sub.Pings = append(sub.Pings, session.Ping{Timestamp: at.UnixMilli(), Position: geo.NewPosition(onSite)})
			}
			ok(w.t, w.service.Append(w.t.Context(), []*session.Submission{sub}))
		}
		v := *w.viewer.principal
		v.View = session.View{Profile: session.ProfileExact, Trail: true}
		frames, err := w.hub.trail(&viewer{room: w.viewer.room, principal: &v, profile: session.ProfileExact})
		ok(w.t, err)
		if len(frames) != 1 {
			w.t.Fatalf("%d frames", len(frames))
		}
		newest := fmt.Sprintf("[%d,", begin.Add((points-1)*time.Second).UnixMilli())
		if n := strings.Count(string(frames[0]), "[") - 1; n > trailPoints || !strings.Contains(string(frames[0]), newest) {
			w.t.Fatalf("%d points, the newest among them: %v", n, strings.Contains(string(frames[0]), newest))
		}
	})
}

// TestRelievedAgentLeavesTheScreen: progress names those who are there, so a
// state has to clear away who is not.
func TestRelievedAgentLeavesTheScreen(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(time.Second)
		w.ping()
		relieved := time.Now()
		w.wait(time.Millisecond)
		_, err := w.service.Do(w.t.Context(), operator, w.mission.ID, session.Command{Action: session.Relieve, Agent: "badge-17"})
		ok(w.t, err)
		synctest.Wait()
		if !w.told(relieved, `{"type":"state","state":"active"}`) || !w.told(relieved, `{"type":"progress","agents":[]}`) {
			w.t.Fatal("the agent is still on the screen")
		}
	})
}

// TestNothingIsPublishedThatWasNotStored lets the store fail, and refuse: no
// message gets on the bus (I2).
func TestNothingIsPublishedThatWasNotStored(t *testing.T) {
	inWorld(t, time.Hour, func(w *world) {
		w.wait(time.Second)
		moves := 0
		cancel, err := w.bus.Subscribe(w.t.Context(), w.mission.ID, func(m *Message) { moves += len(m.Moves) })
		ok(w.t, err)
		defer cancel()
		w.store.full.Store(true)
		if v := w.ping(); v != session.Undecided || moves != 0 {
			w.t.Fatalf("verdict %q, %d moves published", v.Code(), moves)
		}
		w.store.full.Store(false)
		elsewhere := *w.service
		elsewhere.Changed = nil
		_, err = elsewhere.Do(w.t.Context(), operator, w.mission.ID, session.Command{Action: session.Pause})
		ok(w.t, err)
		if v := w.ping(); v != session.MissionPausedOutside || moves != 0 {
			w.t.Fatalf("verdict %q, %d moves published", v.Code(), moves)
		}
		_, err = elsewhere.Do(w.t.Context(), operator, w.mission.ID, session.Command{Action: session.Resume})
		ok(w.t, err)
		w.wait(Interval)
		if v := w.ping(); v != session.Stored || moves != 1 {
			w.t.Fatalf("verdict %q, %d moves published", v.Code(), moves)
		}
	})
}
