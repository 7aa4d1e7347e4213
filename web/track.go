package web

import (
	"context"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"ronde/geo"
	"ronde/session"
)

type trackParams struct {
	ID     string `path:"id" doc:"The mission, a UUIDv7"`
	Format string `query:"format" enum:"json" default:"json" doc:"How positions are written"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"The most items of a page"`
	Cursor string `query:"cursor" maxLength:"200" doc:"The next_cursor of the page before"`
	Reason string `header:"Access-Reason" maxLength:"3600" doc:"Why, percent-encoded UTF-8 of 3 to 300 characters: required of a mission that is over and held"`
}

// fixReply is one stored position, in the terms of the W3C Geolocation API.
// What the phone did not know is null.
type fixReply struct {
	Agent     string   `json:"agent"`
	Timestamp int64    `json:"timestamp" doc:"Milliseconds since the epoch"`
	Latitude  degrees  `json:"latitude"`
	Longitude degrees  `json:"longitude"`
	Accuracy  *float32 `json:"accuracy" doc:"Metres"`
	Altitude  *float32 `json:"altitude" doc:"Metres"`
	Heading   *float32 `json:"heading" doc:"Degrees clockwise from true north"`
	Battery   *float32 `json:"battery" doc:"0 to 1"`
	Mock      bool     `json:"mock" doc:"The phone said that an app made this fix up"`
	Speed     *speed   `json:"speed,omitzero" doc:"Metres per second; only if the policy keeps speed"`
}

// degrees are written with seven decimals, about a centimetre, as they are
// stored.
type degrees float64

// MarshalJSONTo writes the seven decimals.
func (d degrees) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteValue(strconv.AppendFloat(nil, float64(d), 'f', 7, 64))
}

func (s *Server) getTrack(ctx context.Context, r *request[trackParams, none]) (*page[fixReply], error) {
	after, err := parseTrackCursor(r.Params.Cursor)
	if err != nil {
		return nil, err
	}
	m, err := s.mission(ctx, r.Principal, r.Params.ID)
	if err != nil {
		return nil, err
	}
	hold, err := s.heldBy(ctx, r.Principal, m, r.Params.Reason)
	if err != nil {
		return nil, err
	}
	var fixes []session.Fix
	if hold != nil {
		fixes, err = s.service.HeldTrack(ctx, m, hold, "", after, r.Params.Limit+1)
	} else {
		fixes, err = s.service.Track(ctx, m, after, r.Params.Limit+1)
	}
	if err != nil {
		return nil, err
	}
	p := &page[fixReply]{Items: []fixReply{}}
	for i := range fixes[:min(len(fixes), r.Params.Limit)] {
		p.Items = append(p.Items, newFixReply(&fixes[i], m.Policy.Speed))
	}
	if len(fixes) > r.Params.Limit {
		p.NextCursor = orNull(encodeTrackCursor(&fixes[r.Params.Limit-1].Row))
	}
	return p, nil
}

func newFixReply(f *session.Fix, withSpeed bool) fixReply {
	r := fixReply{
		Agent: f.Agent, Timestamp: f.At.UnixMilli(),
		Latitude: degrees(f.Latitude), Longitude: degrees(f.Longitude),
		Accuracy: known(f.Accuracy), Altitude: known(f.Altitude), Heading: known(f.Heading), Battery: known(f.Battery), Mock: f.Mock,
	}
	if withSpeed {
		r.Speed = &speed{known(f.Speed)}
	}
	return r
}

// known returns nil for a member that the receiver did not give.
func known(v float32) *float32 {
	if !geo.Known(v) {
		return nil
	}
	return &v
}

// speed is null where the phone gave none, and absent where the policy keeps
// none.
type speed struct{ metresPerSecond *float32 }

// MarshalJSONTo writes the number or null.
func (v speed) MarshalJSONTo(enc *jsontext.Encoder) error {
	return json.MarshalEncode(enc, v.metresPerSecond)
}

// Schema documents a speed.
func (speed) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Format: "float", Nullable: true}
}
