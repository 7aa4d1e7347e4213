package web

import (
	"encoding/xml"
	"strconv"
	"time"

	"ronde/geo"
	"ronde/session"
)

const (
	gpxType = "application/gpx+xml"
	// gpxExtra is the namespace of what GPX itself has no element for. It is a
	// name and leads nowhere.
	gpxExtra = "urn:ronde:position:1"
	gpxTime  = "2006-01-02T15:04:05.000Z"
)

// gpxExport writes an export as GPX 1.1: one trk a mission with positions or a
// track that is gone, one trkseg a window. Of who did what it says nothing.
type gpxExport struct {
	w      *chunks
	window int // the segment that is open, by its place in Windows; -1: none
}

func (*gpxExport) contentType() string { return gpxType }
func (*gpxExport) extension() string   { return ".gpx" }

func (e *gpxExport) open(agent string, at time.Time, _ []session.Acknowledgement) error {
	e.put(xml.Header, `<gpx version="1.1" creator="Ronde" xmlns="http://www.topografix.com/GPX/1/1" xmlns:r="`, gpxExtra, "\">\n<metadata><name>")
	e.text(agent)
	e.put("</name><time>", at.UTC().Format(gpxTime), "</time></metadata>\n")
	return e.failure()
}

func (e *gpxExport) mission(p *session.Part) error {
	e.window = -1
	e.put("<trk><name>")
	e.text(p.Mission.Reference)
	e.put("</name>")
	if p.Track == session.TrackGone && len(p.Holds) == 0 {
		e.put("<desc>The track has expired, and its key is destroyed.</desc>")
	}
	e.put("<extensions><r:mission>", p.Mission.ID.String())
	e.put("</r:mission></extensions>\n")
	return e.failure()
}

func (e *gpxExport) fixes(p *session.Part, page []session.Fix) error {
	for i := range page {
		f := &page[i]
		if w := windowOf(p.Windows, f.At); w != e.window || e.window < 0 {
			e.endSegment()
			e.window = w
			e.put("<trkseg>\n")
		}
		e.point(f)
	}
	return e.failure()
}

// windowOf returns the place of the window that holds a time. A position of one
// that opened after the mission was read counts as of the one after the last.
func windowOf(windows []session.Window, at time.Time) int {
	for i, w := range windows {
		if w.Closed.IsZero() || at.Before(w.Closed) {
			return i
		}
	}
	return len(windows)
}

// point writes a position: the elements of GPX in the order that its schema
// wants, and in extensions what it has none for.
func (e *gpxExport) point(f *session.Fix) {
	e.put(`<trkpt lat="`, sevenDecimals(f.Latitude), `" lon="`, sevenDecimals(f.Longitude), `">`)
	if geo.Known(f.Altitude) {
		e.put("<ele>", number(f.Altitude), "</ele>")
	}
	e.put("<time>", f.At.UTC().Format(gpxTime), "</time><extensions>")
	e.put("<r:device_timestamp>", strconv.FormatInt(f.Timestamp, 10), "</r:device_timestamp>")
	for _, m := range []struct {
		name  string
		value float32
	}{{"accuracy", f.Accuracy}, {"heading", f.Heading}, {"speed", f.Speed}, {"battery", f.Battery}} {
		if geo.Known(m.value) {
			e.put("<r:", m.name, ">", number(m.value), "</r:", m.name, ">")
		}
	}
	if f.Mock {
		e.put("<r:mock>true</r:mock>")
	}
	e.put("</extensions></trkpt>\n")
}

func (e *gpxExport) endSegment() {
	if e.window >= 0 {
		e.put("</trkseg>\n")
	}
}

func (e *gpxExport) leave(accessPages) error {
	e.endSegment()
	e.put("</trk>\n")
	return e.failure()
}

func (e *gpxExport) close(accessPages) error {
	e.put("</gpx>\n")
	return e.failure()
}

// put writes parts as they are.
func (e *gpxExport) put(parts ...string) {
	for _, part := range parts {
		_, _ = e.w.WriteString(part) // failure tells
	}
}

// text writes what people wrote.
func (e *gpxExport) text(s string) { _ = xml.EscapeText(e.w, []byte(s)) }

// failure returns the first error of writing, which the writer keeps.
func (e *gpxExport) failure() error {
	_, err := e.w.Write(nil)
	return err
}

func sevenDecimals(d float64) string { return strconv.FormatFloat(d, 'f', 7, 64) }
func number(v float32) string        { return strconv.FormatFloat(float64(v), 'f', -1, 32) }
