package tracker

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"ronde/geo"
	"ronde/session"
)

// FuzzDecode feeds the decoder whatever a phone could send. Nothing makes it
// panic; nothing that is no JSON gets through; what gets through is within its
// bounds and survives being written and read again.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors(f, "from_agent.json") {
		f.Add(v.bytes())
	}
	f.Add(framesOf(maxBatch))
	f.Add([]byte(strings.Repeat("[", 10_001)))
	f.Add([]byte(`{"type":"begin","x":` + strings.Repeat(`{"x":`, 10_001)))
	f.Add([]byte(`{"lat":1,"LAT":2,"type":"pings","pings":[{"ſeq":1,"seq":2}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d decoder
		frame, err := d.decode(data, nil)
		if err != nil && !errors.Is(err, errSeq) {
			if codeOf(t, err) == "" || frame.kind != 0 {
				t.Fatalf("error %v with a frame of kind %d", err, frame.kind)
			}
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("accepted, and is no JSON: %q", data)
		}
		if len(frame.pings) > maxBatch {
			t.Fatalf("%d pings", len(frame.pings))
		}
		for _, p := range frame.pings {
			if p.Seq < 1 || p.Seq > maxSeq {
				t.Fatalf("seq %d", p.Seq)
			}
		}
		written := wire(&frame, frame.pings)
		again, err := d.decode(written, nil)
		if err != nil {
			t.Fatalf("%q\nwas accepted, and then not as\n%s\n%v", data, written, err)
		}
		if second := wire(&again, again.pings); string(second) != string(written) {
			t.Fatalf("%q\ndecodes to\n%s\nand that to\n%s", data, written, second)
		}
	})
}

// FuzzAppendAgent renders what viewers are shown. Whatever the values, the
// result is JSON that says the same.
func FuzzAppendAgent(f *testing.F) {
	f.Add("A1", int64(42), int64(1795255200250), 48.8466, 2.4167, float32(6.5), float32(87.5), 1234.5)
	f.Add("\x00\"\\\u2028\x7f\xff", int64(-1), int64(0), math.Copysign(0, -1), 180.0, float32(math.NaN()), float32(0), 0.0)
	f.Add(`a"b`, int64(1), int64(1), 1.0, 1.0, float32(1), float32(1), 1.0)
	f.Add(`a\b`, int64(1), int64(1), 1.0, 1.0, float32(1), float32(1), 1.0)
	f.Add("é", int64(math.MaxInt64), int64(1), -90.0, 1e-8, float32(1e-7), float32(360), 2e7)
	f.Fuzz(func(t *testing.T, alias string, version, timestamp int64, latitude, longitude float64, accuracy, heading float32, distance float64) {
		p := geo.NewPosition(geo.Point{Latitude: latitude, Longitude: longitude})
		p.Accuracy, p.Heading = accuracy, heading
		if !p.Valid() || !(distance >= 0 && distance < 1e9) {
			t.Skip("the gate lets nothing of the kind in")
		}
		seen := session.Seen{Shown: true, DistanceM: distance}
		seen.Progress = session.Progress{Phase: session.EnRoute, Signal: session.Live, Timestamp: timestamp, Position: p}
		var got struct {
			Alias    string
			Version  int64
			Position struct{ Latitude, Longitude float64 }
		}
		b := appendAgent(nil, alias, version, &seen)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if utf8.ValidString(alias) && got.Alias != alias || got.Version != version {
			t.Fatalf("%s says alias %q, version %d", b, got.Alias, got.Version)
		}
		if math.Abs(got.Position.Latitude-latitude) > 5.1e-8 || math.Abs(got.Position.Longitude-longitude) > 5.1e-8 {
			t.Fatalf("%s is not %v, %v", b, latitude, longitude)
		}
	})
}
