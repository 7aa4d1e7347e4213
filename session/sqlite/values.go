package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"ronde/geo"
	"ronde/session"
)

// millis returns t for a column of times: NULL if it is zero.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// asTime scans a column of times into t.
type asTime struct{ t *time.Time }

func (a asTime) Scan(column any) error {
	switch ms := column.(type) {
	case nil:
		*a.t = time.Time{}
	case int64:
		*a.t = time.UnixMilli(ms).UTC()
	default:
		return fmt.Errorf("a time is stored as %T", column)
	}
	return nil
}

// asSpan scans a column of lengths of time into d.
type asSpan struct{ d *time.Duration }

func (a asSpan) Scan(column any) error {
	ms, ok := column.(int64)
	if !ok {
		return fmt.Errorf("a length of time is stored as %T", column)
	}
	*a.d = time.Duration(ms) * time.Millisecond
	return nil
}

// day returns d for a column of days: NULL if there is none.
func day(d session.Day) any {
	if d == 0 {
		return nil
	}
	return d.String()
}

// asDay scans a column of days into d.
type asDay struct{ d *session.Day }

func (a asDay) Scan(column any) error {
	switch text := column.(type) {
	case nil:
		*a.d = 0
		return nil
	case string:
		t, err := time.Parse(time.DateOnly, text)
		*a.d = session.DayOf(t)
		return err
	}
	return fmt.Errorf("a day is stored as %T", column)
}

// area is the column of a site's area: NULL if it is a circle.
type area struct{ *geo.Area }

// Value returns the GeoJSON text.
func (a area) Value() (driver.Value, error) {
	if a.Area == nil {
		return nil, nil
	}
	text, err := a.MarshalJSON()
	return string(text), err
}

// asArea scans a column of areas into a site whose name was scanned before.
type asArea struct{ site *geo.Site }

func (a asArea) Scan(column any) error {
	switch text := column.(type) {
	case nil:
		return nil
	case string:
		parsed, err := geo.ParseArea([]byte(text))
		if err == nil {
			*a.site = geo.NewAreaSite(a.site.Name, parsed)
		}
		return err
	}
	return fmt.Errorf("an area is stored as %T", column)
}

// checkpoint is the stored form of a session.Checkpoint.
type checkpoint struct {
	Name      string  `json:"name"`
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	RadiusM   float64 `json:"radius_m"`
}

// checkpoints is the column of a mission's checkpoints.
type checkpoints []session.Checkpoint

// Value returns the JSON text.
func (c checkpoints) Value() (driver.Value, error) {
	stored := make([]checkpoint, len(c))
	for i, p := range c {
		stored[i] = checkpoint{p.Name, p.Point.Latitude, p.Point.Longitude, p.RadiusM}
	}
	text, err := json.Marshal(stored)
	return string(text), err
}

type asCheckpoints struct{ c *[]session.Checkpoint }

func (a asCheckpoints) Scan(column any) error {
	text, ok := column.(string)
	if !ok {
		return fmt.Errorf("checkpoints are stored as %T", column)
	}
	var stored []checkpoint
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return err
	}
	*a.c = nil
	for _, p := range stored {
		*a.c = append(*a.c, session.Checkpoint{
			Name: p.Name, Point: geo.Point{Latitude: p.Latitude, Longitude: p.Longitude}, RadiusM: p.RadiusM,
		})
	}
	return nil
}
