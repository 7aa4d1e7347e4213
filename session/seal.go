package session

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"
)

const (
	saltSize = 32
	// maxTracks bounds the keys held in memory, of about 2 KB each: more than
	// a node has missions with sockets.
	maxTracks = 16384
)

// Sealer hands out the keys of missions' tracks and remembers those in use. It
// is safe for many goroutines; those that ask for one key at once make one
// keyring read between them, and none of them holds up the others.
type Sealer struct {
	root RootSecret
	ring Keyring

	mu sync.Mutex
	// Guarded by mu:
	today  Day // the latest day on which any mission was read
	tracks map[uuid.UUID]*track
}

// track is the key of one mission, or the wait for it.
type track struct {
	tenant string
	day    Day
	today  Day           // when it was asked for
	ready  chan struct{} // closed once what follows is set
	key    *TrackKey
	err    error
	again  bool // the asker gave up, which says nothing to the others
}

// NewSealer returns a Sealer that derives keys from root and the salts in ring.
func NewSealer(root RootSecret, ring Keyring) *Sealer {
	return &Sealer{root: root, ring: ring, tracks: map[uuid.UUID]*track{}}
}

// Key returns the key of the mission's track: from memory, or derived from the
// root secret and the salt of its tenant and expiry day, which the keyring
// makes if the day has not come. Today is the latest day on which any mission
// was read. From the expiry day on the answer is ErrGone, whether the salt is
// still there or not, and no key of that day is remembered.
//
// ErrState for a mission that has not begun; the keyring's ErrGone and
// ErrUnavailable as they are.
func (s *Sealer) Key(ctx context.Context, m *Mission) (*TrackKey, error) {
	switch {
	case m.ExpiresOn == 0:
		return nil, ErrState.Because("the mission has not begun")
	case m.ReadAt.IsZero():
		// Without a clock the keyring would make a salt for a past day.
		return nil, ErrInvalid.At("read_at").Because("is missing: the mission was not read from a store")
	}
	for {
		t, mine := s.claim(m)
		if t == nil {
			return nil, ErrGone
		}
		if mine {
			s.fetch(ctx, m, t)
			return t.key, t.err
		}
		select {
		case <-t.ready:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		}
		if !t.again {
			return t.key, t.err
		}
	}
}

// Cached returns the mission's key if it is in memory, and nil otherwise. It
// never waits.
func (s *Sealer) Cached(missionID uuid.UUID) *TrackKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tracks[missionID]; t != nil && t.done() {
		return t.key
	}
	return nil
}

// Forget drops the mission's key from memory. Call it when the mission's data
// was erased, or nobody here follows it any more.
func (s *Sealer) Forget(missionID uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tracks, missionID)
}

// expire makes today the latest day seen, and so forgets the keys of all tracks
// that have expired.
func (s *Sealer) expire(today Day) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(today)
}

// copyKey returns the key of a mission's track whether it has expired or not, as
// long as its salt is there: for the copy of a hold alone. It is not remembered.
func (s *Sealer) copyKey(ctx context.Context, m *Mission) (*TrackKey, error) {
	// Asked for on the day after, a salt that is missing is not made.
	salt, err := s.ring.Salt(ctx, m.Tenant, m.ExpiresOn, m.ExpiresOn+1)
	if err != nil {
		return nil, err
	}
	return newTrackKey(s.root, salt, m)
}

// claim returns the mission's track and whether the caller is the one to fetch
// its key; no track if it has expired.
func (s *Sealer) claim(m *Mission) (t *track, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(DayOf(m.ReadAt))
	if m.ExpiresOn <= s.today {
		return nil, false
	}
	t = s.tracks[m.ID]
	if t != nil && t.tenant == m.Tenant && t.day == m.ExpiresOn {
		return t, false
	}
	if len(s.tracks) >= maxTracks {
		for id := range s.tracks { // any one: it costs its mission a keyring read
			delete(s.tracks, id)
			break
		}
	}
	t = &track{tenant: m.Tenant, day: m.ExpiresOn, today: s.today, ready: make(chan struct{})}
	s.tracks[m.ID] = t
	return t, true
}

// turn drops the keys of all tracks that have expired, once a day. The caller
// holds mu.
func (s *Sealer) turn(today Day) {
	if today <= s.today {
		return
	}
	s.today = today
	for id, t := range s.tracks {
		if t.day <= today && t.done() {
			delete(s.tracks, id)
		}
	}
}

// fetch reads the salt, without the lock, and settles t.
func (s *Sealer) fetch(ctx context.Context, m *Mission, t *track) {
	t.err = ErrUnavailable // what the others hear should the keyring panic
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.again = t.err != nil && ctx.Err() != nil
		// Forget or an eviction may have come in between, and another track
		// may stand there by now.
		if s.tracks[m.ID] == t && (t.err != nil || t.day <= s.today) {
			delete(s.tracks, m.ID)
		}
		close(t.ready) // under the lock, or turn could miss it
	}()
	salt, err := s.ring.Salt(ctx, t.tenant, t.day, t.today)
	if err == nil && len(salt) != saltSize {
		err = ErrUnavailable.Because("the keyring gave a salt of %d bytes", len(salt))
	}
	if err != nil {
		t.err = err
		return
	}
	t.key, t.err = newTrackKey(s.root, salt, m)
}

func (t *track) done() bool {
	select {
	case <-t.ready:
		return true
	default:
		return false
	}
}
