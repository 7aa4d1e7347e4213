package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ronde/geo"
)

// latLon is a point on the command line: latitude, comma, longitude.
type latLon geo.Point

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *latLon) UnmarshalText(text []byte) error {
	lat, lon, ok := strings.Cut(string(text), ",")
	latitude, err1 := finite(strings.TrimSpace(lat))
	longitude, err2 := finite(strings.TrimSpace(lon))
	p := geo.Point{Latitude: latitude, Longitude: longitude}
	if !ok || err1 != nil || err2 != nil || !p.InRange() {
		return fmt.Errorf("%q is no latitude,longitude in degrees, such as 48.8466,2.4167", text)
	}
	*l = latLon(p)
	return nil
}

// span is a stretch of time within the simulation, on the command line 30s-90s.
type span struct{ From, To time.Duration }

var errSpan = errors.New("must be FROM-TO, such as 30s-90s, and end after it begins")

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *span) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), "-")
	start, err1 := time.ParseDuration(from)
	stop, err2 := time.ParseDuration(to)
	if !ok || err1 != nil || err2 != nil || start < 0 || stop <= start {
		return fmt.Errorf("%q: %w", text, errSpan)
	}
	*s = span{start, stop}
	return nil
}

// merged returns the spans in order, those that touch made one.
func merged(spans []span) []span {
	sorted := slices.SortedFunc(slices.Values(spans), func(a, b span) int { return cmp.Compare(a.From, b.From) })
	var all []span
	for _, s := range sorted {
		if n := len(all); n > 0 && s.From <= all[n-1].To {
			all[n-1].To = max(all[n-1].To, s.To)
			continue
		}
		all = append(all, s)
	}
	return all
}
