package geo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// AreaError says what is wrong with a GeoJSON geometry.
type AreaError struct {
	Member string // at fault: "type", "coordinates[0][3]"; "": the geometry itself
	Rule   string // that it breaks, in words
}

func (e *AreaError) Error() string {
	if e.Member == "" {
		return "area " + e.Rule
	}
	return "area: " + e.Member + " " + e.Rule
}

// maxPositions is how many positions an area may have, closing ones counted:
// enough for the outline of a real site, and few enough for a frame that tells
// of it to stay below 32 KiB.
const maxPositions = 1000

// ParseArea returns the area of a GeoJSON geometry, a Polygon or a MultiPolygon
// by RFC 7946, or an *AreaError that names the member and the rule:
//
//   - the members are type and coordinates alone, once each;
//   - positions are longitude, latitude and perhaps an altitude, which is
//     ignored, and are rounded to nine decimals;
//   - rings are closed, have four positions or more, repeat none, and neither
//     cross nor touch themselves; they may wind either way;
//   - holes lie in their outer ring and apart, polygons lie apart; they may touch
//     each other at points;
//   - at most 1,000 positions within 1° of latitude and of longitude, not across
//     the antimeridian.
func ParseArea(data []byte) (*Area, error) {
	kind, coordinates, err := members(data)
	if err != nil {
		return nil, err
	}
	r := &reader{dec: decoder(coordinates), left: maxPositions}
	var polygons []polygon
	switch kind {
	case "Polygon":
		polygons = make([]polygon, 1)
		polygons[0], err = r.polygon()
	case "MultiPolygon":
		polygons, err = r.polygons()
	default:
		err = &AreaError{"type", "must be Polygon or MultiPolygon: give the geometry of a Feature alone"}
	}
	if err != nil {
		return nil, err
	}
	if err := check(polygons, kind == "MultiPolygon"); err != nil {
		return nil, err
	}
	return newArea(polygons), nil
}

func decoder(data []byte) *jsontext.Decoder { return jsontext.NewDecoder(bytes.NewBuffer(data)) }

// members returns the type and the coordinates of a geometry.
func members(data []byte) (kind string, coordinates jsontext.Value, err error) {
	if err := wellFormed(data); err != nil {
		return "", nil, err
	}
	dec := decoder(data)
	if dec.PeekKind() != '{' {
		return "", nil, &AreaError{"", "must be a GeoJSON geometry, an object"}
	}
	_, err = dec.ReadToken()
	for err == nil && dec.PeekKind() != '}' {
		var name jsontext.Token
		if name, err = dec.ReadToken(); err != nil {
			break
		}
		switch member := name.String(); member {
		case "type":
			if dec.PeekKind() != '"' {
				return "", nil, &AreaError{"type", "must be a string"}
			}
			var value jsontext.Token
			value, err = dec.ReadToken()
			kind = value.String()
		case "coordinates":
			coordinates, err = dec.ReadValue()
			coordinates = coordinates.Clone()
		default:
			return "", nil, &AreaError{sayable(member), "is not a member here: a geometry has type and coordinates"}
		}
	}
	switch {
	case err != nil:
		return "", nil, notJSON(err)
	case kind == "":
		return "", nil, &AreaError{"type", "is required"}
	case coordinates == nil:
		return "", nil, &AreaError{"coordinates", "is required"}
	}
	return kind, coordinates, nil
}

// wellFormed refuses what is not exactly one JSON value without duplicate names,
// so that reading its parts cannot fail any more.
func wellFormed(data []byte) error {
	dec := decoder(data)
	if err := dec.SkipValue(); err != nil {
		return notJSON(err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return &AreaError{"", "is followed by something else"}
	}
	return nil
}

func notJSON(err error) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && errors.Is(syntax.Err, jsontext.ErrDuplicateName) {
		return &AreaError{sayable(syntax.JSONPointer.LastToken()), "is there twice"}
	}
	return &AreaError{"", "is not valid JSON"}
}

// sayable returns the name of a member for an error, or "" for one that is
// longer or wilder than those of GeoJSON: nobody's text is echoed.
func sayable(name string) string {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' {
			return ""
		}
	}
	if len(name) > 20 {
		return ""
	}
	return name
}

// reader reads coordinates, which are valid JSON.
type reader struct {
	dec  *jsontext.Decoder
	left int   // positions that may still come
	path []int // of the array that is being read: its index in each that holds it
}

// fail says what is wrong with the array that is being read, or with an element
// of it.
func (r *reader) fail(rule string, element ...int) error {
	return &AreaError{memberAt(append(r.path, element...)...), rule}
}

// memberAt names an array of coordinates: "coordinates[0][3]".
func memberAt(path ...int) string {
	s := "coordinates"
	for _, i := range path {
		s += fmt.Sprintf("[%d]", i)
	}
	return s
}

// list calls each before every element of an array.
func (r *reader) list(rule string, each func() error) error {
	if r.dec.PeekKind() != '[' {
		return r.fail(rule)
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return notJSON(err)
	}
	depth := len(r.path)
	for i := 0; r.dec.PeekKind() != ']'; i++ {
		r.path = append(r.path[:depth], i)
		if err := each(); err != nil {
			return err
		}
	}
	r.path = r.path[:depth]
	if _, err := r.dec.ReadToken(); err != nil {
		return notJSON(err)
	}
	return nil
}

func (r *reader) polygons() (list []polygon, err error) {
	err = r.list("must be an array of polygons", func() error {
		p, err := r.polygon()
		list = append(list, p)
		return err
	})
	if err == nil && len(list) == 0 {
		err = r.fail("must hold a polygon")
	}
	return list, err
}

func (r *reader) polygon() (p polygon, err error) {
	err = r.list("must be an array of rings", func() error {
		ring, err := r.ring()
		p = append(p, ring)
		return err
	})
	if err == nil && len(p) == 0 {
		err = r.fail("must hold an outer ring")
	}
	return p, err
}

func (r *reader) ring() (ring, error) {
	var line ring
	err := r.list("must be an array of positions", func() error {
		if r.left--; r.left < 0 {
			return &AreaError{"coordinates", fmt.Sprintf("may hold at most %d positions in all", maxPositions)}
		}
		p, err := r.position()
		line = append(line, snap(p))
		return err
	})
	n := len(line)
	switch {
	case err != nil:
		return nil, err
	case n < 4:
		return nil, r.fail("must have at least 4 positions, the last the same as the first")
	case line[0] != line[n-1]:
		return nil, r.fail("must be the same as the first position: the ring is not closed", n-1)
	}
	for i := 1; i < n; i++ {
		if line[i] == line[i-1] {
			return nil, r.fail("repeats the position before it", i)
		}
	}
	return line[:n-1], nil
}

func (r *reader) position() (Point, error) {
	const rule = "must be an array of numbers: longitude, latitude"
	var numbers []float64
	err := r.list(rule, func() error {
		token, err := r.dec.ReadToken()
		if err != nil {
			return notJSON(err)
		}
		r.path = r.path[:len(r.path)-1] // what is wrong with a number is told of its position
		if token.Kind() != '0' {
			return r.fail(rule)
		}
		number, err := token.Float()
		if err != nil {
			return r.fail("holds a number that is out of range")
		}
		numbers = append(numbers, number)
		if len(numbers) > 3 {
			return r.fail("has more than longitude, latitude and altitude")
		}
		return nil
	})
	switch {
	case err != nil:
		return Point{}, err
	case len(numbers) < 2:
		return Point{}, r.fail(rule)
	}
	p := Point{Longitude: numbers[0], Latitude: numbers[1]}
	return p, r.placed(p)
}

// placed refuses a position that is no place, guessing at why.
func (r *reader) placed(p Point) error {
	swapped := Point{Longitude: p.Latitude, Latitude: p.Longitude}
	switch {
	case p.Valid():
		return nil
	case !p.InRange() && swapped.InRange():
		return r.fail("has a latitude beyond ±90: longitude comes first, then latitude; they seem swapped")
	case math.Abs(p.Latitude) <= 90 && math.Abs(p.Longitude) > 180:
		return r.fail("has a longitude beyond ±180: an area across the antimeridian is not supported")
	}
	return r.fail("must lie within ±180 longitude and ±90 latitude and not be exactly 0,0")
}
