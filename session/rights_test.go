package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
	"ronde/session"
	"ronde/session/keyring"
	"ronde/session/postgres"
	"ronde/session/postgres/pgtest"
	"ronde/session/sqlite"
)

// installation is a store and a keyring of one kind, with nothing in them.
type installation struct {
	*testing.T
	store session.Store
	ring  session.Keyring
	root  session.RootSecret
}

// onBoth runs a test on the embedded store with a folder for a keyring, and on
// PostgreSQL with a database for one.
func onBoth(t *testing.T, test func(in *installation)) {
	t.Run("sqlite", func(t *testing.T) {
		in := &installation{T: t, root: session.NewRootSecret()}
		dir := t.TempDir()
		store, err := sqlite.Open(t.Context(), filepath.Join(dir, "ronde.db"), nil)
		in.ok(err)
		in.store = store
		in.ring, err = keyring.OpenFolder(filepath.Join(dir, "keys"), in.root)
		in.ok(err)
		test(in.closing())
	})
	t.Run("postgres", func(t *testing.T) {
		in := &installation{T: t, root: session.NewRootSecret()}
		server := pgtest.Start(t)
		data, keys := server.CreateDB(t), server.CreateDB(t)
		in.ok(postgres.Migrate(t.Context(), data))
		in.ok(keyring.Migrate(t.Context(), keys))
		store, err := postgres.Open(t.Context(), data, postgres.Options{})
		in.ok(err)
		in.store = store
		in.ring, err = keyring.OpenDatabase(t.Context(), keys, in.root, 0)
		in.ok(err)
		test(in.closing())
	})
}

func (in *installation) ok(err error) {
	in.Helper()
	if err != nil {
		in.Fatal(err)
	}
}

func (in *installation) closing() *installation {
	store, ring := in.store, in.ring
	in.Cleanup(func() { _ = errors.Join(store.Close(), ring.Close()) })
	return in
}

// service returns one as a node has it that has just started.
func (in *installation) service() *session.Service {
	return &session.Service{
		Store: in.store, Sealer: session.NewSealer(in.root, in.ring), Tokens: session.NewTokens(in.ring, time.Now),
		Log: slog.New(slog.DiscardHandler),
	}
}

func platformOf(tenant string) *session.Principal {
	return &session.Principal{Role: session.Platform, Tenant: tenant, Subject: session.NewID()}
}

// mission makes one that is under way, with n stored positions of each agent.
func (in *installation) mission(tenant string, n int, agents ...string) *session.Mission {
	in.Helper()
	s, p := in.service(), platformOf(tenant)
	in.ok(in.store.EnsureTenant(in.Context(), tenant))
	now, err := in.store.Now(in.Context())
	in.ok(err)
	m := &session.Mission{
		Reference: "M-1", Site: geo.Site{Name: "Entrepôt", Center: geo.Point{Latitude: 48.84, Longitude: 2.41}, RadiusM: 80},
		StartsAt: now, EndsAt: now.Add(time.Hour), Overrun: time.Hour, EarlyBegin: time.Hour, Policy: session.DefaultPolicy(),
	}
	m.Policy.MinInterval = time.Millisecond
	for _, agent := range agents {
		m.Agents = append(m.Agents, session.Agent{ID: agent})
	}
	in.ok(s.CreateMission(in.Context(), p, m))
	m, err = s.Do(in.Context(), p, m.ID, session.Command{Action: session.Begin})
	in.ok(err)
	_, err = s.Sealer.Key(in.Context(), m)
	in.ok(err)
	end := m.BeganAt.Add(time.Duration(n) * time.Millisecond)
	for now.Before(end) {
		now, err = in.store.Now(in.Context())
		in.ok(err)
	}
	for _, agent := range agents {
		sub := &session.Submission{Ref: session.Ref{Tenant: tenant, ID: m.ID}, Agent: agent}
		for i := range n {
			position := geo.NewPosition(geo.Point{Latitude: 48.8401, Longitude: 2.4101})
			sub.Pings = append(sub.Pings, session.Ping{Timestamp: m.BeganAt.UnixMilli() + int64(i), Position: position})
		}
		in.ok(s.Append(in.Context(), []*session.Submission{sub}))
		for _, v := range sub.Verdicts {
			if v != session.Stored {
				in.Fatalf("verdict %d", v)
			}
		}
	}
	return m
}

func (in *installation) end(m *session.Mission) {
	in.Helper()
	_, err := in.service().Do(in.Context(), platformOf(m.Tenant), m.ID, session.Command{Action: session.End})
	in.ok(err)
}

// stored returns how many positions of a mission are stored.
func (in *installation) stored(m *session.Mission) int {
	in.Helper()
	rows, err := in.store.Track(in.Context(), m.Tenant, m.ID, session.Cursor{}, 100_000)
	if !errors.Is(err, session.ErrNotFound) {
		in.ok(err)
	}
	return len(rows)
}

// TestEraseAgent: who may, when, and what is left to know.
func TestEraseAgent(t *testing.T) {
	onBoth(t, func(in *installation) {
		ctx, s, p := in.Context(), in.service(), platformOf("acme")
		var told []*session.Mission
		s.Changed = func(m *session.Mission) { told = append(told, m) }
		m := in.mission("acme", 3, "badge-1", "badge-2")
		foreign := in.mission("globex", 2, "badge-1")
		refused := func(p *session.Principal, agent, why string, want error) {
			in.Helper()
			if _, err := s.EraseAgent(ctx, p, agent, why); !errors.Is(err, want) {
				in.Errorf("erasing %s: %v, want %v", agent, err, want)
			}
		}
		operator := *p
		operator.Role = session.Operator
		refused(&operator, "badge-1", "", session.ErrForbidden)
		refused(p, "badge-3", "", session.ErrNotFound)
		refused(p, "../badge", "", session.ErrNotFound)
		refused(platformOf("initech"), "badge-1", "", session.ErrNotFound)
		refused(p, "badge-1", "", session.ErrOnDuty)
		_, err := s.Do(ctx, p, m.ID, session.Command{Action: session.Relieve, Agent: "badge-1"})
		in.ok(err)
		refused(p, "badge-1", "a\x00b", session.ErrInvalid)
		refused(p, "badge-2", "", session.ErrOnDuty)
		if stones, err := in.ring.Tombstones(ctx, 0); err != nil || len(stones) != 0 || in.stored(m) != 6 {
			in.Errorf("refused erasures left %v, %v and %d positions", stones, err, in.stored(m))
		}

		told = nil
		e, err := s.EraseAgent(ctx, p, "badge-1", "asked by the agent")
		in.ok(err)
		if e.Erased != (session.Erased{Missions: 1, Positions: 3}) || e.DoneAt.IsZero() || in.stored(m) != 3 || in.stored(foreign) != 2 {
			in.Errorf("erased %+v, %d and %d positions are left", e, in.stored(m), in.stored(foreign))
		}
		if len(told) != 1 || told[0].ID != m.ID || told[0].Agent("badge-1") != nil || told[0].Agent("badge-2") == nil {
			in.Errorf("told of %+v", told)
		}
		in.ok(s.Knows(ctx, "globex", "badge-1"))
		if err := s.Knows(ctx, "acme", "badge-1"); !errors.Is(err, session.ErrNotFound) {
			in.Errorf("the agent is known: %v", err)
		}
		refused(p, "badge-1", "", session.ErrNotFound)
		stranger := session.Principal{Role: session.AgentRole, Tenant: "acme", Mission: m.ID, Agent: "badge-1", Issued: time.Now()}
		if err := stranger.Live(told[0], time.Now()); !errors.Is(err, session.ErrRevoked) {
			in.Errorf("the agent's token: %v", err)
		}
		log, err := in.store.AccessLog(ctx, "acme", session.AccessFilter{Actions: []session.AccessAction{session.AccessAgentErase}}, uuid.Nil, 10)
		in.ok(err)
		if len(log) != 1 || log[0].Why != "asked by the agent" || log[0].Agent != s.Pseudonym("acme", "badge-1") || log[0].Subject != p.Subject {
			in.Errorf("logged %+v", log)
		}
	})
}

// errDead is what a service gets once its process was killed.
var errDead = errors.New("killed")

// mortal counts the changes of store and keyring, and dies at one of them: right
// before it, or right after it and before anybody learned of it.
type mortal struct {
	mu    sync.Mutex
	until int // how many changes are left; guarded by mu
	after bool
	dead  bool
}

// change carries out one unless death comes first.
func (d *mortal) change(do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return errDead
	}
	d.until--
	if d.dead = d.until < 0; d.dead && !d.after {
		return errDead
	}
	if err := do(); err != nil {
		return err
	}
	if d.dead {
		return errDead
	}
	return nil
}

type mortalStore struct {
	session.Store
	life *mortal
}

func (s mortalStore) Erase(ctx context.Context, t session.Tombstone) (step session.ErasureStep, err error) {
	err = s.life.change(func() (err error) { step, err = s.Store.Erase(ctx, t); return err })
	return step, err
}

func (s mortalStore) Bar(ctx context.Context, t session.Tombstone) (barred session.Tombstone, err error) {
	err = s.life.change(func() (err error) { barred, err = s.Store.Bar(ctx, t); return err })
	return barred, err
}

func (s mortalStore) LogAccess(ctx context.Context, batch []session.Access) error {
	return s.life.change(func() error { return s.Store.LogAccess(ctx, batch) })
}

func (s mortalStore) UpdateMission(ctx context.Context, tenant string, id uuid.UUID, change func(*session.Mission) error) (m *session.Mission, err error) {
	err = s.life.change(func() (err error) { m, err = s.Store.UpdateMission(ctx, tenant, id, change); return err })
	return m, err
}

type mortalRing struct {
	session.Keyring
	life *mortal
}

func (r mortalRing) Tombstone(ctx context.Context, t session.Tombstone) (set session.Tombstone, err error) {
	err = r.life.change(func() (err error) { set, err = r.Keyring.Tombstone(ctx, t); return err })
	return set, err
}

func (r mortalRing) DestroyTenantSalts(ctx context.Context, tenant string) (n int, err error) {
	err = r.life.change(func() (err error) { n, err = r.Keyring.DestroyTenantSalts(ctx, tenant); return err })
	return n, err
}

// killedEverywhere does something with a service that dies at its first change,
// then at its second, and so on until it survives; each time before and after.
// It returns how often that was.
func (in *installation) killedEverywhere(do func(s *session.Service, round string) error) (deaths int) {
	in.Helper()
	for _, after := range []bool{false, true} {
		for until := 0; ; until++ {
			life := &mortal{until: until, after: after}
			s := in.service()
			s.Store = mortalStore{in.store, life}
			s.Sealer = session.NewSealer(in.root, mortalRing{in.ring, life})
			err := do(s, fmt.Sprintf("%d-%t", until, after))
			if err == nil {
				break
			}
			if !errors.Is(err, errDead) {
				in.Fatalf("killed at change %d: %v", until, err)
			}
			deaths++
		}
	}
	return deaths
}

// TestEraseAgentKilled: wherever a node dies, the next one finishes what has a
// tombstone, and asking again finishes the rest; the receipt counts all of it.
func TestEraseAgentKilled(t *testing.T) {
	onBoth(t, func(in *installation) {
		ctx, p := in.Context(), platformOf("acme")
		deaths := in.killedEverywhere(func(s *session.Service, round string) error {
			agent := "doomed-" + round
			var missions []*session.Mission
			for range 2 {
				m := in.mission("acme", 3, agent, "spared")
				in.end(m)
				missions = append(missions, m)
			}
			was, err := in.store.LastErasure(ctx)
			in.ok(err)
			_, err = s.EraseAgent(ctx, p, agent, "")
			died := err != nil
			next := in.service()
			pending, replayErr := next.ReplayTombstones(ctx)
			in.ok(replayErr)
			last, lastErr := in.store.LastErasure(ctx)
			in.ok(lastErr)
			if last == was { // it had no tombstone: nothing has happened
				if !died || pending != 0 || in.stored(missions[0]) != 6 || in.stored(missions[1]) != 6 {
					in.Errorf("%s: %d pending, %d positions left", round, pending, in.stored(missions[0]))
				}
				_, againErr := next.EraseAgent(ctx, p, agent, "")
				in.ok(againErr)
				last++
			}
			e, receiptErr := in.store.Erasure(ctx, last)
			in.ok(receiptErr)
			if e.Erased != (session.Erased{Missions: 2, Positions: 6}) || e.DoneAt.IsZero() {
				in.Errorf("%s: the receipt is %+v", round, e)
			}
			if in.stored(missions[0]) != 3 || in.stored(missions[1]) != 3 {
				in.Errorf("%s: %d and %d positions are left", round, in.stored(missions[0]), in.stored(missions[1]))
			}
			if again, againErr := next.ReplayTombstones(ctx); again != 0 || againErr != nil {
				in.Errorf("%s: %d are pending after all, %v", round, again, againErr)
			}
			return err
		})
		in.Logf("killed %d times", deaths)
		if deaths < 8 {
			in.Errorf("killed only %d times", deaths)
		}
	})
}

// TestKeyringThatForgot: with a keyring restored from before the last erasures,
// whose numbers begin again, an erasure is carried out all the same.
func TestKeyringThatForgot(t *testing.T) {
	onBoth(t, func(in *installation) {
		p := platformOf("acme")
		first := in.mission("acme", 2, "badge-1")
		in.end(first)
		_, err := in.service().EraseAgent(in.Context(), p, "badge-1", "")
		in.ok(err)
		ring, err := keyring.OpenFolder(filepath.Join(in.TempDir(), "restored"), in.root)
		in.ok(err)
		defer ring.Close()
		in.ring = ring
		second := in.mission("acme", 2, "badge-2")
		in.end(second)
		e, err := in.service().EraseAgent(in.Context(), p, "badge-2", "")
		in.ok(err)
		if e.Number != 2 || e.Positions != 2 || in.stored(second) != 0 {
			in.Errorf("erased %+v, %d positions are left", e, in.stored(second))
		}
	})
}

// TestCloseTenant: refused while a mission is under way, and then nothing is left
// but the log; another tenant keeps everything.
func TestCloseTenant(t *testing.T) {
	onBoth(t, func(in *installation) {
		ctx, s := in.Context(), in.service()
		m, other := in.mission("acme", 3, "badge-1"), in.mission("globex", 2, "badge-1")
		if _, err := s.CloseTenant(ctx, "nobody", false, false); !errors.Is(err, session.ErrNotFound) {
			in.Errorf("closing a tenant that is none: %v", err)
		}
		if _, err := s.CloseTenant(ctx, "acme", false, false); !errors.Is(err, session.ErrState) || in.stored(m) != 3 {
			in.Errorf("closing while a mission is under way: %v, %d positions left", err, in.stored(m))
		}
		e, err := s.CloseTenant(ctx, "acme", true, false)
		in.ok(err)
		if e.Erased != (session.Erased{Missions: 1, Positions: 3}) {
			in.Errorf("erased %+v", e)
		}
		if _, err := in.store.Mission(ctx, "acme", m.ID); !errors.Is(err, session.ErrNotFound) {
			in.Errorf("the mission is there: %v", err)
		}
		if _, err := in.service().Sealer.Key(ctx, other); err != nil || in.stored(other) != 2 {
			in.Errorf("the other tenant's key: %v; %d positions", err, in.stored(other))
		}
		fixes, err := in.service().Track(ctx, other, session.Cursor{}, 10)
		if err != nil || len(fixes) != 2 {
			in.Errorf("the other tenant's track: %d positions, %v", len(fixes), err)
		}
		if _, err := s.CloseTenant(ctx, "acme", true, false); !errors.Is(err, session.ErrNotFound) {
			in.Errorf("closing it again: %v", err)
		}
		log, err := in.store.AccessLog(ctx, "acme", session.AccessFilter{Actions: []session.AccessAction{session.AccessTenantClose}}, uuid.Nil, 10)
		if err != nil || len(log) != 1 {
			in.Errorf("logged %+v, %v", log, err)
		}
	})
}

// TestCloseTenantKilled: the same wherever it dies, and run again it completes.
func TestCloseTenantKilled(t *testing.T) {
	onBoth(t, func(in *installation) {
		ctx := in.Context()
		deaths := in.killedEverywhere(func(s *session.Service, round string) error {
			tenant := "doomed-" + round
			m := in.mission(tenant, 3, "badge-1")
			ended := in.mission(tenant, 2, "badge-2")
			in.end(ended)
			_, err := s.CloseTenant(ctx, tenant, true, false)
			e, againErr := in.service().CloseTenant(ctx, tenant, true, false)
			if err == nil || errors.Is(againErr, session.ErrNotFound) { // it was done before it died
				last, lastErr := in.store.LastErasure(ctx)
				in.ok(lastErr)
				e, againErr = in.store.Erasure(ctx, last)
			}
			in.ok(againErr)
			if e.Erased != (session.Erased{Missions: 2, Positions: 5}) || e.DoneAt.IsZero() {
				in.Errorf("%s: the receipt is %+v", round, e)
			}
			for _, m := range []*session.Mission{m, ended} {
				if _, err := in.store.Mission(ctx, tenant, m.ID); !errors.Is(err, session.ErrNotFound) {
					in.Errorf("%s: a mission is left: %v", round, err)
				}
			}
			return err
		})
		in.Logf("killed %d times", deaths)
		if deaths < 10 {
			in.Errorf("killed only %d times", deaths)
		}
	})
}
