package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ronde/geo"
	"ronde/session"
)

// crew is one mission with everybody who takes part in it: two agents whose phones stream, whatever they are told about
// their duty; viewers; and a director who pauses the mission and its agents. All come through the balancer.
type crew struct {
	t        testing.TB
	c        *fleet
	mission  string
	history  *history
	rng      *rand.Rand // owned by the director
	members  []*member
	watchers []*watcher

	ticking, directing context.CancelFunc
	ticks, plays       sync.WaitGroup // what they end
	rest               sync.WaitGroup // phones and watchers, which end with the test's own context
	stop               context.CancelFunc
}

// member is an agent of a crew.
type member struct {
	name, alias string
	phone       *phone
	last        int64 // owned by the ticks: device time of the last position
}

const (
	crewAgents   = 2
	crewWatchers = 2
	tick         = 50 * time.Millisecond // between two positions of a phone
)

// startCrew creates a mission and begins it. Without a director nobody is ever on a break.
func startCrew(ctx context.Context, c *fleet, seed uint64, directed bool) *crew {
	c.t.Helper()
	w := &crew{t: c.t, c: c, history: newHistory(), rng: rand.New(rand.NewPCG(seed, 1))}
	now := time.Now()
	m, err := c.ask(ctx, "POST", "/v1/missions", object{
		"reference": fmt.Sprintf("F-%d", seed), "agents": []object{{"agent": w.agent(0)}, {"agent": w.agent(1)}},
		"site":      object{"name": "Entrepôt", "point": object{"latitude": 48.85, "longitude": 2.35}, "radius_m": 500},
		"starts_at": now.Format(time.RFC3339), "ends_at": now.Add(time.Hour).Format(time.RFC3339),
		"policy": object{"min_interval_ms": 1},
	})
	check(c.t, err)
	w.mission = m["id"].(string)
	_, err = c.ask(ctx, "POST", w.path("/begin"), nil)
	check(c.t, err)
	ctx, w.stop = context.WithCancel(ctx)
	for i := range crewAgents {
		w.members = append(w.members, w.hire(ctx, i))
	}
	answer, err := c.ask(ctx, "POST", w.path("/links"), object{"profile": "exact"})
	check(c.t, err)
	for range crewWatchers {
		v := newWatcher(c.url, answer["token"].(string), w.saw)
		w.watchers = append(w.watchers, v)
		w.rest.Go(func() { v.run(ctx) })
	}
	w.play(ctx, directed)
	return w
}

// agent returns the name of an agent, which no other mission uses: agents are located for one at a time.
func (w *crew) agent(i int) string { return fmt.Sprintf("badge-%p-%d", w, i) }

func (w *crew) path(tail string) string { return "/v1/missions/" + w.mission + tail }

// hire makes a member and switches the phone on.
func (w *crew) hire(ctx context.Context, i int) *member {
	m := &member{name: w.agent(i), alias: fmt.Sprintf("A%d", i+1)}
	answer, err := w.c.ask(ctx, "POST", w.path("/agents/"+m.name+"/token"), nil)
	check(w.t, err)
	m.phone = newPhone(phoneConfig{
		URL: w.c.url, Token: answer["token"].(string), Backoff: 100 * time.Millisecond,
		Settled: func(timestamp int64, code string) { w.history.settle(m.name, timestamp, code) },
	})
	w.rest.Go(func() {
		if err := m.phone.Run(ctx); err != nil && !isOver(err) {
			w.t.Errorf("%s was sent away: %v", m.name, err)
		}
	})
	return m
}

// isOver reports whether a phone was sent away because its mission is over.
func isOver(err error) bool {
	var stop *stopError
	return errors.As(err, &stop) && stop.Code == 4004
}

// play starts the ticks and, if there is to be one, the director.
func (w *crew) play(ctx context.Context, directed bool) {
	ticking, stop := context.WithCancel(ctx)
	w.ticking = stop
	for _, m := range w.members {
		w.ticks.Go(func() { every(ticking, tick, func() { w.move(m) }) })
	}
	directing, stop := context.WithCancel(ctx)
	w.directing = stop
	if !directed {
		return
	}
	w.plays.Go(func() {
		for sleep(directing, 300*time.Millisecond+time.Duration(w.rng.Int64N(int64(time.Second)))) {
			if err := w.scene(ctx); err != nil && ctx.Err() == nil {
				w.t.Errorf("a scene: %v", err)
			}
		}
	})
}

// every calls do at each tick until ctx ends.
func every(ctx context.Context, d time.Duration, do func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do()
		case <-ctx.Done():
			return
		}
	}
}

// move takes one position, on duty or not: what keeps it out is to be the gate and not the phone.
func (w *crew) move(m *member) {
	m.last = max(m.last+1, time.Now().UnixMilli())
	w.history.take(m.name, m.last)
	m.phone.force(m.last, geo.NewPosition(geo.Point{Latitude: latitudeAt(m.last), Longitude: 2.35}))
}

// force takes a position even off duty, as the phone of somebody would who wants to be located.
func (p *phone) force(timestamp int64, position geo.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.add(timestamp, position)
	p.notify()
}

// scene pauses the mission or one of its agents for a while.
func (w *crew) scene(ctx context.Context) error {
	lasts := 200*time.Millisecond + time.Duration(w.rng.Int64N(int64(600*time.Millisecond)))
	if w.rng.IntN(2) == 0 {
		return w.pauseMission(ctx, lasts)
	}
	return w.pauseAgent(ctx, w.members[w.rng.IntN(len(w.members))], lasts)
}

func (w *crew) pauseMission(ctx context.Context, lasts time.Duration) error {
	if _, err := w.c.ask(ctx, "POST", w.path("/pause"), nil); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	w.history.close("")
	sleep(ctx, lasts)
	w.history.reopen()
	if _, err := w.c.ask(ctx, "POST", w.path("/resume"), nil); err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}

func (w *crew) pauseAgent(ctx context.Context, m *member, lasts time.Duration) error {
	if err := insist(ctx, func() { m.phone.Pause(time.Time{}) }, m.phone.onBreak); err != nil {
		return fmt.Errorf("pause of %s: %w", m.alias, err)
	}
	w.history.close(m.name)
	sleep(ctx, lasts)
	w.history.reopen()
	if err := insist(ctx, m.phone.Resume, m.phone.OnDuty); err != nil {
		return fmt.Errorf("resume of %s: %w", m.alias, err)
	}
	return nil
}

// insist presses a button, and presses it again as long as the answer is that the store cannot tell now.
func insist(ctx context.Context, press func(), done func(context.Context) error) error {
	for {
		press()
		err := done(ctx)
		var refused rejection
		if !errors.As(err, &refused) || refused.Code != session.ErrUnavailable.Code || !sleep(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// onBreak waits until the server has said that the agent is on a break.
func (p *phone) onBreak(ctx context.Context) error {
	return p.unlessRejected(ctx, []string{"pause"}, func() bool { return p.duty == "paused" && p.state == "active" })
}

// saw books a position that a viewer was sent.
func (w *crew) saw(alias string, timestamp int64) {
	for _, m := range w.members {
		if m.alias == alias {
			w.history.show(m.name, timestamp)
		}
	}
}

// streaming reports what is still missing for everybody to be live again, nil if nothing: each phone has had a position
// acked, and each viewer was shown one of each agent, that was taken after a time.
func (w *crew) streaming(since time.Time) error {
	for _, m := range w.members {
		if !w.history.ackedSince(m.name, since) {
			return errors.Join(fmt.Errorf("%s has had nothing acked", m.alias), m.phone.Trouble())
		}
		for i, v := range w.watchers {
			if v.last(m.alias) <= since.UnixMilli() {
				return fmt.Errorf("viewer %d has not seen %s; %s", i, m.alias, v)
			}
		}
	}
	return nil
}

// settle stops the ticks, and waits until every phone has got rid of all it took and every viewer shows what the store
// holds.
func (w *crew) settle(ctx context.Context) (stored []fix, windows []located, err error) {
	w.ticking()
	w.ticks.Wait()
	for _, m := range w.members {
		if err := m.phone.Settled(ctx); err != nil {
			return nil, nil, fmt.Errorf("%s is left with %d positions: %w", m.alias, m.phone.Stats().Unanswered+m.phone.Stats().Unsent, err)
		}
	}
	if stored, err = w.stored(ctx); err != nil {
		return nil, nil, err
	}
	windows, err = w.windows(ctx)
	return stored, windows, err
}

// converged reports which viewer shows something else than the store holds, nil if none does.
func (w *crew) converged(stored []fix) error {
	newest := map[string]int64{}
	for _, p := range stored {
		newest[p.agent] = max(newest[p.agent], p.timestamp)
	}
	for i, v := range w.watchers {
		for _, m := range w.members {
			if got := v.last(m.alias); got != newest[m.name] {
				return fmt.Errorf("viewer %d shows %s at %d, and the store has %d; %s", i, m.alias, got, newest[m.name], v)
			}
		}
	}
	return nil
}

func (w *crew) stored(ctx context.Context) (points []fix, err error) {
	for cursor := ""; ; {
		page, err := w.c.ask(ctx, "GET", w.path("/track?limit=1000"+cursor), nil)
		if err != nil {
			return nil, err
		}
		for _, item := range page["items"].([]any) {
			o := item.(object)
			points = append(points, fix{o["agent"].(string), int64(o["timestamp"].(float64)), o["latitude"].(float64)})
		}
		next, more := page["next_cursor"].(string)
		if !more {
			return points, nil
		}
		cursor = "&cursor=" + next
	}
}

// windows reads the mission's windows where they are kept: no answer of a node says as much.
func (w *crew) windows(ctx context.Context) (windows []located, err error) {
	err = w.c.onDatabase(ctx, func(conn *pgx.Conn) error {
		rows, _ := conn.Query(ctx, `SELECT agent, ronde_ms(opened), coalesce(ronde_ms(closed), 0) FROM windows WHERE mission = $1`, w.mission)
		windows, err = pgx.CollectRows(rows, pgx.RowToStructByPos[located]) // which returns the query's error too
		return err
	})
	return windows, err
}

// end ends the mission, and sends home everybody who took part.
func (w *crew) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), testPatience)
	defer cancel()
	_, err := w.c.ask(ctx, "POST", w.path("/end"), nil)
	w.stop()
	w.rest.Wait()
	return err
}
