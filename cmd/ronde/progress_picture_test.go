package main

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ronde/geo"
	"ronde/session"
)

var pictures = flag.String("pictures", "", "draw the recorded traces as SVG into this folder")

// phaseColours are those of the filtered path.
var phaseColours = map[session.Phase]string{session.EnRoute: "#2563eb", session.Arriving: "#d97706", session.OnSite: "#16a34a", session.Left: "#7c3aed"}

// picture draws what progress makes of a trace: the fixes grey, those not used red, the filtered path in the colour of
// the phase, the site green. North is up; a pixel is so many metres.
type picture struct {
	bytes.Buffer
	origin geo.Point
	metres float64
	height float64
}

func (p *picture) at(q geo.Point) (x, y float64) {
	east, north := p.origin.Offset(q)
	return east / p.metres, p.height - north/p.metres
}

func (p *picture) dot(q geo.Point, radius float64, colour string) {
	x, y := p.at(q)
	fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s"/>`+"\n", x, y, radius, colour)
}

func (p *picture) line(a, b geo.Point, colour string) {
	x1, y1 := p.at(a)
	x2, y2 := p.at(b)
	fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="2"/>`+"\n", x1, y1, x2, y2, colour)
}

// newPicture fits the points into a square of 1,000 pixels.
func newPicture(points []point) *picture {
	south, north, west, east := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, q := range points {
		south, north = min(south, q.Latitude), max(north, q.Latitude)
		west, east = min(west, q.Longitude), max(east, q.Longitude)
	}
	p := &picture{origin: geo.Point{Latitude: south, Longitude: west}}
	width, height := p.origin.Offset(geo.Point{Latitude: north, Longitude: east})
	p.metres = max(width, height, 1) / 1000
	p.height = height / p.metres
	fmt.Fprintf(p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-20 -20 1040 %.0f"><rect x="-20" y="-20" width="1040" height="100%%" fill="white"/>`+"\n", p.height+40)
	return p
}

func drawTrace(m *session.Mission, points []point) []byte {
	p := newPicture(points)
	x, y := p.at(m.Site.Center)
	fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="#16a34a33" stroke="#16a34a"/>`+"\n", x, y, m.Site.RadiusM/p.metres)
	var last geo.Point
	used := int64(0)
	foldTrace(m, points, func(q point, progress *session.Progress) {
		if progress.Counts.Used == used {
			p.dot(q.Point, 3, "#dc2626")
			return
		}
		p.dot(q.Point, 2, "#9ca3af")
		here, _ := progress.Estimated()
		if used > 0 {
			p.line(last, here, phaseColours[progress.Phase])
		}
		used, last = progress.Counts.Used, here
	})
	p.WriteString("</svg>\n")
	return p.Bytes()
}

// TestPictures draws each trace with a site at its end, to be looked at.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("no folder for pictures (-pictures)")
	}
	for _, facts := range traces {
		points := loadTrace(t, facts.name).Timed()
		svg := drawTrace(missionAt(points[len(points)-1].Point, 80), points)
		path := filepath.Join(*pictures, strings.TrimSuffix(facts.name, filepath.Ext(facts.name))+".svg")
		if err := os.WriteFile(path, svg, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Log(path)
	}
}
