package session

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"ronde/geo"
)

func TestPositionRounding(t *testing.T) {
	for _, c := range []struct{ in, want float64 }{
		{48.8466, 48.8466}, {-2.4167, -2.4167}, {0, 0}, {math.Copysign(0, -1), 0},
		{89.99999996, 90}, {-89.99999996, -90}, {1.00000005, 1.0000001}, {-1.00000005, -1.0000001},
		{1.000000049, 1}, {12.3456789, 12.3456789}, {12.34567894999, 12.3456789},
		// Impossible values, which no store accepts, still give a position.
		{math.NaN(), 0}, {math.Inf(1), 90}, {-1e300, -90}, {91, 90},
	} {
		p := Ping{Position: geo.NewPosition(geo.Point{Latitude: c.in})}
		got, err := parsePosition(appendPosition(nil, &p))
		if err != nil || got.Latitude != c.want || math.Signbit(got.Latitude) != (c.want < 0) {
			t.Errorf("latitude %v became %v (%v), want %v", c.in, got.Latitude, err, c.want)
		}
	}
	p := Ping{Position: geo.NewPosition(geo.Point{Longitude: -180})}
	if got, err := parsePosition(appendPosition(nil, &p)); err != nil || got.Longitude != -180 {
		t.Errorf("longitude -180 became %v (%v)", got.Longitude, err)
	}
}

func TestPositionRefuses(t *testing.T) {
	p := Ping{Position: geo.NewPosition(geo.Point{Latitude: 48, Longitude: 2})}
	p.Accuracy = 5
	good := appendPosition(nil, &p)
	if _, err := parsePosition(good); err != nil || len(good) != positionSize {
		t.Fatalf("%d bytes: %v", len(good), err)
	}
	for name, change := range map[string]func(b []byte) []byte{
		"empty":             func([]byte) []byte { return nil },
		"short":             func(b []byte) []byte { return b[:len(b)-1] },
		"long":              func(b []byte) []byte { return append(b, 0) },
		"version 0":         func(b []byte) []byte { b[0] = 0; return b },
		"version 2":         func(b []byte) []byte { b[0] = 2; return b },
		"unknown flag":      func(b []byte) []byte { b[1] |= 1 << 5; return b },
		"latitude 100":      func(b []byte) []byte { binary.BigEndian.PutUint32(b[10:], 100e7); return b },
		"longitude -181":    func(b []byte) []byte { binary.BigEndian.PutUint32(b[14:], 1<<32-181e7); return b },
		"absent, not zero":  func(b []byte) []byte { b[37] = 1; return b },
		"present, no value": func(b []byte) []byte { copy(b[18:], []byte{0x7f, 0xc0, 0, 0}); return b },
	} {
		if got, err := parsePosition(change(bytes.Clone(good))); err == nil {
			t.Errorf("%s: parsed as %+v", name, got)
		}
	}
}

// FuzzPosition: every position has exactly one binary form.
func FuzzPosition(f *testing.F) {
	whole := Ping{Timestamp: 1795255200250, Position: geo.Position{
		Point:    geo.Point{Latitude: 48.8466, Longitude: -2.4167},
		Accuracy: 6.5, Altitude: 61.2, Heading: 87.5, Speed: 1.4, Battery: 0.81, Mock: true,
	}}
	bare := Ping{Timestamp: -1, Position: geo.NewPosition(geo.Point{Latitude: -90, Longitude: 180})}
	f.Add(appendPosition(nil, &whole))
	f.Add(appendPosition(nil, &bare))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePosition(b)
		if err != nil {
			return
		}
		if again := appendPosition(nil, &p); !bytes.Equal(again, b) {
			t.Errorf("%x parsed as %+v, which encodes as %x", b, p, again)
		}
	})
}
