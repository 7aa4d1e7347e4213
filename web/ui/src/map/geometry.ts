// The little geometry that drawing needs, on the sphere. What counts (is an
// agent on the site, how far) the server has decided.

import type { Point } from '../wire/live';

/** Mean radius of the earth, metres. */
const EARTH = 6_371_008.8;
const RAD = Math.PI / 180;

/** Longitude and latitude, as GeoJSON has them. */
export type Coordinate = [number, number];

/** The point `metres` away from another, in the direction of `bearing`, degrees clockwise from north. */
export function destination({ latitude, longitude }: Point, metres: number, bearing: number): Coordinate {
  const d = metres / EARTH;
  const phi = latitude * RAD;
  const theta = bearing * RAD;
  const sin = Math.sin(phi) * Math.cos(d) + Math.cos(phi) * Math.sin(d) * Math.cos(theta);
  const lambda = Math.atan2(Math.sin(theta) * Math.sin(d) * Math.cos(phi), Math.cos(d) - Math.sin(phi) * sin);
  return [longitude + lambda / RAD, Math.asin(sin) / RAD];
}

/** A circle as a closed ring of coordinates. */
export function circle(center: Point, radius: number, points = 72): Coordinate[] {
  const ring = Array.from({ length: points }, (_, i) => destination(center, radius, (-360 * i) / points));
  return ring[0] === undefined ? ring : [...ring, ring[0]];
}

/** How far apart two near points are, metres. */
export function distance(a: Point, b: Point): number {
  const x = (b.longitude - a.longitude) * RAD * Math.cos(((a.latitude + b.latitude) / 2) * RAD);
  const y = (b.latitude - a.latitude) * RAD;
  return EARTH * Math.hypot(x, y);
}

/** How many metres a pixel is wide, at a zoom of 512-pixel tiles. */
export const metresPerPixel = (latitude: number, zoom: number): number =>
  (2 * Math.PI * EARTH * Math.cos(latitude * RAD)) / (512 * 2 ** zoom);

const DISTANCES = [25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];

/**
 * The distances from the site's edge at which to draw rings: those that at
 * this scale stand at least `gap` pixels apart, up to `most` pixels away.
 */
export function ringDistances(scale: number, gap: number, most: number): number[] {
  const rings: number[] = [];
  let last = 0;
  for (const d of DISTANCES) {
    if (d / scale > most) break;
    if ((d - last) / scale < gap) continue;
    rings.push(d);
    last = d;
  }
  return rings;
}

export interface Bounds {
  west: number;
  south: number;
  east: number;
  north: number;
}

/** The box around all coordinates, or undefined without any. */
export function boundsOf(coordinates: Iterable<Coordinate>): Bounds | undefined {
  let box: Bounds | undefined;
  for (const [lng, lat] of coordinates) {
    if (box === undefined) box = { west: lng, south: lat, east: lng, north: lat };
    box.west = Math.min(box.west, lng);
    box.south = Math.min(box.south, lat);
    box.east = Math.max(box.east, lng);
    box.north = Math.max(box.north, lat);
  }
  return box;
}

export const contains = (outer: Bounds, inner: Bounds): boolean =>
  outer.west <= inner.west && outer.south <= inner.south && outer.east >= inner.east && outer.north >= inner.north;
