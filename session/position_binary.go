package session

import (
	"encoding/binary"
	"errors"
	"math"

	"ronde/geo"
)

// The binary form of a position, which is what gets sealed. Its size is fixed,
// so that the sealed form does not tell what a phone knows. Big endian:
//
//	 0  version, 1
//	 1  flags: which optional members are present, and whether the fix is mock
//	 2  device time, int64, milliseconds since the epoch
//	10  latitude, int32, 1e-7 degrees
//	14  longitude, int32, 1e-7 degrees
//	18  accuracy, altitude, heading, speed, battery: float32 each, 0 if absent
//
// Every position has exactly one form: what decodes encodes to the same bytes.
const (
	positionVersion = 1
	positionSize    = 18 + 5*4
	positionScale   = 1e7 // about a centimetre on the ground
)

// Flags of the binary form. The bits 0 to 4 say that the optional member of
// that number is present.
const (
	flagOptional = 1<<5 - 1
	flagMock     = 1 << 7
)

var errPosition = errors.New("no binary form of a position")

// appendPosition appends the binary form of p without its Seq. Coordinates are
// rounded half away from zero; impossible ones, which no store accepts, become
// the nearest possible.
func appendPosition(dst []byte, p *Ping) []byte {
	dst = append(dst, positionVersion, flagsOf(&p.Position))
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Timestamp))
	dst = binary.BigEndian.AppendUint32(dst, uint32(scaled(p.Latitude, 90)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(scaled(p.Longitude, 180)))
	return appendOptional(dst, &p.Position)
}

// optional returns the members of a fix that may be absent, by their number.
func optional(fix *geo.Position) [5]*float32 {
	return [...]*float32{&fix.Accuracy, &fix.Altitude, &fix.Heading, &fix.Speed, &fix.Battery}
}

// flagsOf returns the flags of a fix.
func flagsOf(fix *geo.Position) (flags byte) {
	if fix.Mock {
		flags = flagMock
	}
	for i, member := range optional(fix) {
		if geo.Known(*member) {
			flags |= 1 << i
		}
	}
	return flags
}

// appendOptional appends the optional members of a fix, each a float32, 0 if
// absent.
func appendOptional(dst []byte, fix *geo.Position) []byte {
	for _, member := range optional(fix) {
		var bits uint32
		if geo.Known(*member) {
			bits = math.Float32bits(*member)
		}
		dst = binary.BigEndian.AppendUint32(dst, bits)
	}
	return dst
}

// parseOptional fills in the optional members of a fix of which all are
// unknown, and reports whether flags and b are a form that the above write.
func parseOptional(fix *geo.Position, flags byte, b []byte) bool {
	if flags&^(flagOptional|flagMock) != 0 {
		return false
	}
	fix.Mock = flags&flagMock != 0
	for i, member := range optional(fix) {
		bits := binary.BigEndian.Uint32(b[4*i:])
		v := math.Float32frombits(bits)
		switch present := flags&(1<<i) != 0; {
		case present && geo.Known(v):
			*member = v
		case present || bits != 0:
			return false
		}
	}
	return true
}

// scaled returns degrees in units of 1e-7. The conversion of a float that does
// not fit an int32 is undefined, hence the bounds.
func scaled(degrees, limit float64) int32 {
	if math.IsNaN(degrees) {
		return 0
	}
	return int32(math.Round(min(max(degrees, -limit), limit) * positionScale))
}

// asStored returns a fix as reading it from the store would: a node that folds
// what it has just stored and one that reads it later fold the same.
func asStored(fix *geo.Position, speed bool) geo.Position {
	p := *fix
	p.Latitude = float64(scaled(fix.Latitude, 90)) / positionScale
	p.Longitude = float64(scaled(fix.Longitude, 180)) / positionScale
	if !speed {
		p.Speed = geo.Unknown
	}
	return p
}

// parsePosition returns the position whose binary form b is.
func parsePosition(b []byte) (Ping, error) {
	if len(b) != positionSize || b[0] != positionVersion {
		return Ping{}, errPosition
	}
	// Division, unlike multiplication by 1e-7, gives the float64 nearest to
	// the seven decimals, which prints as them.
	p := Ping{Timestamp: int64(binary.BigEndian.Uint64(b[2:])), Position: geo.NewPosition(geo.Point{
		Latitude:  float64(int32(binary.BigEndian.Uint32(b[10:]))) / positionScale,
		Longitude: float64(int32(binary.BigEndian.Uint32(b[14:]))) / positionScale,
	})}
	if !p.InRange() || !parseOptional(&p.Position, b[1], b[18:]) {
		return Ping{}, errPosition
	}
	return p, nil
}
