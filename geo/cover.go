package geo

import (
	"fmt"
	"math"
	"slices"

	"github.com/uber/h3-go/v4"
)

// coarsest is the H3 resolution of cells of about 1,770 km², of which the
// largest site overlaps a few dozen.
const coarsest = 4

// Cover returns the H3 cells that overlap the site, in rising order, in the
// finest resolution up to finest in which they are at most so many. There is at
// least one, however small the site: cells count by overlap, not by where their
// centres lie. It fails if even the coarsest cells are more.
func (s *Site) Cover(finest, most int) ([]Cell, error) {
	if finest < 0 || finest > MaxResolution {
		return nil, fmt.Errorf("resolution %d outside 0 to %d", finest, MaxResolution)
	}
	var cover []Cell
	for resolution := min(coarsest, finest); resolution <= finest; resolution++ {
		cells, err := s.overlapping(resolution)
		if err != nil {
			return nil, fmt.Errorf("cells of the site: %w", err)
		}
		if len(cells) > most {
			break
		}
		cover = cells
	}
	if cover == nil {
		return nil, fmt.Errorf("the site overlaps more than %d cells of resolution %d", most, min(coarsest, finest))
	}
	return cover, nil
}

// overlapping returns the cells of one resolution that overlap the site.
func (s *Site) overlapping(resolution int) ([]Cell, error) {
	var cells []Cell
	for _, p := range s.polygons() {
		found, err := h3.PolygonToCellsExperimental(p, resolution, h3.ContainmentOverlapping)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			cells = append(cells, Cell(c))
		}
	}
	slices.Sort(cells)
	return slices.Compact(cells), nil
}

// polygons returns the site as the H3 library takes it.
func (s *Site) polygons() []h3.GeoPolygon {
	if s.Area == nil {
		return []h3.GeoPolygon{{GeoLoop: s.Center.circle(s.RadiusM)}}
	}
	list := make([]h3.GeoPolygon, len(s.Area.polygons))
	for i, p := range s.Area.polygons {
		list[i].GeoLoop = p[0].loop()
		for _, hole := range p[1:] {
			list[i].Holes = append(list[i].Holes, hole.loop())
		}
	}
	return list
}

func (r ring) loop() h3.GeoLoop {
	loop := make(h3.GeoLoop, len(r))
	for i, v := range r {
		p := v.point()
		loop[i] = h3.NewLatLng(p.Latitude, p.Longitude)
	}
	return loop
}

// circle returns a polygon around the circle of that radius, in metres.
func (p Point) circle(radius float64) h3.GeoLoop {
	const corners = 72
	loop := make(h3.GeoLoop, corners)
	d := radius / EarthRadius / math.Cos(math.Pi/corners)
	sinLat, cosLat := math.Sincos(radians(p.Latitude))
	for i := range loop {
		sinAt, cosAt := math.Sincos(2 * math.Pi * float64(i) / corners)
		sin := sinLat*math.Cos(d) + cosLat*math.Sin(d)*cosAt
		east := math.Atan2(sinAt*math.Sin(d)*cosLat, math.Cos(d)-sinLat*sin)
		loop[i] = h3.NewLatLng(math.Asin(sin)*180/math.Pi, math.Remainder(p.Longitude+east*180/math.Pi, 360))
	}
	return loop
}

// Resolution returns the cell's H3 resolution.
func (c Cell) Resolution() int { return h3.Cell(c).Resolution() }
