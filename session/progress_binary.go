package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"ronde/geo"
)

// The binary form of a Progress, in which it travels between nodes and is saved.
// Unlike that of a stored position it is exact: a node that takes an agent over
// folds on, to the bit, as if it had folded all along. Its size is fixed. Big
// endian, and all but the first 7 bytes and the optional members 8 bytes each:
//
//	  0  version, 2
//	  1  phase, by its place in phases
//	  2  signal, by its place in signals
//	  3  fixes in a row that the track rejected
//	  4  1 if the receiver is frozen, 0 if not
//	  5  fixes in a row that say the agent arrived or left
//	  6  flags: which optional members are present, and whether the fix is mock
//	  7  the members that integers lists, int64
//	135  the members that floats lists, float64
//	327  accuracy, altitude, heading, speed, battery: float32 each, 0 if absent
//
// Every Progress has exactly one form: what decodes encodes to the same bytes.
const (
	progressVersion = 2

	integerMembers = 16
	floatMembers   = 24
	integersAt     = 7
	floatsAt       = integersAt + 8*integerMembers
	optionalAt     = floatsAt + 8*floatMembers

	// ProgressSize is the size of the binary form of a Progress, in bytes.
	ProgressSize = optionalAt + 5*4
)

// Places in these lists are on the wire: add at the end.
var (
	phases  = [...]Phase{"", EnRoute, Arriving, OnSite, Left}
	signals = [...]Signal{"", Live, Stationary, Lost, OnBreak}
)

var errProgress = errors.New("no binary form of a progress")

// integers returns the whole numbers of a progress, by their place in its form.
func (p *Progress) integers() [integerMembers]*int64 {
	return [...]*int64{
		&p.Version, &p.Timestamp, &p.Latest, &p.ArrivedAt, &p.LeftAt,
		&p.Counts.Used, &p.Counts.Imprecise, &p.Counts.Jumps, &p.Counts.Frozen, &p.Counts.Mock, &p.Counts.Late,
		&p.track.at, &p.tentative.at, &p.since, &p.onSite, &p.restingAt,
	}
}

// floats returns the other numbers of a progress, by their place in its form.
func (p *Progress) floats() [floatMembers]*float64 {
	t, u := &p.track, &p.tentative
	return [...]*float64{
		&p.Position.Latitude, &p.Position.Longitude, &p.straight, &p.step,
		&t.point.Latitude, &t.point.Longitude, &t.east, &t.north, &t.pp, &t.pv, &t.vv,
		&u.point.Latitude, &u.point.Longitude, &u.east, &u.north, &u.pp, &u.pv, &u.vv,
		&p.resting.Latitude, &p.resting.Longitude,
		&p.journey.distance, &p.journey.watched, &p.journey.speed, &p.journey.closing,
	}
}

// AppendBinary implements encoding.BinaryAppender: it appends ProgressSize
// bytes. It fails on a phase or signal that is none of this package's.
func (p *Progress) AppendBinary(dst []byte) ([]byte, error) {
	phase, signal := slices.Index(phases[:], p.Phase), slices.Index(signals[:], p.Signal)
	if phase < 0 || signal < 0 || p.rejects < 0 || p.run < 0 {
		return dst, fmt.Errorf("progress of phase %q and signal %q: %w", p.Phase, p.Signal, errProgress)
	}
	var frozen byte
	if p.frozen {
		frozen = 1
	}
	dst = append(dst, progressVersion, byte(phase), byte(signal), byte(p.rejects), frozen, byte(p.run), flagsOf(&p.Position))
	for _, member := range p.integers() {
		dst = binary.BigEndian.AppendUint64(dst, uint64(*member))
	}
	for _, member := range p.floats() {
		dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(*member))
	}
	return appendOptional(dst, &p.Position), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. It refuses whatever
// AppendBinary does not write, and numbers that no fold arrives at, and then
// leaves p as it was.
func (p *Progress) UnmarshalBinary(b []byte) error {
	if len(b) != ProgressSize || b[0] != progressVersion ||
		int(b[1]) >= len(phases) || int(b[2]) >= len(signals) ||
		b[3] > math.MaxInt8 || b[4] > 1 || b[5] > math.MaxInt8 {
		return errProgress
	}
	q := Progress{
		Phase: phases[b[1]], Signal: signals[b[2]],
		rejects: int8(b[3]), frozen: b[4] == 1, run: int8(b[5]),
		Position: geo.NewPosition(geo.Point{}),
	}
	for i, member := range q.integers() {
		*member = int64(binary.BigEndian.Uint64(b[integersAt+8*i:]))
	}
	for i, member := range q.floats() {
		*member = math.Float64frombits(binary.BigEndian.Uint64(b[floatsAt+8*i:]))
		if math.IsNaN(*member) || math.IsInf(*member, 0) {
			return errProgress
		}
	}
	for _, point := range [...]geo.Point{q.Position.Point, q.track.point, q.tentative.point, q.resting} {
		if !point.InRange() {
			return errProgress
		}
	}
	if !parseOptional(&q.Position, b[6], b[optionalAt:]) {
		return errProgress
	}
	*p = q
	return nil
}
