package redisbus

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"ronde/session"
	"ronde/tracker"
)

// A frame, what travels through Redis, is in this order:
//
//	node (16) | nonce (12) | ciphertext | tag (16)
//
// It is sealed by AES-256-GCM with a random nonce and bound to its channel, and
// so to its mission. Each node has a key of its own, derived from the root
// secret and its id, which it draws when it starts: one key for all would see
// too many random nonces over the years. Inside are:
//
//	version (1) | sequence (8) | sent (8) | message
//
// The version says which form the rest has. The sequence rises from frame to
// frame of a node; sent is the node's clock, milliseconds since the epoch.
const (
	frameVersion = 1
	headSize     = 1 + 8 + 8
	minFrame     = nodeSize + nonceSize + headSize + tagSize
	// maxFrame bounds what is looked at: eight times what all agents of a
	// mission together need.
	maxFrame = 256 << 10

	nodeSize  = 16
	nonceSize = 12
	tagSize   = 16

	// maxAge is how much older than now, or newer, a frame may be. The clocks
	// of nodes may differ by as much, less the time a frame takes.
	maxAge = 10 * time.Second
)

// nodeID names one run of one node. It is random and says nothing about it.
type nodeID [nodeSize]byte

func newNodeID() (n nodeID) {
	_, _ = rand.Read(n[:]) // never fails: it aborts the process instead
	return n
}

func (n nodeID) String() string { return hex.EncodeToString(n[:]) }

// frameKey returns what a node seals its frames with.
func frameKey(root session.RootSecret, node nodeID) (cipher.AEAD, error) {
	key, err := root.Derive(nil, "ronde bus v1: frame", string(node[:]))
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("bus key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// sealer makes the frames of one node. It is used by one goroutine.
type sealer struct {
	node     nodeID
	key      cipher.AEAD
	now      func() time.Time
	sequence uint64

	plain, bound []byte // scratch
}

// seal appends the frame of m in a channel. It fails on a message that has no
// binary form, or too long a one.
func (s *sealer) seal(dst []byte, channel string, m *tracker.Message) ([]byte, error) {
	s.sequence++
	plain := binary.BigEndian.AppendUint64(append(s.plain[:0], frameVersion), s.sequence)
	plain = binary.BigEndian.AppendUint64(plain, uint64(s.now().UnixMilli()))
	plain, err := appendMessage(plain, m)
	if err != nil {
		return dst, err
	}
	if size := minFrame - headSize + len(plain); size > maxFrame {
		return dst, fmt.Errorf("a frame of %d bytes: %w", size, errMessage)
	}
	s.plain, s.bound = plain, append(s.bound[:0], channel...)
	return s.key.Seal(append(dst, s.node[:]...), nil, plain, s.bound), nil
}

// reason is why a message was dropped; "" if it was not.
type reason string

const (
	forged      reason = "forged"      // nobody with the root secret made it for this channel
	stale       reason = "stale"       // too old, or heard before
	undecodable reason = "undecodable" // genuine, but of no form that this version knows, or none at all
	overflow    reason = "overflow"    // the queue was full
	unsent      reason = "unsent"      // Redis did not take it
)

var reasons = [...]reason{forged, stale, undecodable, overflow, unsent}

// opener opens and judges the frames of one partition. It is used by one
// goroutine at a time.
type opener struct {
	root  session.RootSecret
	now   func() time.Time
	own   nodeID
	peers map[nodeID]*peer // those heard lately

	sealed, plain, bound []byte // scratch
}

// peer is what is known of a node that was heard.
type peer struct {
	key      cipher.AEAD
	sequence uint64 // of the newest frame
	sent     int64  // the latest
}

// open returns the message in a frame, or why it is to be dropped. It returns
// neither for an echo of this node's own.
func (o *opener) open(channel, frame string) (*tracker.Message, reason) {
	mission, ok := missionOf(channel)
	if !ok || len(frame) < minFrame || len(frame) > maxFrame {
		return nil, forged
	}
	node := nodeID([]byte(frame[:nodeSize]))
	p := o.peers[node]
	if p == nil {
		key, err := frameKey(o.root, node)
		if err != nil {
			return nil, forged
		}
		p = &peer{key: key}
	}
	o.sealed, o.bound = append(o.sealed[:0], frame[nodeSize:]...), append(o.bound[:0], channel...)
	plain, err := p.key.Open(o.plain[:0], nil, o.sealed, o.bound)
	if err != nil {
		return nil, forged
	}
	o.plain = plain
	if plain[0] != frameVersion {
		return nil, undecodable
	}
	if !o.fresh(node, p, binary.BigEndian.Uint64(plain[1:]), int64(binary.BigEndian.Uint64(plain[9:]))) {
		return nil, stale
	}
	if node == o.own {
		return nil, ""
	}
	m, err := parseMessage(mission, plain[headSize:])
	if err != nil {
		return nil, undecodable
	}
	return m, ""
}

// fresh reports whether a genuine frame is neither old nor a repetition, and
// remembers it.
func (o *opener) fresh(node nodeID, p *peer, sequence uint64, sent int64) bool {
	now := o.now().UnixMilli()
	if sent < now-maxAge.Milliseconds() || sent > now+maxAge.Milliseconds() || sequence <= p.sequence {
		return false
	}
	p.sequence, p.sent = sequence, max(p.sent, sent)
	if o.peers[node] == nil {
		// Nodes come and go. Of one that was not heard for so long, every
		// frame there was is too old by now.
		for id, old := range o.peers {
			if old.sent < now-maxAge.Milliseconds() {
				delete(o.peers, id)
			}
		}
		o.peers[node] = p
	}
	return true
}
