package tracker

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ronde/geo"
	"ronde/session"
)

// TestDecodeVectors: each frame that a phone may send is understood as the
// vectors say, and each one that it may not send is answered as they say.
func TestDecodeVectors(t *testing.T) {
	for _, v := range vectors(t, "from_agent.json") {
		t.Run(v.Name, func(t *testing.T) {
			var d decoder
			f, err := d.decode(v.bytes(), nil)
			if got := codeOf(t, err); got != v.Error {
				t.Fatalf("error %q, want %q", got, v.Error)
			}
			if v.Decodes == nil {
				if f.kind != 0 || f.pings != nil {
					t.Fatalf("something of the frame is used: %s", wire(&f, nil))
				}
				return
			}
			good, refused := admitted(&f)
			if got, want := canonical(t, wire(&f, good)), canonical(t, v.Decodes); got != want {
				t.Errorf("decodes to\n%s\nwant\n%s", got, want)
			}
			if !slices.Equal(refused, v.Refused) {
				t.Errorf("refused %v, want %v", refused, v.Refused)
			}
		})
	}
}

func codeOf(t *testing.T, err error) string {
	t.Helper()
	var fe *frameError
	if err != nil && !errors.As(err, &fe) {
		t.Fatalf("not one of our errors: %v", err)
	}
	if fe == nil {
		return ""
	}
	return fe.code
}

// admitted parts a frame's pings as a connection does.
func admitted(f *frame) (good []ping, refused []uint64) {
	var gate session.Gate
	for _, p := range f.pings {
		if p.malformed || gate.Admit(&p.Ping) != session.Undecided {
			refused = append(refused, p.Seq)
			continue
		}
		good = append(good, p)
	}
	return good, refused
}

// canonical returns JSON with sorted members and numbers in one spelling.
func canonical(t *testing.T, data []byte) string {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // seq and timestamp have more digits than a float64
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wire writes a decoded frame as a phone would send it, with these pings.
// Whatever decode took from a frame is in it.
func wire(f *frame, pings []ping) []byte {
	names := map[frameKind]string{
		framePings: "pings", frameBegin: "begin", framePause: "pause", frameResume: "resume",
		frameEnd: "end", frameStatus: "status", frameNotice: "notice", frameSOS: "sos",
	}
	b := append([]byte(`{"type":"`), names[f.kind]...)
	b = append(b, '"')
	if f.kind == framePings {
		b = append(b, `,"pings":[`...)
		for i := range pings {
			if i > 0 {
				b = append(b, ',')
			}
			b = wirePing(b, &pings[i])
		}
		b = append(b, ']')
	}
	if f.timestamp != 0 {
		b = strconv.AppendInt(append(b, `,"timestamp":`...), f.timestamp, 10)
	}
	b = wireNumber(b, "battery", f.battery)
	if f.gps != "" {
		b = append(append(append(b, `,"gps":"`...), f.gps...), '"')
	}
	if f.has.version {
		b = strconv.AppendInt(append(b, `,"version":`...), int64(f.version), 10)
	}
	if f.has.active {
		b = strconv.AppendBool(append(b, `,"active":`...), f.active)
	}
	return append(b, '}')
}

// wirePing writes one ping; of a malformed one only its number is to be relied
// on.
func wirePing(b []byte, p *ping) []byte {
	b = strconv.AppendUint(append(b, `{"seq":`...), p.Seq, 10)
	if p.malformed {
		return append(b, '}')
	}
	b = strconv.AppendInt(append(b, `,"timestamp":`...), p.Timestamp, 10)
	b = wireFloat(append(b, `,"latitude":`...), p.Latitude, 64)
	b = wireFloat(append(b, `,"longitude":`...), p.Longitude, 64)
	b = wireNumber(b, "accuracy", p.Accuracy)
	b = wireNumber(b, "altitude", p.Altitude)
	b = wireNumber(b, "heading", p.Heading)
	b = wireNumber(b, "speed", p.Speed)
	b = wireNumber(b, "battery", p.Battery)
	if p.Mock {
		b = append(b, `,"mock":true`...)
	}
	return append(b, '}')
}

func wireNumber(b []byte, name string, v float32) []byte {
	if !geo.Known(v) {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return wireFloat(b, float64(v), 32)
}

// wireFloat writes a number the shortest way, as JavaScript does: 1e-7.
func wireFloat(b []byte, v float64, bits int) []byte {
	s := strconv.FormatFloat(v, 'g', -1, bits)
	return append(b, strings.Replace(s, "e-0", "e-", 1)...)
}

// TestDecodeDepth: a frame may not nest deeper than ten thousand values, and
// one that does costs no more than any other.
func TestDecodeDepth(t *testing.T) {
	nested := func(n int) []byte {
		return []byte(`{"type":"begin","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}
	var d decoder
	if f, err := d.decode(nested(9_999), nil); err != nil || f.kind != frameBegin {
		t.Errorf("depth 10,000: %v", err)
	}
	if _, err := d.decode(nested(10_000), nil); codeOf(t, err) != "invalid_json" {
		t.Errorf("depth 10,001: %v", err)
	}
}

// TestDecodeKeepsNothing: a pooled decoder that failed over one frame reads
// the next one as if it were new.
func TestDecodeKeepsNothing(t *testing.T) {
	var d decoder
	all := vectors(t, "from_agent.json")
	for i := range all {
		if _, err := d.decode(all[i].bytes(), nil); err != nil && !errors.Is(err, errSeq) {
			if codeOf(t, err) != all[i].Error {
				t.Fatalf("%s: %v", all[i].Name, err)
			}
		}
		f, err := d.decode([]byte(`{"type":"notice","version":7}`), nil)
		if err != nil || f.kind != frameNotice || f.version != 7 || f.has.active || f.has.pings || geo.Known(f.battery) {
			t.Fatalf("after %q: %s, %v", all[i].Name, wire(&f, nil), err)
		}
	}
}
