package session_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"ronde/session"
)

type saltName struct {
	tenant string
	day    session.Day
}

// fakeRing is a keyring whose answers and failures the test chooses. Its salts
// are the same in every run.
type fakeRing struct {
	session.Keyring // what no test of these asks for

	mu      sync.Mutex
	salts   map[saltName][]byte
	keys    []session.SigningKey
	err     error
	asked   int           // calls of Salt or SigningKeys
	waiting chan struct{} // if set, calls wait until it is closed or they are cancelled
	arrived func()        // if set, called before that
}

func (r *fakeRing) ID() uuid.UUID { return uuid.Nil }

func newFakeRing() *fakeRing { return &fakeRing{salts: map[saltName][]byte{}} }

func (r *fakeRing) ask(ctx context.Context) error {
	r.mu.Lock()
	r.asked++
	waiting, arrived, err := r.waiting, r.arrived, r.err
	r.mu.Unlock()
	if arrived != nil {
		arrived()
	}
	if waiting != nil {
		select {
		case <-waiting:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", session.ErrUnavailable, ctx.Err())
		}
	}
	return err
}

func (r *fakeRing) Salt(ctx context.Context, tenant string, day, today session.Day) ([]byte, error) {
	if err := r.ask(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	name := saltName{tenant, day}
	if r.salts[name] == nil {
		if day < today {
			return nil, session.ErrGone
		}
		sum := sha256.Sum256([]byte(tenant + day.String()))
		r.salts[name] = sum[:]
	}
	return bytes.Clone(r.salts[name]), nil
}

func (r *fakeRing) DestroySalts(_ context.Context, before session.Day, _ ...session.SaltID) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.salts)
	for name := range r.salts {
		if name.day < before {
			delete(r.salts, name)
		}
	}
	return n - len(r.salts), nil
}

func (r *fakeRing) SigningKeys(ctx context.Context) ([]session.SigningKey, error) {
	if err := r.ask(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]session.SigningKey(nil), r.keys...), nil
}

func (r *fakeRing) SaltDays(context.Context) ([]session.Day, error) {
	return nil, session.ErrUnavailable
}

func (r *fakeRing) ExtendHoldSalt(context.Context, uuid.UUID, time.Time) error {
	return session.ErrUnavailable
}

func (r *fakeRing) HoldSalts(context.Context) (map[uuid.UUID]time.Time, error) {
	return nil, session.ErrUnavailable
}

func (r *fakeRing) HoldSalt(context.Context, uuid.UUID, time.Time) ([]byte, error) {
	return nil, session.ErrUnavailable
}

func (r *fakeRing) DestroyHoldSalt(context.Context, uuid.UUID) error { return session.ErrUnavailable }
func (r *fakeRing) EnsureSigningKey(ctx context.Context) ([]session.SigningKey, error) {
	return r.SigningKeys(ctx)
}

func (r *fakeRing) RotateSigningKey(context.Context) ([]session.SigningKey, error) {
	return nil, errors.ErrUnsupported
}

func (r *fakeRing) RemoveSigningKeys(context.Context, ...string) (int, error) {
	return 0, errors.ErrUnsupported
}

func (r *fakeRing) Close() error { return nil }

// set changes the ring under its lock.
func (r *fakeRing) set(change func(r *fakeRing)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func (r *fakeRing) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func TestSealerRemembers(t *testing.T) {
	ring, m := newFakeRing(), sealedMission()
	sealer := session.NewSealer(session.NewRootSecret(), ring)
	if sealer.Cached(m.ID) != nil {
		t.Error("a key before anybody asked")
	}
	first, err := sealer.Key(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if first.Interval() != 1000 {
		t.Errorf("interval %d, want 1000", first.Interval())
	}
	again, err := sealer.Key(t.Context(), m)
	if err != nil || again != first || sealer.Cached(m.ID) != first || ring.count() != 1 {
		t.Errorf("asked the keyring %d times for one key (%v)", ring.count(), err)
	}
	sealer.Forget(m.ID)
	if sealer.Cached(m.ID) != nil {
		t.Error("a key after it was forgotten")
	}
	if _, err := sealer.Key(t.Context(), m); err != nil || ring.count() != 2 {
		t.Errorf("asked the keyring %d times, want 2 (%v)", ring.count(), err)
	}
	// The same id under another tenant or day is another track.
	for _, change := range []func(m *session.Mission){
		func(m *session.Mission) { m.Tenant = "other" }, func(m *session.Mission) { m.ExpiresOn++ },
	} {
		other := sealedMission()
		change(other)
		if key, err := sealer.Key(t.Context(), other); err != nil || key == first {
			t.Errorf("the key of another track: %v", err)
		}
	}
}

func TestSealerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *session.Mission)
		want   error
	}{
		"not begun":  {func(m *session.Mission) { m.ExpiresOn = 0 }, session.ErrState},
		"not read":   {func(m *session.Mission) { m.ReadAt = time.Time{} }, session.ErrInvalid},
		"no slots":   {func(m *session.Mission) { m.Policy.MinInterval = 0 }, session.ErrInvalid},
		"past, gone": {func(m *session.Mission) { m.ReadAt = session.Day(20001).Time() }, session.ErrGone},
	} {
		sealer, m := session.NewSealer(session.NewRootSecret(), newFakeRing()), sealedMission()
		c.change(m)
		if key, err := sealer.Key(t.Context(), m); !errors.Is(err, c.want) || key != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if sealer.Cached(m.ID) != nil {
			t.Errorf("%s: a refusal is remembered as a key", name)
		}
	}
}

func TestSealerKeyringFails(t *testing.T) {
	ring := newFakeRing()
	sealer := session.NewSealer(session.NewRootSecret(), ring)
	ring.set(func(r *fakeRing) { r.err = session.ErrUnavailable })
	if _, err := sealer.Key(t.Context(), sealedMission()); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("keyring down: %v, want unavailable", err)
	}
	ring.set(func(r *fakeRing) { r.err = nil })
	if _, err := sealer.Key(t.Context(), sealedMission()); err != nil {
		t.Errorf("keyring up again: %v", err)
	}
	ring.set(func(r *fakeRing) { r.salts[saltName{"short", 20000}] = []byte("short") })
	m := sealedMission()
	m.Tenant = "short"
	if _, err := sealer.Key(t.Context(), m); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("short salt: %v, want unavailable", err)
	}
	if _, err := session.NewSealer(session.RootSecret{}, ring).Key(t.Context(), sealedMission()); err == nil {
		t.Error("a key without a root secret")
	}
}

// TestSealerForgetsExpired (I7): from the expiry day on there is no key, not from
// memory and not from the keyring, even while the salt is still there.
func TestSealerForgetsExpired(t *testing.T) {
	ring, m := newFakeRing(), sealedMission()
	sealer := session.NewSealer(session.NewRootSecret(), ring)
	later := sealedMission()
	later.ID, later.ExpiresOn = session.NewID(), 20030
	m.ReadAt = session.Day(20000).Time().Add(-time.Millisecond)
	for _, m := range []*session.Mission{m, later, m} {
		if _, err := sealer.Key(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if ring.count() != 2 || sealer.Cached(m.ID) == nil {
		t.Errorf("before its expiry day: %d reads, in memory: %v", ring.count(), sealer.Cached(m.ID) != nil)
	}
	stale := m.Clone() // read before, and used after
	later.ReadAt = session.Day(20000).Time()
	if _, err := sealer.Key(t.Context(), later); err != nil || ring.count() != 2 {
		t.Errorf("another one on that day: %v, %d reads", err, ring.count())
	}
	m.ReadAt = later.ReadAt
	for name, m := range map[string]*session.Mission{"read on the day": m, "read before it": stale} {
		if _, err := sealer.Key(t.Context(), m); !errors.Is(err, session.ErrGone) || sealer.Cached(m.ID) != nil || ring.count() != 2 {
			t.Errorf("%s: %v, in memory: %v, %d reads; want gone, without asking", name, err, sealer.Cached(m.ID) != nil, ring.count())
		}
	}
	if _, err := session.NewSealer(session.NewRootSecret(), ring).Key(t.Context(), m); !errors.Is(err, session.ErrGone) {
		t.Errorf("by a node that has just started: %v, want gone", err)
	}
}

// TestSealerAsksOnce: of many that need one key at once, one asks the keyring.
// Neither a mission whose salt is there nor one that gives up waits for them.
func TestSealerAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring, m := newFakeRing(), sealedMission()
		sealer := session.NewSealer(session.NewRootSecret(), ring)
		known := sealedMission()
		known.ID = session.NewID()
		if _, err := sealer.Key(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		ring.set(func(r *fakeRing) { r.waiting, r.asked = gate, 0 })
		keys := make(chan *session.TrackKey, 50)
		for range cap(keys) {
			go func() {
				key, err := sealer.Key(t.Context(), m)
				if err != nil {
					t.Error(err)
				}
				keys <- key
			}()
		}
		synctest.Wait() // all of them wait now
		if _, err := sealer.Key(t.Context(), known); err != nil || sealer.Cached(known.ID) == nil {
			t.Errorf("a mission that waits for nothing: %v", err)
		}
		if sealer.Cached(m.ID) != nil {
			t.Error("a key before the salt came")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := sealer.Key(ctx, m); !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("one that gives up: %v, want unavailable and canceled", err)
		}
		close(gate)
		first := <-keys
		for range cap(keys) - 1 {
			if key := <-keys; key != first || key == nil {
				t.Fatal("they got different keys")
			}
		}
		if ring.count() != 1 {
			t.Errorf("the keyring was asked %d times, want once", ring.count())
		}
	})
}

// TestSealerAskerGivesUp: if the one that asks the keyring gives up, those who
// wait with it ask again instead of failing too.
func TestSealerAskerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring, m := newFakeRing(), sealedMission()
		sealer := session.NewSealer(session.NewRootSecret(), ring)
		gate := make(chan struct{})
		ring.set(func(r *fakeRing) { r.waiting = gate })
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error, 1)
		go func() { _, err := sealer.Key(ctx, m); gaveUp <- err }()
		synctest.Wait()
		others := make(chan error, 10)
		for range cap(others) {
			go func() { _, err := sealer.Key(t.Context(), m); others <- err }()
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(gate)
		if err := <-gaveUp; !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("the one that gave up: %v", err)
		}
		for range cap(others) {
			if err := <-others; err != nil {
				t.Errorf("one that waited: %v", err)
			}
		}
		if ring.count() != 2 {
			t.Errorf("the keyring was asked %d times, want twice", ring.count())
		}
	})
}

// TestSealerForgetWhileAsked: a key that was forgotten while it was fetched is
// not remembered afterwards.
func TestSealerForgetWhileAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring, m := newFakeRing(), sealedMission()
		sealer := session.NewSealer(session.NewRootSecret(), ring)
		gate := make(chan struct{})
		ring.set(func(r *fakeRing) { r.waiting = gate })
		done := make(chan error)
		go func() { _, err := sealer.Key(t.Context(), m); done <- err }()
		synctest.Wait()
		sealer.Forget(m.ID)
		close(gate)
		if err := <-done; err != nil || sealer.Cached(m.ID) != nil {
			t.Errorf("%v, in memory: %v", err, sealer.Cached(m.ID) != nil)
		}
	})
}

// TestSealerIsBounded: keys of more missions than it remembers still come.
func TestSealerIsBounded(t *testing.T) {
	ring := newFakeRing()
	sealer := session.NewSealer(session.NewRootSecret(), ring)
	ids := make([]uuid.UUID, 16384+100)
	for i := range ids {
		m := sealedMission()
		m.ID[0], m.ID[1], m.ID[2] = byte(i), byte(i>>8), byte(i>>16)
		ids[i] = m.ID
		if _, err := sealer.Key(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	remembered := 0
	for _, id := range ids {
		if sealer.Cached(id) != nil {
			remembered++
		}
	}
	if remembered != 16384 {
		t.Errorf("%d keys in memory, want 16384", remembered)
	}
}

func BenchmarkSealerKey(b *testing.B) {
	m := sealedMission()
	sealer := session.NewSealer(session.NewRootSecret(), newFakeRing())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sealer.Key(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealerKeyDerived(b *testing.B) {
	m := sealedMission()
	sealer := session.NewSealer(session.NewRootSecret(), newFakeRing())
	b.ReportAllocs()
	for b.Loop() {
		sealer.Forget(m.ID)
		if _, err := sealer.Key(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}
