package geo

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// square is a ring of GeoJSON around a corner of the map, side degrees wide.
func square(west, south, side float64) string {
	return fmt.Sprintf("[[%v,%v],[%v,%v],[%v,%v],[%v,%v],[%v,%v]]", west, south, west+side, south, west+side, south+side, west, south+side, west, south)
}

func polygonOf(rings ...string) string {
	return `{"type":"Polygon","coordinates":[` + strings.Join(rings, ",") + `]}`
}

func multiOf(polygons ...string) string {
	return `{"type":"MultiPolygon","coordinates":[[` + strings.Join(polygons, "],[") + `]]}`
}

func parse(t testing.TB, text string) *Area {
	t.Helper()
	a, err := ParseArea([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a
}

// What is wrong is named, with the rule.
func TestParseAreaRefuses(t *testing.T) {
	many := make([]string, maxPositions)
	for i := range many {
		many[i] = fmt.Sprintf("[2.%04d,48]", i)
	}
	long := "[" + strings.Join(many, ",") + ",[2.5,49],[2,48]]"
	bowtie := "[[2,48],[2.1,48.1],[2.1,48],[2,48.1],[2,48]]"
	for name, c := range map[string]struct{ text, member, rule string }{
		"nothing":                   {``, "", "not valid JSON"},
		"cut short":                 {`{"type":"Polygon"`, "", "not valid JSON"},
		"trailing":                  {polygonOf(square(2, 48, .1)) + "{}", "", "followed"},
		"array":                     {`[]`, "", "an object"},
		"null":                      {`null`, "", "an object"},
		"no type":                   {`{"coordinates":[]}`, "type", "required"},
		"type null":                 {`{"type":null,"coordinates":[]}`, "type", "string"},
		"no coordinates":            {`{"type":"Polygon"}`, "coordinates", "required"},
		"point":                     {`{"type":"Point","coordinates":[2,48]}`, "type", "Polygon or MultiPolygon"},
		"line of one point":         {`{"type":"LineString","coordinates":[[2,48]]}`, "type", "Polygon or MultiPolygon"},
		"other case":                {`{"type":"polygon","coordinates":[]}`, "type", "Polygon or MultiPolygon"},
		"feature":                   {`{"type":"Feature","geometry":` + polygonOf(square(2, 48, .1)) + `}`, "geometry", "not a member"},
		"bbox":                      {`{"type":"Polygon","bbox":[2,48,3,49],"coordinates":[]}`, "bbox", "not a member"},
		"wild member":               {`{"type":"Polygon","<script>":1,"coordinates":[]}`, "", "not a member"},
		"type twice":                {`{"type":"Polygon","type":"Polygon","coordinates":[]}`, "type", "twice"},
		"coordinates twice":         {`{"coordinates":[],"type":"Polygon","coordinates":[]}`, "coordinates", "twice"},
		"coordinates null":          {`{"type":"Polygon","coordinates":null}`, "coordinates", "array of rings"},
		"no ring":                   {polygonOf(), "coordinates", "outer ring"},
		"ring of numbers":           {polygonOf("[2,48]"), "coordinates[0][0]", "array of numbers"},
		"ring null":                 {polygonOf("null"), "coordinates[0]", "array of positions"},
		"no polygon":                {`{"type":"MultiPolygon","coordinates":[]}`, "coordinates", "must hold a polygon"},
		"empty polygon":             {multiOf(square(2, 48, .1), ""), "coordinates[1]", "outer ring"},
		"a Polygon's for a Multi":   {`{"type":"MultiPolygon","coordinates":[` + square(2, 48, .1) + `]}`, "coordinates[0][0][0]", "array of numbers"},
		"a Multi's for a Polygon":   {`{"type":"Polygon","coordinates":[[` + square(2, 48, .1) + `]]}`, "coordinates[0][0]", "array of numbers"},
		"text":                      {polygonOf(`[[2,"48"]]`), "coordinates[0][0]", "array of numbers"},
		"deep":                      {polygonOf(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), "coordinates[0][0]", "array of numbers"},
		"one number":                {polygonOf("[[2]]"), "coordinates[0][0]", "array of numbers"},
		"four numbers":              {polygonOf("[[2,48,0,0]]"), "coordinates[0][0]", "more than"},
		"1e999":                     {polygonOf("[[2,1e999]]"), "coordinates[0][0]", "out of range"},
		"0,0":                       {polygonOf("[[2,48],[0,-0]]"), "coordinates[0][1]", "exactly 0,0"},
		"latitude 90.0000001":       {polygonOf("[[100,90.0000001]]"), "coordinates[0][0]", "±90"},
		"nowhere":                   {polygonOf("[[1000,1000]]"), "coordinates[0][0]", "±180"},
		"axes swapped":              {polygonOf("[[35.7,139.7]]"), "coordinates[0][0]", "swapped"},
		"beyond 180":                {polygonOf("[[179.9,-17],[180.1,-17]]"), "coordinates[0][1]", "antimeridian"},
		"across 180":                {polygonOf("[[179.9,-17],[-179.9,-17],[-179.9,-16.9],[179.9,-16.9],[179.9,-17]]"), "coordinates", "antimeridian"},
		"two halves at 180":         {multiOf(square(179.9, -17, .1), square(-180, -17, .1)), "coordinates", "antimeridian"},
		"too high":                  {polygonOf("[[2,48],[2.1,48],[2.1,49.1],[2,48]]"), "coordinates", "at most 1°"},
		"too wide":                  {polygonOf("[[2,48],[3.1,48],[3.1,48.1],[2,48]]"), "coordinates", "at most 1°"},
		"parts too far apart":       {multiOf(square(2, 48, .1), square(4, 48, .1)), "coordinates", "at most 1°"},
		"too many":                  {polygonOf(long), "coordinates", "at most 1000"},
		"three positions":           {polygonOf("[[2,48],[2.1,48],[2,48]]"), "coordinates[0]", "at least 4"},
		"unclosed":                  {polygonOf("[[2,48],[2.1,48],[2.1,48.1],[2,48.1]]"), "coordinates[0][3]", "not closed"},
		"unclosed hole":             {polygonOf(square(2, 48, .1), "[[2.01,48.01],[2.02,48.01],[2.02,48.02],[2.01,48.02]]"), "coordinates[1][3]", "not closed"},
		"repeated":                  {polygonOf("[[2,48],[2.1,48],[2.1,48],[2.1,48.1],[2,48]]"), "coordinates[0][2]", "repeats"},
		"repeated but for rounding": {polygonOf("[[2,48],[2.1,48],[2.1000000001,48],[2.1,48.1],[2,48]]"), "coordinates[0][2]", "repeats"},
		"bow tie":                   {polygonOf(bowtie), "coordinates[0][2]", "crosses the edge from coordinates[0][0]"},
		"bow tie in a part":         {multiOf(square(2.5, 48, .1), bowtie), "coordinates[1][0][2]", "crosses the edge from coordinates[1][0][0]"},
		"spike":                     {polygonOf("[[2,48],[2.1,48],[2.1,48.1],[2.1,48.05],[2,48]]"), "coordinates[0][2]", "runs back along"},
		"flat":                      {polygonOf("[[2,48],[2.1,48],[2.2,48],[2,48]]"), "coordinates[0][2]", "runs back along"},
		"pinched":                   {polygonOf("[[2,48],[2.1,48],[2.05,48.05],[2.1,48.1],[2,48.1],[2.05,48.05],[2,48]]"), "coordinates[0][4]", "touches"},
		"corner on its own edge":    {polygonOf("[[2,48],[2.1,48],[2.1,48.1],[2.05,48],[2,48.1],[2,48]]"), "coordinates[0][2]", "touches"},
		"hole outside":              {polygonOf(square(2, 48, .1), square(2.2, 48, .1)), "coordinates[1]", "outside of its outer ring"},
		"hole around":               {polygonOf(square(2, 48, .1), square(1.9, 47.9, .3)), "coordinates[1]", "outside of its outer ring"},
		"hole across":               {polygonOf(square(2, 48, .1), square(2.05, 48.05, .1)), "coordinates[1][0]", "crosses"},
		"hole out at corners":       {polygonOf(square(2, 48, .1), "[[2.05,48.05],[2.1,48.04],[2.2,48.07],[2.1,48.1],[2.05,48.05]]"), "coordinates[1]", "hole that crosses its outer ring"},
		"hole over a corner":        {polygonOf("[[2,48],[2.04,48],[2.05,48.05],[2.06,48],[2.1,48],[2.1,48.1],[2,48.1],[2,48]]", "[[2.02,48.01],[2.05,48.05],[2.08,48.01],[2.02,48.01]]"), "coordinates[1][2]", "crosses"},
		"hole over a notch":         {polygonOf("[[2,48],[2.045,48],[2.04,48.03],[2.05,48.05],[2.06,48.03],[2.055,48],[2.12,48],[2.12,48.1],[2,48.1],[2,48]]", "[[2.02,48.03],[2.11,48.03],[2.11,48.07],[2.02,48.07],[2.02,48.03]]"), "coordinates[1]", "hole that crosses its outer ring"},
		"hole along":                {polygonOf(square(2, 48, .1), "[[2.02,48],[2.04,48],[2.04,48.02],[2.02,48.02],[2.02,48]]"), "coordinates[1][0]", "runs along"},
		"hole is the ring":          {polygonOf(square(2, 48, .1), square(2, 48, .1)), "coordinates[1][0]", "runs along"},
		"hole in a hole":            {polygonOf(square(2, 48, .5), square(2.1, 48.1, .3), square(2.2, 48.2, .1)), "coordinates[2]", "overlaps coordinates[1]"},
		"part in a part":            {multiOf(square(2, 48, .5), square(2.1, 48.1, .1)), "coordinates[1]", "overlaps coordinates[0]"},
		"part around a part":        {multiOf(square(2.1, 48.1, .1), square(2, 48, .5)), "coordinates[1]", "overlaps coordinates[0]"},
		"parts that cross":          {multiOf(square(2, 48, .1), square(2.05, 48.05, .1)), "coordinates[1][0][0]", "crosses"},
		"parts with a common edge":  {multiOf(square(2, 48, .1), square(2.1, 48, .1)), "coordinates[1][0][3]", "runs along"},
		"a part twice":              {multiOf(square(2, 48, .1), square(2, 48, .1)), "coordinates[1][0][0]", "runs along"},
	} {
		a, err := ParseArea([]byte(c.text))
		var wrong *AreaError
		if !errors.As(err, &wrong) || a != nil {
			t.Errorf("%s: %v, %v", name, a, err)
			continue
		}
		if wrong.Member != c.member || !strings.Contains(wrong.Rule, c.rule) {
			t.Errorf("%s: %q %q, want %q %q", name, wrong.Member, wrong.Rule, c.member, c.rule)
		}
	}
}

// What RFC 7946 allows, and what it is written as afterwards.
func TestParseAreaAccepts(t *testing.T) {
	ccw := "[[2,48],[2.5,48],[2.5,48.5],[2,48.5],[2,48]]"
	hole := "[[2.1,48.1],[2.1,48.2],[2.2,48.2],[2.2,48.1],[2.1,48.1]]"
	for name, c := range map[string]struct{ text, want string }{
		"as it should be":     {polygonOf(ccw, hole), polygonOf(ccw, hole)},
		"the other way round": {polygonOf("[[2,48],[2,48.5],[2.5,48.5],[2.5,48],[2,48]]", "[[2.1,48.1],[2.2,48.1],[2.2,48.2],[2.1,48.2],[2.1,48.1]]"), polygonOf("[[2.5,48],[2.5,48.5],[2,48.5],[2,48],[2.5,48]]", "[[2.1,48.2],[2.2,48.2],[2.2,48.1],[2.1,48.1],[2.1,48.2]]")},
		"altitudes":           {polygonOf("[[2,48,1],[2.5,48,2.5],[2.5,48.5,-3],[2,48.5,1e3],[2,48,7]]"), polygonOf(ccw)},
		"members turned":      {`{ "coordinates" : [` + ccw + `] , "type" : "Polygon" } `, polygonOf(ccw)},
		"ten decimals":        {polygonOf("[[2.00000000049,48],[2.5,48],[2.5,48.5],[2,48.5],[2,48.0]]"), polygonOf(ccw)},
		"exponents":           {polygonOf("[[2e0,4.8E1],[25e-1,48],[2.5,48.5],[2,48.5],[2,48]]"), polygonOf(ccw)},
		"one of several":      {multiOf(ccw), polygonOf(ccw)},
		"island in a yard":    {multiOf(ccw+","+hole, square(2.125, 48.125, .0625)), multiOf(ccw+","+hole, square(2.125, 48.125, .0625))},
		"parts at a corner":   {multiOf(ccw, square(2.5, 48.5, .25)), multiOf(ccw, square(2.5, 48.5, .25))},
		"holes at a corner":   {polygonOf(ccw, hole, "[[2.2,48.2],[2.2,48.3],[2.3,48.3],[2.3,48.2],[2.2,48.2]]"), polygonOf(ccw, hole, "[[2.2,48.2],[2.2,48.3],[2.3,48.3],[2.3,48.2],[2.2,48.2]]")},
		"hole at the edge":    {polygonOf(ccw, "[[2,48.2],[2.1,48.3],[2.1,48.1],[2,48.2]]"), polygonOf(ccw, "[[2,48.2],[2.1,48.3],[2.1,48.1],[2,48.2]]")},
		"corner on a line":    {polygonOf("[[2,48],[2.25,48],[2.5,48],[2.5,48.5],[2,48.5],[2,48]]"), polygonOf("[[2,48],[2.25,48],[2.5,48],[2.5,48.5],[2,48.5],[2,48]]")},
		"a degree":            {polygonOf(square(-3, -49, 1)), polygonOf(square(-3, -49, 1))},
		"up to 180":           {polygonOf(square(179.5, -17, .5)), polygonOf(square(179.5, -17, .5))},
		"a few centimetres":   {polygonOf("[[2,48],[2.0000002,48],[2,48.0000002],[2,48]]"), polygonOf("[[2,48],[2.0000002,48],[2,48.0000002],[2,48]]")},
	} {
		a, err := ParseArea([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := json.Marshal(a)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: written as\n%s, %v, want\n%s", name, got, err, c.want)
		}
		if !a.Contains(a.inside) {
			t.Errorf("%s: %v does not lie inside", name, a.inside)
		}
	}
}

// The largest area, with the longest numbers, fits a frame with what stands around it.
func TestAreaFitsAFrame(t *testing.T) {
	var corners []string
	for i := range maxPositions - 1 {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / (maxPositions - 1))
		corners = append(corners, fmt.Sprintf("[%.9f,%.9f]", -179.311111111+.4*cos, -89.311111111+.4*sin))
	}
	b, err := json.Marshal(parse(t, polygonOf("["+strings.Join(append(corners, corners[0]), ",")+"]")))
	if err != nil || len(b) < 28<<10 || len(b) > 31<<10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// Whatever is sent is refused with a short error, or is an area that reads back
// as it is written and holds its own label.
func FuzzParseArea(f *testing.F) {
	for _, seed := range []string{
		polygonOf(square(2, 48, .1), square(2.01, 48.01, .01)), multiOf(square(2, 48, .1), square(2.2, 48, .1)),
		polygonOf("[[2,48],[2.1,48.1],[2.1,48],[2,48.1],[2,48]]"), polygonOf("[[1,1],[2,1,3],[1.5,1.5],[1,1]]"),
		`{"type":"Polygon","coordinates":[[[1e-9,1e-9],[2e-9,1e-9],[1e-9,2e-9],[1e-9,1e-9]]]}`, `{"type":"Polygon","type":1}`, `{"coordinates":[[[[1`,
		polygonOf("[[-180,-90],[-179.5,-90],[-179.5,-89.5],[-180,-90]]"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseArea(data)
		if err != nil {
			var wrong *AreaError
			if !errors.As(err, &wrong) || wrong.Rule == "" || len(wrong.Error()) > 200 {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		written, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var back Area
		if err := json.Unmarshal(written, &back); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if again, err := json.Marshal(&back); err != nil || string(again) != string(written) {
			t.Fatalf("%s reads back as %s, %v", written, again, err)
		}
		s := NewAreaSite("", a)
		if !a.Contains(s.Center) || s.Distance(s.Center) != 0 || s.ToBorder(s.Center) > 0 {
			t.Fatalf("%s: its label %v is %v m from it", written, s.Center, s.ToBorder(s.Center))
		}
	})
}
