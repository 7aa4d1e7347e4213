-- A site may be an area: a GeoJSON geometry beside the point of its label.

-- +goose Up
SET LOCAL ROLE ronde_owner;

-- A program of an earlier schema would take an area for a circle of no size.
ALTER TABLE missions ADD CONSTRAINT missions_site_area
    CHECK (NOT site ? 'area' OR jsonb_typeof(site -> 'area') = 'object');
