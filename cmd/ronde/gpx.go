package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"ronde/geo"
)

// Bounds of a GPX file. A day at one point a second is some 13 MB, 2 levels below the root being the deepest that a
// point needs; the rest is room for other people's extensions.
const (
	maxGPXBytes  = 64 << 20
	maxGPXDepth  = 32
	maxGPXPoints = 1 << 20
)

// Errors of a GPX file; those that say where wrap one of them or a syntax error of encoding/xml.
var (
	errGPXTooLarge = errors.New("the file is larger than 64 MiB, has over a million points or is nested too deeply")
	errGPXDoctype  = errors.New("a document type is declared; GPX has none, and entities are not followed")
	errGPXRoot     = errors.New("the file is not one gpx element")
	errGPXPoint    = errors.New("a track point is unusable")
)

// point is one fix of a recording.
type point struct {
	Time time.Time // of the fix; zero if the recording does not say
	geo.Position
}

// gpxReader reads the track points of a GPX file one by one: GPX 1.0, GPX 1.1 and files that name neither version nor
// namespace. Of what may stand in a point it takes ele and time, and speed and course, which are GPX 1.0. Waypoints and
// routes are no track and are passed over, as is everything in a namespace other than the root's.
//
// The files come from anywhere: a document type is refused before any entity could matter, and size, nesting and number
// of points are bounded, so memory is too.
type gpxReader struct {
	xml    *xml.Decoder
	input  *io.LimitedReader
	rooted bool   // the root element has begun
	space  string // its namespace
	depth  int
	points int
}

func newGPXReader(r io.Reader) *gpxReader {
	input := &io.LimitedReader{R: r, N: maxGPXBytes + 1}
	return &gpxReader{xml: xml.NewDecoder(input), input: input}
}

// Next returns the next track point, in the order of the file, and io.EOF after the last one. Any other error ends the
// reading for good and names the line.
func (g *gpxReader) Next() (point, error) {
	p, err := g.next()
	if err != nil && !errors.Is(err, io.EOF) {
		line, _ := g.xml.InputPos()
		err = fmt.Errorf("line %d: %w", line, err)
	}
	return p, err
}

func (g *gpxReader) next() (point, error) {
	for {
		token, err := g.token()
		if err != nil {
			return point{}, err
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch {
		case g.depth == 1:
			if start.Name.Local != "gpx" || g.rooted {
				return point{}, errGPXRoot
			}
			g.rooted, g.space = true, start.Name.Space
		case g.is(start, "trkpt"):
			return g.point(start)
		}
	}
}

// token returns the next token. It keeps count of the depth and holds the bounds.
func (g *gpxReader) token() (xml.Token, error) {
	token, err := g.xml.Token()
	if g.input.N <= 0 {
		return nil, errGPXTooLarge
	}
	if errors.Is(err, io.EOF) && !g.rooted {
		return nil, errGPXRoot
	}
	if err != nil {
		return nil, err
	}
	switch token.(type) {
	case xml.StartElement:
		if g.depth++; g.depth > maxGPXDepth {
			return nil, errGPXTooLarge
		}
	case xml.EndElement:
		g.depth--
	case xml.Directive:
		return nil, errGPXDoctype
	}
	return token, nil
}

func (g *gpxReader) is(e xml.StartElement, name string) bool {
	return e.Name.Local == name && e.Name.Space == g.space
}

// point reads a trkpt from its start to its end.
func (g *gpxReader) point(start xml.StartElement) (point, error) {
	if g.points++; g.points > maxGPXPoints {
		return point{}, errGPXTooLarge
	}
	p := point{Position: geo.NewPosition(geo.Point{})}
	var err error
	if p.Latitude, err = degrees(start, "lat"); err != nil {
		return point{}, err
	}
	if p.Longitude, err = degrees(start, "lon"); err != nil {
		return point{}, err
	}
	for inside := g.depth; g.depth >= inside; {
		token, err := g.token()
		if err != nil {
			return point{}, unexpected(err)
		}
		child, ok := token.(xml.StartElement)
		if !ok || g.depth != inside+1 || child.Name.Space != g.space {
			continue
		}
		if err := g.member(&p, child.Name.Local); err != nil {
			return point{}, err
		}
	}
	return p, nil
}

// member reads one child of a point, if it is one that matters.
func (g *gpxReader) member(p *point, name string) error {
	var into *float32
	switch name {
	case "ele":
		into = &p.Altitude
	case "speed":
		into = &p.Speed
	case "course":
		into = &p.Heading
	case "time":
	default:
		return nil
	}
	text, err := g.text()
	if err != nil || text == "" {
		return unexpected(err)
	}
	if into == nil {
		p.Time, err = parseGPXTime(text)
		return err
	}
	v, err := finite(text)
	if err != nil {
		return fmt.Errorf("%w: %s is %q", errGPXPoint, name, text)
	}
	*into = float32(v)
	return nil
}

// text returns the text of the element that has just begun, without that of elements inside it, and reads its end.
func (g *gpxReader) text() (string, error) {
	var b strings.Builder
	for inside := g.depth; g.depth >= inside; {
		token, err := g.token()
		if err != nil {
			return "", err
		}
		if data, ok := token.(xml.CharData); ok && g.depth == inside {
			b.Write(data)
		}
	}
	return strings.TrimSpace(b.String()), nil
}

// degrees returns a coordinate as the file has it. One out of range is a number all the same: to judge it is up to
// whoever gets the point.
func degrees(e xml.StartElement, name string) (float64, error) {
	for _, a := range e.Attr {
		if a.Name.Local != name || a.Name.Space != "" {
			continue
		}
		v, err := finite(strings.TrimSpace(a.Value))
		if err != nil {
			return 0, fmt.Errorf("%w: %s is %q", errGPXPoint, name, a.Value)
		}
		return v, nil
	}
	return 0, fmt.Errorf("%w: it has no %s", errGPXPoint, name)
}

var errNotFinite = errors.New("not a finite decimal number")

// finite parses a decimal number. ParseFloat also knows NaN, infinities and hexadecimal, which XML Schema's decimal
// and double, or JSON on the other side, do not.
func finite(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsAny(s, "xX_") {
		return 0, errNotFinite
	}
	return v, nil
}

// parseGPXTime parses an XML Schema dateTime. One without a zone is UTC, as GPX has it.
func parseGPXTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: time is %q", errGPXPoint, s)
}

// unexpected turns the end of the file inside an element into an error.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readGPX returns all track points of a GPX file.
func readGPX(r io.Reader) ([]point, error) {
	var points []point
	for g := newGPXReader(r); ; {
		p, err := g.Next()
		if errors.Is(err, io.EOF) {
			return points, nil
		}
		if err != nil {
			return nil, err
		}
		points = append(points, p)
	}
}
