package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"ronde/geo"
)

// The binary form of a Progress, in which it travels between nodes. Unlike that
// of a stored position it is exact: a node that takes an agent over folds on as
// if it had folded all along. Its size is fixed. Big endian:
//
//	 0  version, 1
//	 1  phase, by its place in phases
//	 2  signal, by its place in signals
//	 3  fixes in a row that say the agent left the site
//	 4  flags: which optional members are present, and whether the fix is mock
//	 5  version of the progress, int64
//	13  timestamp, int64, milliseconds since the epoch
//	21  latitude, float64, degrees
//	29  longitude, float64, degrees
//	37  accuracy, altitude, heading, speed, battery: float32 each, 0 if absent
//
// Every Progress has exactly one form: what decodes encodes to the same bytes.
const (
	progressVersion = 1
	// ProgressSize is the size of the binary form of a Progress, in bytes.
	ProgressSize = 37 + 5*4
)

// Places in these lists are on the wire: add at the end.
var (
	phases  = [...]Phase{"", EnRoute, Arriving, OnSite, Left}
	signals = [...]Signal{"", Live, Stationary, Lost, OnBreak}
)

var errProgress = errors.New("no binary form of a progress")

// AppendBinary implements encoding.BinaryAppender: it appends ProgressSize
// bytes. It fails on a phase or signal that is none of this package's.
func (p *Progress) AppendBinary(dst []byte) ([]byte, error) {
	phase, signal := slices.Index(phases[:], p.Phase), slices.Index(signals[:], p.Signal)
	if phase < 0 || signal < 0 || p.away < 0 {
		return dst, fmt.Errorf("progress of phase %q and signal %q: %w", p.Phase, p.Signal, errProgress)
	}
	fix := &p.Position
	dst = append(dst, progressVersion, byte(phase), byte(signal), byte(p.away), flagsOf(fix))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Version))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Timestamp))
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(fix.Latitude))
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(fix.Longitude))
	return appendOptional(dst, fix), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. It refuses whatever
// AppendBinary does not write, and then leaves p as it was.
func (p *Progress) UnmarshalBinary(b []byte) error {
	if len(b) != ProgressSize || b[0] != progressVersion ||
		int(b[1]) >= len(phases) || int(b[2]) >= len(signals) || b[3] > math.MaxInt8 {
		return errProgress
	}
	q := Progress{
		Phase: phases[b[1]], Signal: signals[b[2]], away: int8(b[3]),
		Version:   int64(binary.BigEndian.Uint64(b[5:])),
		Timestamp: int64(binary.BigEndian.Uint64(b[13:])),
		Position: geo.NewPosition(geo.Point{
			Latitude:  math.Float64frombits(binary.BigEndian.Uint64(b[21:])),
			Longitude: math.Float64frombits(binary.BigEndian.Uint64(b[29:])),
		}),
	}
	if !q.Position.InRange() || !parseOptional(&q.Position, b[4], b[37:]) {
		return errProgress
	}
	*p = q
	return nil
}
