package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"ronde/geo"
)

const (
	gpx10 = `<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.0" xmlns="http://www.topografix.com/GPX/1/0"><time>2010-10-04T05:13:19Z</time>
<wpt lat="1" lon="1"><time>2010-10-04T05:13:19Z</time></wpt><rte><rtept lat="2" lon="2"/></rte>
<trk><trkseg></trkseg></trk>
<trk><name>#2</name><trkseg><trkpt lat=" 45.5 " lon="-14.25"><ele>12.5</ele></trkpt></trkseg>
<trkseg><trkpt lat="91" lon="400"><time> 2010-10-03T09:36:30Z </time><course>87.5</course><speed>1.4</speed></trkpt></trkseg></trk></gpx>`
	gpx11 = `<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1" xmlns:g="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">
<metadata><bounds minlat="0" minlon="0" maxlat="1" maxlon="1"/></metadata>
<trk><trkseg><trkpt lon="2.421693" lat="48.836973"><time>2021-07-16T11:47:36.250+02:00</time>
<extensions><g:TrackPointExtension><g:speed>3</g:speed><ele>9</ele></g:TrackPointExtension></extensions><ele/></trkpt></trkseg></trk></gpx>`
	gpxBare = `<gpx><trk><trkseg><trkpt lat="1" lon="2"><time>2021-07-16T09:48:24</time></trkpt><trkpt lat="0" lon="0"></trkpt></trkseg></trk></gpx>`
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestGPX(t *testing.T) {
	full := geo.NewPosition(geo.Point{Latitude: 91, Longitude: 400}) // out of range is not for a reader to judge
	full.Heading, full.Speed = 87.5, 1.4
	high := geo.NewPosition(geo.Point{Latitude: 45.5, Longitude: -14.25})
	high.Altitude = 12.5
	tests := []struct {
		name, gpx string
		want      []point
	}{
		{"1.0", gpx10, []point{
			{Position: high},
			{Position: full, Time: at(t, "2010-10-03T09:36:30Z")},
		}},
		{"1.1", gpx11, []point{
			{Position: geo.NewPosition(geo.Point{Latitude: 48.836973, Longitude: 2.421693}), Time: at(t, "2021-07-16T09:47:36.25Z")},
		}},
		{"neither", gpxBare, []point{
			{Position: geo.NewPosition(geo.Point{Latitude: 1, Longitude: 2}), Time: at(t, "2021-07-16T09:48:24Z")},
			{Position: geo.NewPosition(geo.Point{})},
		}},
		{"no track", `<gpx></gpx>`, nil},
		{"byte order mark, comments, CDATA", "\ufeff<!-- a --><gpx><trkseg><trkpt lat='1' lon='2'><time><!-- b --><![CDATA[2021-07-16T09:48:24Z]]></time></trkpt></trkseg></gpx>", []point{
			{Position: geo.NewPosition(geo.Point{Latitude: 1, Longitude: 2}), Time: at(t, "2021-07-16T09:48:24Z")},
		}},
		{"another namespace's points", `<gpx xmlns:o="other"><trkseg><o:trkpt lat="1" lon="2"/></trkseg></gpx>`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGPXReader(iotest.OneByteReader(strings.NewReader(tt.gpx)))
			var got []point
			p, err := g.Next()
			for ; err == nil; p, err = g.Next() {
				got = append(got, p)
			}
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if fmt.Sprintf("%+v", inUTC(got)) != fmt.Sprintf("%+v", inUTC(tt.want)) { // NaN is not equal to itself, but its text is
				t.Errorf("got  %+v\nwant %+v", inUTC(got), inUTC(tt.want))
			}
		})
	}
}

func inUTC(points []point) []point {
	for i := range points {
		points[i].Time = points[i].Time.UTC()
	}
	return points
}

func TestGPXRefuses(t *testing.T) {
	inPoint := func(s string) string {
		return `<gpx><trk><trkseg><trkpt lat="1" lon="2">` + s + `</trkpt></trkseg></trk></gpx>`
	}
	lol := `<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol1 "&lol;&lol;">]>`
	tests := []struct {
		name, gpx string
		want      error // nil: any
	}{
		{"empty", "", errGPXRoot},
		{"blank", " \n", errGPXRoot},
		{"another root", `<kml></kml>`, errGPXRoot},
		{"two roots", `<gpx></gpx><gpx></gpx>`, errGPXRoot},
		{"no XML", `{"gpx":1}`, errGPXRoot},
		{"document type", `<!DOCTYPE gpx><gpx></gpx>`, errGPXDoctype},
		{"external entity", `<!DOCTYPE gpx [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + inPoint(`<time>&x;</time>`), errGPXDoctype},
		{"billion laughs", lol + inPoint(`<time>&lol1;</time>`), errGPXDoctype},
		{"document type inside", `<gpx>` + lol + `</gpx>`, errGPXDoctype},
		{"unknown entity", inPoint(`<time>&lol;</time>`), nil},
		{"cut off", `<gpx><trk><trkseg><trkpt lat="1" lon="2"><time>2021-`, nil},
		{"cut off between points", `<gpx><trk><trkseg><trkpt lat="1" lon="2"/>`, nil},
		{"wrong nesting", `<gpx><trk></gpx></trk>`, nil},
		{"bad UTF-8", inPoint("<name>\xff</name>"), nil},
		{"control character", inPoint("<name>\x01</name>"), nil},
		{"another encoding", `<?xml version="1.0" encoding="UTF-16"?><gpx></gpx>`, nil},
		{"too deep", `<gpx>` + strings.Repeat("<a>", maxGPXDepth), errGPXTooLarge},
		{"too deep in a point", `<gpx><trkpt lat="1" lon="2">` + strings.Repeat("<a>", maxGPXDepth), errGPXTooLarge},
		{"no latitude", `<gpx><trkpt lon="1"/></gpx>`, errGPXPoint},
		{"no longitude", `<gpx><trkpt lat="1"/></gpx>`, errGPXPoint},
		{"latitude of another namespace", `<gpx xmlns:o="o"><trkpt o:lat="1" lon="1"/></gpx>`, errGPXPoint},
		{"words for a number", `<gpx><trkpt lat="north" lon="1"/></gpx>`, errGPXPoint},
		{"comma", `<gpx><trkpt lat="48,8" lon="1"/></gpx>`, errGPXPoint},
		{"NaN", `<gpx><trkpt lat="NaN" lon="1"/></gpx>`, errGPXPoint},
		{"infinity", `<gpx><trkpt lat="1" lon="Inf"/></gpx>`, errGPXPoint},
		{"overflow", `<gpx><trkpt lat="1e999" lon="1"/></gpx>`, errGPXPoint},
		{"hexadecimal", `<gpx><trkpt lat="0x1p-2" lon="1"/></gpx>`, errGPXPoint},
		{"elevation", inPoint(`<ele>high</ele>`), errGPXPoint},
		{"time", inPoint(`<time>yesterday</time>`), errGPXPoint},
		{"time with a day that is none", inPoint(`<time>2021-02-30T00:00:00Z</time>`), errGPXPoint},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readGPX(strings.NewReader(tt.gpx))
			if err == nil || (tt.want != nil && !errors.Is(err, tt.want)) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if !strings.HasPrefix(err.Error(), "line 1: ") && !strings.HasPrefix(err.Error(), "line 2: ") {
				t.Errorf("%q does not name the line", err)
			}
		})
	}
}

// endless is a GPX file that never ends.
type endless struct{ head, body string }

func (e *endless) Read(b []byte) (int, error) {
	if e.head != "" {
		n := copy(b, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	return copy(b, e.body), nil
}

func TestGPXIsBounded(t *testing.T) {
	for name, file := range map[string]*endless{
		"points":     {`<gpx><trk><trkseg>`, `<trkpt lat="1" lon="2"/>`},
		"text":       {`<gpx><trk><name>`, strings.Repeat("a", 4096)},
		"whitespace": {`<gpx>`, strings.Repeat(" ", 4096)},
		"attribute":  {`<gpx a="`, strings.Repeat("a", 4096)},
		"time":       {`<gpx><trkpt lat="1" lon="2"><time>`, strings.Repeat(" ", 4096)},
		"doctype":    {`<!DOCTYPE `, strings.Repeat(" ", 4096)},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGPXReader(file)
			if name == "points" {
				g.points = maxGPXPoints - 5 // the first million is long
			} else {
				g.input.N = 1 << 20 // and so are 64 MiB
			}
			n := 0
			_, err := g.Next()
			for ; err == nil; _, err = g.Next() {
				n++
			}
			if !errors.Is(err, errGPXTooLarge) || n > 5 {
				t.Errorf("got %v after %d points", err, n)
			}
		})
	}
	if g := newGPXReader(strings.NewReader("")); g.input.N != maxGPXBytes+1 {
		t.Errorf("a reader takes %d bytes", g.input.N)
	}
}

// A reader asked for one point reads no further than it must.
func TestGPXStreams(t *testing.T) {
	file := io.MultiReader(strings.NewReader(`<gpx><trkseg><trkpt lat="1" lon="2"/>`), iotest.ErrReader(errors.New("read too far")))
	g := newGPXReader(iotest.OneByteReader(file))
	if p, err := g.Next(); err != nil || p.Latitude != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
}

// Whatever the bytes: the reader ends, never panics, and every point it gives could be sent.
func FuzzGPX(f *testing.F) {
	for _, s := range []string{gpx10, gpx11, gpxBare, `<!DOCTYPE gpx [<!ENTITY x "y">]><gpx>&x;</gpx>`, `<gpx><trkpt lat="1" lon="2"><time>`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		points, err := readGPX(bytes.NewReader(data))
		if err != nil && points != nil {
			t.Error("points beside an error")
		}
		for _, p := range points {
			if !finiteNumber(p.Latitude) || !finiteNumber(p.Longitude) {
				t.Errorf("unusable point %+v", p)
			}
		}
		again, err2 := readGPX(iotest.HalfReader(bytes.NewReader(data)))
		if len(again) != len(points) || (err == nil) != (err2 == nil) {
			t.Errorf("read in pieces, the file has %d points (%v) and not %d (%v)", len(again), err2, len(points), err)
		}
	})
}

func finiteNumber(v float64) bool { return v-v == 0 }
