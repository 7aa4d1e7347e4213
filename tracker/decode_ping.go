package tracker

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"ronde/geo"
)

func (d *decoder) pings(f *frame) error {
	if d.dec.PeekKind() != '[' {
		return errMember
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	var dropped error
	for d.dec.PeekKind() != ']' {
		if len(f.pings) == maxBatch {
			return errTooMany
		}
		f.pings = append(f.pings, ping{})
		switch err := d.ping(&f.pings[len(f.pings)-1]); {
		case errors.Is(err, errSeq):
			f.pings, dropped = f.pings[:len(f.pings)-1], err
		case err != nil:
			return err
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	return dropped
}

// ping reads one ping. A wrong value makes it malformed, so that it can be
// refused by its sequence number and its neighbours live; only broken JSON
// fails the frame.
func (d *decoder) ping(p *ping) error {
	if d.dec.PeekKind() != '{' {
		return errMember
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	p.Position = geo.NewPosition(geo.Point{})
	var seq int64
	var has struct{ seq, timestamp, latitude, longitude bool }
	for d.dec.PeekKind() != '}' {
		name, err := d.dec.ReadToken()
		if err != nil {
			return err
		}
		switch name.String() {
		case "seq":
			has.seq, err = d.tolerant(p, func() (bool, error) { return read(d, &seq, jsontext.Token.Int) })
		case "timestamp":
			has.timestamp, err = d.tolerant(p, func() (bool, error) { return read(d, &p.Timestamp, jsontext.Token.Int) })
		case "latitude":
			has.latitude, err = d.tolerant(p, func() (bool, error) { return read(d, &p.Latitude, jsontext.Token.Float) })
		case "longitude":
			has.longitude, err = d.tolerant(p, func() (bool, error) { return read(d, &p.Longitude, jsontext.Token.Float) })
		case "mock":
			err = d.mock(p)
		default:
			err = d.optional(p, name.String())
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	if !has.seq || seq < 1 || seq > maxSeq {
		return errSeq
	}
	p.Seq = uint64(seq)
	p.malformed = p.malformed || !has.timestamp || !has.latitude || !has.longitude
	return nil
}

// optional reads a member that may be absent or null, or skips an unknown one.
func (d *decoder) optional(p *ping, name string) error {
	var v *float32
	switch name {
	case "accuracy":
		v = &p.Accuracy
	case "altitude":
		v = &p.Altitude
	case "heading":
		v = &p.Heading
	case "speed":
		v = &p.Speed
	case "battery":
		v = &p.Battery
	default:
		return d.dec.SkipValue()
	}
	_, err := d.tolerant(p, func() (bool, error) { return read(d, v, jsontext.Token.Float32) })
	return err
}

func (d *decoder) mock(p *ping) error {
	if d.dec.PeekKind() == 'n' {
		return d.dec.SkipValue()
	}
	_, err := d.tolerant(p, func() (bool, error) { return true, d.boolean(&p.Mock) })
	return err
}

// tolerant runs read; if the value has the wrong type or range, it marks the
// ping and goes on behind the value.
func (d *decoder) tolerant(p *ping, read func() (bool, error)) (given bool, err error) {
	before := d.dec.InputOffset()
	given, err = read()
	if !errors.Is(err, errMember) {
		return given, err
	}
	p.malformed = true
	if d.dec.InputOffset() == before { // refused by its kind alone, so still to be read
		return false, d.dec.SkipValue()
	}
	return false, nil
}
