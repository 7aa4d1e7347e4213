package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"ronde/geo"
)

// A sealed position is, in this order:
//
//	fingerprint (8) | version (1) | nonce (12) | ciphertext (38) | tag (16)
//
// The fingerprint comes first because the stores compare it: two sealed
// positions of one slot have the same one exactly if they hold the same
// position and device time. It is a truncated HMAC under a key of its own, over
// the identity too, so that equal positions elsewhere do not look alike.
//
// The rest is AES-256-GCM with a random nonce: nothing has to be remembered
// across restarts or agreed between nodes. Under one mission's key even the
// most that the limits allow (50 agents at 1,000 positions a second for 72
// hours, 1.3e10) repeats a nonce with a probability of about 1e-9.
const (
	// FingerprintSize is how many bytes at the start of a sealed position tell
	// a resend of the same ping from another position in the same slot.
	FingerprintSize = 8
	// SealedSize is the size of every sealed position, in bytes.
	SealedSize = FingerprintSize + 1 + 12 + positionSize + 16

	sealVersion = 1

	// progressSealVersion begins what sealed progress is bound to, so that it can
	// never be taken for a position: sealVersion begins that of positions.
	progressSealVersion = 0x81
)

// ErrUnreadable says that a sealed position is damaged, or was not sealed for
// this tenant, mission, agent and slot.
var ErrUnreadable = &Error{Code: "unreadable", Detail: "the sealed position is damaged or belongs elsewhere"}

// TrackKey seals and opens the positions of one mission. It is safe for many
// goroutines. Do not keep it longer than the mission's sockets and requests:
// the key is to be gone when the salt is.
type TrackKey struct {
	ref      Ref
	interval int64 // milliseconds a slot
	speed    bool  // the policy keeps speed
	aead     cipher.AEAD
	prefix   []byte // what all positions of the mission are bound to
	scratch  sync.Pool
}

// trackScratch is the memory of one Seal or Open.
type trackScratch struct {
	mac   hash.Hash
	bound []byte // the additional data
	plain [positionSize]byte
	sum   [sha256.Size]byte
}

// newTrackKey derives the mission's keys from the root secret and the salt of
// its tenant and expiry day.
func newTrackKey(root RootSecret, salt []byte, m *Mission) (*TrackKey, error) {
	return deriveKey(root, salt, m, "ronde track v1")
}

// newHoldKey derives the keys of the copy that a hold preserves from the root
// secret and the hold's own salt.
func newHoldKey(root RootSecret, salt []byte, m *Mission, hold uuid.UUID) (*TrackKey, error) {
	return deriveKey(root, salt, m, "ronde hold v1", string(hold[:]))
}

// deriveKey derives the keys of positions of a mission: of its own track, or of
// what more names.
func deriveKey(root RootSecret, salt []byte, m *Mission, use string, more ...string) (*TrackKey, error) {
	bound := append([]string{m.Tenant, string(m.ID[:])}, more...)
	interval := m.Policy.MinInterval.Milliseconds()
	if interval <= 0 {
		return nil, ErrInvalid.At("policy.min_interval_ms").Because("must be positive")
	}
	sealing, err := root.Derive(salt, use+": seal", bound...)
	if err != nil {
		return nil, err
	}
	marking, err := root.Derive(salt, use+": fingerprint", bound...)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("track key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("track key: %w", err)
	}
	k := &TrackKey{
		ref:      Ref{Tenant: m.Tenant, ID: m.ID},
		interval: interval,
		speed:    m.Policy.Speed,
		aead:     aead,
		prefix:   append(appendBound([]byte{sealVersion}, m.Tenant), m.ID[:]...),
	}
	k.scratch.New = func() any { return &trackScratch{mac: hmac.New(sha256.New, marking)} }
	return k, nil
}

// Interval returns the milliseconds that one slot of the mission lasts.
func (k *TrackKey) Interval() int64 { return k.interval }

// Seal appends the sealed position of p to dst: SealedSize bytes, bound to the
// mission, the agent and the slot. Speed is left out unless the mission's
// policy keeps it; Seq always is. It allocates nothing if dst has room.
func (k *TrackKey) Seal(dst []byte, agent string, slot int64, p *Ping) []byte {
	s := k.scratch.Get().(*trackScratch)
	defer k.scratch.Put(s)
	fix := *p
	if !k.speed {
		fix.Speed = geo.Unknown
	}
	plain := appendPosition(s.plain[:0], &fix)
	s.bind(k.prefix, agent, slot)
	s.mac.Reset()
	s.mac.Write(s.bound)
	s.mac.Write(plain)
	fingerprint := s.mac.Sum(s.sum[:0])[:FingerprintSize]
	s.bound = append(s.bound, fingerprint...)
	dst = append(append(dst, fingerprint...), sealVersion)
	return k.aead.Seal(dst, nil, plain, s.bound)
}

// Open returns the position that was sealed for this agent and slot of this
// mission, with coordinates of seven decimals and a zero Seq. ErrUnreadable for
// anything else.
func (k *TrackKey) Open(agent string, slot int64, sealed []byte) (Ping, error) {
	if len(sealed) != SealedSize || sealed[FingerprintSize] != sealVersion {
		return Ping{}, ErrUnreadable
	}
	s := k.scratch.Get().(*trackScratch)
	defer k.scratch.Put(s)
	s.bind(k.prefix, agent, slot)
	s.bound = append(s.bound, sealed[:FingerprintSize]...)
	plain, err := k.aead.Open(s.plain[:0], nil, sealed[FingerprintSize+1:], s.bound)
	if err != nil {
		return Ping{}, ErrUnreadable
	}
	p, err := parsePosition(plain)
	if err != nil {
		return Ping{}, ErrUnreadable.Because("the sealed position has a form this version does not know")
	}
	return p, nil
}

// bind fills in what a position is bound to. The agent's length comes before
// it and everything else has a fixed size, so no two identities look alike.
func (s *trackScratch) bind(prefix []byte, agent string, slot int64) {
	s.bound = appendBound(append(s.bound[:0], prefix...), agent)
	s.bound = binary.BigEndian.AppendUint64(s.bound, uint64(slot))
}

// SealAll fills s.Sealed with one sealed position a ping, all in one block of
// memory, each under the slot of its device time. A submission to another
// mission is left without any, which the store answers with Unsealed.
func (k *TrackKey) SealAll(s *Submission) {
	s.Sealed = s.Sealed[:0]
	if s.Ref != k.ref {
		return
	}
	block := make([]byte, 0, len(s.Pings)*SealedSize)
	s.Sealed = slices.Grow(s.Sealed, len(s.Pings))
	for i := range s.Pings {
		p := &s.Pings[i]
		start := len(block)
		block = k.Seal(block, s.Agent, Slot(p.Timestamp, k.interval), p)
		s.Sealed = append(s.Sealed, block[start:len(block):len(block)])
	}
}

// SealProgress returns an agent's progress sealed, bound to the mission, the
// agent and the window that it holds for.
func (k *TrackKey) SealProgress(agent string, opened time.Time, p *Progress) ([]byte, error) {
	plain, err := p.AppendBinary(make([]byte, 0, ProgressSize))
	if err != nil {
		return nil, err
	}
	return k.aead.Seal(nil, nil, plain, k.boundProgress(agent, opened)), nil
}

// OpenProgress returns the progress that was sealed for this agent and window of
// this mission. ErrUnreadable for anything else.
func (k *TrackKey) OpenProgress(agent string, opened time.Time, sealed []byte) (Progress, error) {
	plain, err := k.aead.Open(nil, nil, sealed, k.boundProgress(agent, opened))
	if err != nil {
		return Progress{}, ErrUnreadable
	}
	var p Progress
	if err := p.UnmarshalBinary(plain); err != nil {
		return Progress{}, ErrUnreadable.Because("the sealed progress has a form this version does not know")
	}
	return p, nil
}

func (k *TrackKey) boundProgress(agent string, opened time.Time) []byte {
	bound := append([]byte{progressSealVersion}, k.prefix[1:]...)
	return binary.BigEndian.AppendUint64(appendBound(bound, agent), uint64(opened.UnixMilli()))
}
