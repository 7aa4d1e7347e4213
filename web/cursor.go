package web

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"ronde/session"
)

// A cursor is opaque to callers. It names a place in a list of what the caller
// may read anyway, so it is not signed.

var errCursor = session.ErrInvalid.At("cursor").Because("is no next_cursor of this list")

func encodeCursor(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decodeCursor(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || encodeCursor(b) != text { // package base64 skips line breaks
		return nil, errCursor
	}
	return b, nil
}

// The binary form of a place in a track: time and slot, then the agent.
const (
	trackCursorSize = 16 // without its agent
	maxCursorAgent  = 64
	maxCursorTime   = 253402300799999 // the end of the year 9999, in milliseconds
)

func encodeTrackCursor(row *session.Row) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(row.At.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(row.Slot))
	return encodeCursor(append(b, row.Agent...))
}

// parseTrackCursor returns the place after which a page begins; the zero one
// for no cursor. What no store can hold is refused: a database would fail on it.
func parseTrackCursor(text string) (session.Cursor, error) {
	if text == "" {
		return session.Cursor{}, nil
	}
	b, err := decodeCursor(text)
	if err != nil || len(b) <= trackCursorSize {
		return session.Cursor{}, errCursor
	}
	at, agent := int64(binary.BigEndian.Uint64(b)), string(b[trackCursorSize:])
	foreign := func(r rune) bool { return r <= ' ' || r > '~' }
	if at < 0 || at > maxCursorTime || len(agent) > maxCursorAgent || strings.ContainsFunc(agent, foreign) {
		return session.Cursor{}, errCursor
	}
	return session.Cursor{At: time.UnixMilli(at).UTC(), Slot: int64(binary.BigEndian.Uint64(b[8:])), Agent: agent}, nil
}
