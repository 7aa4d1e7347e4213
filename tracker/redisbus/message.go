package redisbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"

	"ronde/session"
	"ronde/tracker"
)

// The binary form of a message, without its mission, which is that of its
// channel. Big endian:
//
//	kind (1), and then
//	of Moved      the number of moves (2), and of each: the agent, seen (8), progress (session.ProgressSize)
//	of Changed    revision (8)
//	of Connected  conn (8), the agent
//
// where an agent is the length of its name (1) and the name. Every message has
// exactly one form: what decodes encodes to the same bytes.
const (
	maxAgent = math.MaxUint8
	maxMoves = math.MaxUint16
	minMove  = 1 + 8 + session.ProgressSize
)

var errMessage = errors.New("no binary form of a message")

// appendMessage appends the binary form of m. It fails on a message that has
// none: of an unknown kind, with an agent of more than 255 bytes or with more
// than 65535 moves.
func appendMessage(dst []byte, m *tracker.Message) ([]byte, error) {
	dst = append(dst, byte(m.Kind))
	switch m.Kind {
	case tracker.Moved:
		if len(m.Moves) > maxMoves {
			return dst, fmt.Errorf("%d moves: %w", len(m.Moves), errMessage)
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(m.Moves)))
		for i := range m.Moves {
			var err error
			if dst, err = appendMove(dst, &m.Moves[i]); err != nil {
				return dst, err
			}
		}
		return dst, nil
	case tracker.Changed:
		return binary.BigEndian.AppendUint64(dst, uint64(m.Revision)), nil
	case tracker.Connected:
		return appendAgent(binary.BigEndian.AppendUint64(dst, uint64(m.Conn)), m.Agent)
	}
	return dst, fmt.Errorf("kind %d: %w", m.Kind, errMessage)
}

func appendMove(dst []byte, move *tracker.Move) ([]byte, error) {
	dst, err := appendAgent(dst, move.Agent)
	if err != nil {
		return dst, err
	}
	return move.Progress.AppendBinary(binary.BigEndian.AppendUint64(dst, uint64(move.Seen)))
}

func appendAgent(dst []byte, agent string) ([]byte, error) {
	if len(agent) > maxAgent {
		return dst, fmt.Errorf("an agent of %d bytes: %w", len(agent), errMessage)
	}
	return append(append(dst, byte(len(agent))), agent...), nil
}

// parseMessage returns the message about a mission whose binary form b is.
func parseMessage(mission uuid.UUID, b []byte) (*tracker.Message, error) {
	if len(b) == 0 {
		return nil, errMessage
	}
	m := &tracker.Message{Mission: mission, Kind: tracker.Kind(b[0])}
	b = b[1:]
	var err error
	switch m.Kind {
	case tracker.Moved:
		m.Moves, b, err = parseMoves(b)
	case tracker.Changed:
		if len(b) < 8 {
			return nil, errMessage
		}
		m.Revision, b = int64(binary.BigEndian.Uint64(b)), b[8:]
	case tracker.Connected:
		if len(b) < 8 {
			return nil, errMessage
		}
		m.Conn = int64(binary.BigEndian.Uint64(b))
		m.Agent, b, err = parseAgent(b[8:])
	default:
		return nil, errMessage
	}
	if err != nil || len(b) > 0 {
		return nil, errMessage
	}
	return m, nil
}

func parseMoves(b []byte) ([]tracker.Move, []byte, error) {
	if len(b) < 2 {
		return nil, nil, errMessage
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if n == 0 {
		return nil, b, nil
	}
	if n > len(b)/minMove { // what is allocated is bounded by what came
		return nil, nil, errMessage
	}
	moves := make([]tracker.Move, n)
	for i := range moves {
		var err error
		if moves[i].Agent, b, err = parseAgent(b); err != nil {
			return nil, nil, err
		}
		if len(b) < 8+session.ProgressSize {
			return nil, nil, errMessage
		}
		moves[i].Seen = int64(binary.BigEndian.Uint64(b))
		if err := moves[i].Progress.UnmarshalBinary(b[8 : 8+session.ProgressSize]); err != nil {
			return nil, nil, err
		}
		b = b[8+session.ProgressSize:]
	}
	return moves, b, nil
}

func parseAgent(b []byte) (string, []byte, error) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, errMessage
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], nil
}
