-- A site may be an area: a GeoJSON geometry beside the point of its label, with
-- a radius of 0. NULL for a circle.

ALTER TABLE missions ADD COLUMN site_area TEXT CHECK (json_valid(site_area));
