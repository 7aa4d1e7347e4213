package web

import (
	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"ronde/geo"
)

// areaRequest is the geometry of an area as it was sent, for package geo to read.
type areaRequest struct{ jsontext.Value }

// areaReply is the geometry of an area.
type areaReply struct{ *geo.Area }

// Schema documents an areaRequest.
func (areaRequest) Schema(huma.Registry) *huma.Schema { return areaSchema() }

// Schema documents an areaReply.
func (areaReply) Schema(huma.Registry) *huma.Schema { return areaSchema() }

// areaSchema documents a Polygon and a MultiPolygon of GeoJSON.
func areaSchema() *huma.Schema {
	most, least := 3, 2
	position := &huma.Schema{
		Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeNumber}, MinItems: &least, MaxItems: &most,
		Description: "Longitude, latitude; an altitude is ignored. Kept to nine decimals",
	}
	corners := 4
	ring := &huma.Schema{
		Type: huma.TypeArray, Items: position, MinItems: &corners,
		Description: "The last position is the first again. A ring neither crosses nor touches itself; it may wind either way, and is answered with outer rings counter-clockwise",
	}
	polygon := listOf(ring, "An outer ring, then its holes, which lie inside it and apart")
	return &huma.Schema{
		Description: "The outline of a site, in place of point and radius_m: a GeoJSON geometry by RFC 7946, of at most 1,000 positions within 1° of latitude and of longitude, not across the antimeridian",
		OneOf: []*huma.Schema{
			geometrySchema("Polygon", polygon),
			geometrySchema("MultiPolygon", listOf(polygon, "Polygons that touch each other at points at most")),
		},
	}
}

func listOf(items *huma.Schema, description string) *huma.Schema {
	least := 1
	return &huma.Schema{Type: huma.TypeArray, Items: items, MinItems: &least, Description: description}
}

func geometrySchema(kind string, coordinates *huma.Schema) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: false, Required: []string{"type", "coordinates"},
		Properties: map[string]*huma.Schema{"type": {Type: huma.TypeString, Enum: []any{kind}}, "coordinates": coordinates},
	}
}
