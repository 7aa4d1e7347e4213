package web

import (
	"encoding/base64"
	"encoding/binary"
	"time"
	"unicode/utf8"

	"ronde/session"
)

// A cursor is opaque to callers. It names a place in a list of what the caller
// may read anyway, so it is not signed.

var errCursor = session.ErrInvalid.At("cursor").Because("is no next_cursor of this list")

func encodeCursor(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decodeCursor(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errCursor
	}
	return b, nil
}

// trackCursorSize is the size of a track cursor without its agent.
const trackCursorSize = 16

func encodeTrackCursor(row *session.Row) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(row.At.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(row.Slot))
	return encodeCursor(append(b, row.Agent...))
}

// parseTrackCursor returns the place after which a page begins; the zero one
// for no cursor.
func parseTrackCursor(text string) (session.Cursor, error) {
	if text == "" {
		return session.Cursor{}, nil
	}
	b, err := decodeCursor(text)
	if err != nil || len(b) <= trackCursorSize || !utf8.Valid(b[trackCursorSize:]) {
		return session.Cursor{}, errCursor
	}
	return session.Cursor{
		At:    time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC(),
		Slot:  int64(binary.BigEndian.Uint64(b[8:])),
		Agent: string(b[trackCursorSize:]),
	}, nil
}
