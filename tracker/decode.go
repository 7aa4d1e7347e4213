package tracker

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"ronde/geo"
	"ronde/session"
)

// Bounds of one frame from an agent.
const (
	maxFrame = 32 << 10 // bytes
	maxBatch = 100      // pings
	maxSeq   = 1<<53 - 1
)

// frameKind is the type member of a frame from an agent.
type frameKind uint8

const (
	framePings frameKind = iota + 1
	frameBegin
	framePause
	frameResume
	frameEnd
	frameStatus
	frameNotice
	frameSOS
)

// kindOf maps the wire's names. A switch on the bytes of a token costs no
// allocation.
func kindOf(name string) frameKind {
	switch name {
	case "pings":
		return framePings
	case "begin":
		return frameBegin
	case "pause":
		return framePause
	case "resume":
		return frameResume
	case "end":
		return frameEnd
	case "status":
		return frameStatus
	case "notice":
		return frameNotice
	case "sos":
		return frameSOS
	}
	return 0
}

// frame is one decoded frame from an agent.
type frame struct {
	kind      frameKind
	pings     []ping
	timestamp int64   // of pause and end; 0: not given
	battery   float32 // of status; geo.Unknown: not given
	gps       string  // of status: on, off, denied or ""
	version   int     // of notice
	active    bool    // of sos
	has       struct{ pings, version, active bool }
}

// ping is a decoded ping; malformed if a member had the wrong type or a
// required one was missing. Its sequence number is right in any case.
type ping struct {
	session.Ping
	malformed bool
}

// frameError says why a frame, or one ping of it, could not be used.
type frameError struct{ code, detail string }

func (e *frameError) Error() string { return e.code + ": " + e.detail }

var (
	errNotJSON   = &frameError{"invalid_json", "the frame must be one JSON object, UTF-8, without duplicate members"}
	errNoType    = &frameError{"unknown_type", "type must be pings, begin, pause, resume, end, status, notice or sos"}
	errMember    = &frameError{"invalid_frame", "a member of the frame is missing or has the wrong type"}
	errTooMany   = &frameError{"too_many_pings", "a frame may hold at most 100 pings"}
	errSeq       = &frameError{"invalid_seq", "seq must be an integer from 1 to 9007199254740991; the ping without one was dropped"}
	errTimestamp = &frameError{"invalid_timestamp", "timestamp must be integer milliseconds since the epoch"}
)

// decoder reads frames. Decoders are pooled: between frames a connection owns
// none.
type decoder struct {
	in  bytes.Buffer
	dec jsontext.Decoder
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// decode reads one frame. The pings go to buf's backing array if it is large
// enough. A frameError other than errSeq means that nothing of the frame is to
// be used; errSeq comes with a frame that lacks the pings that had no usable
// sequence number, which cannot be answered by name.
func (d *decoder) decode(data []byte, buf []ping) (frame, error) {
	d.in = *bytes.NewBuffer(data)
	d.dec.Reset(&d.in)
	f := frame{pings: buf[:0], battery: geo.Unknown}
	if d.dec.PeekKind() != '{' {
		return frame{}, errNotJSON
	}
	err := d.object(&f)
	if err != nil && !errors.Is(err, errSeq) {
		return frame{}, wireError(err, data)
	}
	if _, end := d.dec.ReadToken(); !errors.Is(end, io.EOF) {
		return frame{}, errNotJSON
	}
	if missing := f.missing(); missing != nil {
		return frame{}, missing
	}
	return f, err
}

// wireError names what is wrong with a frame. Decoding stops at the first
// mistake, which may be a broken rule or the beginning of what is no JSON.
func wireError(err error, data []byte) error {
	var fe *frameError
	if errors.As(err, &fe) && jsontext.Value(data).IsValid() {
		return fe
	}
	return errNotJSON
}

// missing returns what a frame of its type lacks.
func (f *frame) missing() error {
	switch {
	case f.kind == 0:
		return errNoType
	case f.kind == framePings && !f.has.pings,
		f.kind == frameNotice && !f.has.version,
		f.kind == frameSOS && !f.has.active:
		return errMember
	}
	return nil
}

func (d *decoder) object(f *frame) error {
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	var dropped error
	for d.dec.PeekKind() != '}' {
		name, err := d.dec.ReadToken()
		if err != nil {
			return err
		}
		if err := d.member(f, name.String()); errors.Is(err, errSeq) {
			dropped = err
		} else if err != nil {
			return err
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	return dropped
}

func (d *decoder) member(f *frame, name string) (err error) {
	switch name {
	case "type":
		err = d.typeName(f)
	case "pings":
		f.has.pings = true
		err = d.pings(f)
	case "timestamp":
		var given bool
		if given, err = read(d, &f.timestamp, jsontext.Token.Int); err == nil && given && f.timestamp <= 0 {
			err = errTimestamp
		}
	case "battery":
		var given bool
		if given, err = read(d, &f.battery, jsontext.Token.Float32); err == nil && given && (f.battery < 0 || f.battery > 1) {
			err = errMember
		}
	case "gps":
		err = d.gps(f)
	case "version":
		var v int64
		f.has.version, err = read(d, &v, jsontext.Token.Int)
		f.version = int(v)
	case "active":
		f.has.active = true
		err = d.boolean(&f.active)
	default:
		err = d.dec.SkipValue()
	}
	return err
}

func (d *decoder) typeName(f *frame) error {
	if d.dec.PeekKind() != '"' {
		return errNoType
	}
	tok, err := d.dec.ReadToken()
	if err != nil {
		return err
	}
	if f.kind = kindOf(tok.String()); f.kind == 0 {
		return errNoType
	}
	return nil
}

func (d *decoder) gps(f *frame) error {
	switch d.dec.PeekKind() {
	case 'n':
		return d.dec.SkipValue()
	case '"':
	default:
		return errMember
	}
	tok, err := d.dec.ReadToken()
	if err != nil {
		return err
	}
	switch s := tok.String(); s {
	case "on", "off", "denied":
		f.gps = s
		return nil
	}
	return errMember
}

func (d *decoder) boolean(v *bool) error {
	if k := d.dec.PeekKind(); k != 't' && k != 'f' {
		return errMember
	}
	tok, err := d.dec.ReadToken()
	if err != nil {
		return err
	}
	*v = tok.Bool()
	return nil
}

// read reads a number or null and reports whether there was one. value is the
// method of a token that converts it: Int refuses fractions and exponents, Float
// and Float32 what is too large.
func read[T any](d *decoder, v *T, value func(jsontext.Token) (T, error)) (given bool, err error) {
	switch d.dec.PeekKind() {
	case 'n':
		return false, d.dec.SkipValue()
	case '0':
	default:
		return false, errMember
	}
	tok, err := d.dec.ReadToken()
	if err != nil {
		return false, err
	}
	if *v, err = value(tok); err != nil {
		return false, errMember
	}
	return true, nil
}
