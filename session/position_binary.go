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
	optional := [...]float32{p.Accuracy, p.Altitude, p.Heading, p.Speed, p.Battery}
	var flags byte
	if p.Mock {
		flags = flagMock
	}
	for i, v := range optional {
		if geo.Known(v) {
			flags |= 1 << i
		} else {
			optional[i] = 0
		}
	}
	dst = append(dst, positionVersion, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.Timestamp))
	dst = binary.BigEndian.AppendUint32(dst, uint32(scaled(p.Latitude, 90)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(scaled(p.Longitude, 180)))
	for _, v := range optional {
		dst = binary.BigEndian.AppendUint32(dst, math.Float32bits(v))
	}
	return dst
}

// scaled returns degrees in units of 1e-7. The conversion of a float that does
// not fit an int32 is undefined, hence the bounds.
func scaled(degrees, limit float64) int32 {
	if math.IsNaN(degrees) {
		return 0
	}
	return int32(math.Round(min(max(degrees, -limit), limit) * positionScale))
}

// parsePosition returns the position whose binary form b is.
func parsePosition(b []byte) (Ping, error) {
	if len(b) != positionSize || b[0] != positionVersion || b[1]&^(flagOptional|flagMock) != 0 {
		return Ping{}, errPosition
	}
	// Division, unlike multiplication by 1e-7, gives the float64 nearest to
	// the seven decimals, which prints as them.
	p := Ping{Timestamp: int64(binary.BigEndian.Uint64(b[2:])), Position: geo.NewPosition(geo.Point{
		Latitude:  float64(int32(binary.BigEndian.Uint32(b[10:]))) / positionScale,
		Longitude: float64(int32(binary.BigEndian.Uint32(b[14:]))) / positionScale,
	})}
	if !p.InRange() {
		return Ping{}, errPosition
	}
	p.Mock = b[1]&flagMock != 0
	for i, member := range [...]*float32{&p.Accuracy, &p.Altitude, &p.Heading, &p.Speed, &p.Battery} {
		bits := binary.BigEndian.Uint32(b[18+4*i:])
		v := math.Float32frombits(bits)
		switch present := b[1]&(1<<i) != 0; {
		case present && geo.Known(v):
			*member = v
		case present || bits != 0:
			return Ping{}, errPosition
		}
	}
	return p, nil
}
