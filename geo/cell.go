package geo

import (
	"fmt"

	"github.com/uber/h3-go/v4"
)

// MaxResolution is the finest H3 resolution, with cells of about one square
// metre.
const MaxResolution = 15

// Cell is an H3 cell. The zero Cell is none.
type Cell uint64

// CellOf returns the H3 cell of the given resolution that holds p. It fails
// for a point out of range, which the H3 library itself would fold back onto
// the globe, and for a resolution outside 0 to MaxResolution.
func CellOf(p Point, resolution int) (Cell, error) {
	if !p.InRange() {
		return 0, fmt.Errorf("point outside ±90, ±180")
	}
	if resolution < 0 || resolution > MaxResolution {
		return 0, fmt.Errorf("resolution %d outside 0 to %d", resolution, MaxResolution)
	}
	c, err := h3.LatLngToCell(h3.NewLatLng(p.Latitude, p.Longitude), resolution)
	if err != nil {
		return 0, fmt.Errorf("cell of point: %w", err)
	}
	return Cell(c), nil
}

// Center returns the middle of the cell.
func (c Cell) Center() (Point, error) {
	ll, err := h3.Cell(c).LatLng()
	if err != nil {
		return Point{}, fmt.Errorf("center of cell: %w", err)
	}
	return Point{Latitude: ll.Lat, Longitude: ll.Lng}, nil
}

// String returns the cell's index in lower-case hexadecimal, as H3 writes it.
func (c Cell) String() string { return h3.Cell(c).String() }
