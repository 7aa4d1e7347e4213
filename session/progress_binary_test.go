package session

import (
	"bytes"
	"encoding"
	"fmt"
	"math"
	"reflect"
	"testing"

	"ronde/geo"
)

var (
	_ encoding.BinaryAppender    = (*Progress)(nil)
	_ encoding.BinaryUnmarshaler = (*Progress)(nil)
)

// fullProgress is a progress of which no member is zero.
func fullProgress() Progress {
	full := estimate{at: 1, point: geo.Point{Latitude: 2, Longitude: 3}, east: 4, north: 5, pp: 6, pv: 7, vv: 8}
	return Progress{
		Version: math.MaxInt64, Phase: OnSite, Signal: Stationary, Timestamp: 1795255200250,
		Latest: 1795255200251, ArrivedAt: 1, LeftAt: 2, Counts: Counts{Used: 1, Imprecise: 2, Jumps: 3, Frozen: 4, Mock: 5, Late: 6},
		track: full, tentative: full, rejects: 1, frozen: true, step: 0.5, run: 1, since: 3, onSite: 4,
		resting: full.point, restingAt: 5, journey: journey{distance: 1, watched: 2, speed: 3, closing: 4}, straight: 6,
		Position: geo.Position{
			Point:    geo.Point{Latitude: math.Nextafter(48.8466, 0), Longitude: -2.4167},
			Accuracy: 6.5, Altitude: -61.2, Heading: 87.5, Speed: 1.4, Battery: 0.81, Mock: true,
		},
	}
}

func encoded(tb testing.TB, p *Progress) []byte {
	tb.Helper()
	b, err := p.AppendBinary(nil)
	if err != nil || len(b) != ProgressSize {
		tb.Fatalf("%+v: %d bytes, %v", p, len(b), err)
	}
	return b
}

// TestProgressBinaryIsComplete: every member travels. Whoever adds one to
// Progress or Position has to add it to the example, and then to the form.
func TestProgressBinaryIsComplete(t *testing.T) {
	full := fullProgress()
	var check func(path string, v reflect.Value)
	check = func(path string, v reflect.Value) {
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				check(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
			return
		}
		if v.IsZero() {
			t.Errorf("%s is zero in the example", path)
		}
	}
	check("Progress", reflect.ValueOf(full))
	var got Progress
	if err := got.UnmarshalBinary(encoded(t, &full)); err != nil || got != full {
		t.Errorf("%+v came back as %+v, %v", full, got, err)
	}
}

// TestProgressBinaryIsExact: what a fold remembers goes on elsewhere as if it
// had been there all along, unknown members and odd numbers included.
func TestProgressBinaryIsExact(t *testing.T) {
	var zero, bare, edge Progress
	bare.Position = geo.NewPosition(geo.Point{Latitude: -90, Longitude: math.Nextafter(180, 0)})
	bare.Phase, bare.Signal, bare.Version, bare.Timestamp = Left, OnBreak, math.MinInt64, -1
	edge.Position = geo.NewPosition(geo.Point{Latitude: math.Copysign(0, -1), Longitude: math.SmallestNonzeroFloat64})
	edge.Position.Heading = float32(math.Inf(1))
	edge.run, edge.rejects = math.MaxInt8, math.MaxInt8
	for _, p := range []Progress{zero, bare, edge} {
		b := encoded(t, &p)
		got := fullProgress()
		if err := got.UnmarshalBinary(b); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
		// As text, because an unknown member differs from itself.
		if a, b := fmt.Sprintf("%+v", p), fmt.Sprintf("%+v", got); a != b {
			t.Errorf("%s came back as %s", a, b)
		}
		if math.Signbit(got.Position.Latitude) != math.Signbit(p.Position.Latitude) {
			t.Errorf("%+v lost its sign", p)
		}
	}
}

func TestProgressBinaryRefuses(t *testing.T) {
	full := fullProgress()
	full.Position.Speed = geo.Unknown
	good := encoded(t, &full)
	put := func(at int, what ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], what); return b }
	}
	for name, change := range map[string]func([]byte) []byte{
		"empty":             func([]byte) []byte { return nil },
		"short":             func(b []byte) []byte { return b[:len(b)-1] },
		"long":              func(b []byte) []byte { return append(b, 0) },
		"version 0":         put(0, 0),
		"version 1":         put(0, 1),
		"version 3":         put(0, 3),
		"unknown phase":     put(1, byte(len(phases))),
		"unknown signal":    put(2, byte(len(signals))),
		"negative rejects":  put(3, 0x80),
		"half frozen":       put(4, 2),
		"negative run":      put(5, 0x80),
		"unknown flag":      put(6, good[6]|1<<5),
		"latitude NaN":      put(floatsAt, 0x7f, 0xf8),
		"longitude inf":     put(floatsAt+8, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0),
		"latitude 91":       put(floatsAt, 0x40, 0x56, 0xc0),
		"velocity NaN":      put(floatsAt+8*6, 0x7f, 0xf8),
		"track off globe":   put(floatsAt+8*4, 0x40, 0x56, 0xc0),
		"absent, not zero":  put(optionalAt+12, 1),
		"present, no value": put(optionalAt, 0x7f, 0xc0, 0, 0),
	} {
		got := fullProgress()
		if err := got.UnmarshalBinary(change(bytes.Clone(good))); err == nil {
			t.Errorf("%s: decoded as %+v", name, got)
		} else if got != fullProgress() {
			t.Errorf("%s: refused and changed to %+v", name, got)
		}
	}
	for _, p := range []Progress{{Phase: "gone"}, {Signal: "loud"}, {run: -1}, {rejects: -1}} {
		if b, err := p.AppendBinary([]byte("x")); err == nil || string(b) != "x" {
			t.Errorf("%+v encodes as %x, %v", p, b, err)
		}
	}
}

// FuzzProgress: every progress has exactly one binary form.
func FuzzProgress(f *testing.F) {
	full, bare := fullProgress(), Progress{Position: geo.NewPosition(geo.Point{Latitude: 90})}
	f.Add(encoded(f, &full))
	f.Add(encoded(f, &bare))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Progress
		if p.UnmarshalBinary(b) != nil {
			return
		}
		if again := encoded(t, &p); !bytes.Equal(again, b) {
			t.Errorf("%x decoded as %+v, which encodes as %x", b, p, again)
		}
	})
}
