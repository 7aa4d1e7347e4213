// The shape of a site: a circle, or an outline with its yards.

import type { Area, Circle, LngLat, Point, Site } from '../wire/live';
import { boundsOf, circle, destination, distance, type Coordinate } from './geometry';

export interface SiteShape {
  /** Of the smallest box around it. */
  readonly center: Point;
  readonly polygons: Coordinate[][][];
  /** Its southernmost place below the centre, for its name. */
  readonly south: Coordinate;
  /**
   * The closed line so many metres outside of a rope that is drawn around all of
   * it: around yards and between parts a distance could not be read. Begins in the north.
   */
  around(metres: number): Coordinate[];
}

export const shapeOf = (site: Site): SiteShape => (site.area === undefined ? shapeOfCircle(site) : shapeOfArea(site.area));

function shapeOfCircle({ point, radius_m }: Circle): SiteShape {
  return {
    center: point,
    polygons: [[circle(point, radius_m)]],
    south: destination(point, radius_m, 180),
    around: (metres) => circle(point, radius_m + metres, BEARINGS),
  };
}

function shapeOfArea(area: Area): SiteShape {
  const polygons = (area.type === 'Polygon' ? [area.coordinates] : area.coordinates).map((rings) => rings.map((ring) => ring.map(own)));
  const outer = polygons.flatMap(([ring]) => (ring === undefined ? [] : [ring]));
  const box = boundsOf(outer.flat()) ?? { west: 0, south: 0, east: 0, north: 0 };
  const center = { latitude: (box.south + box.north) / 2, longitude: (box.west + box.east) / 2 };
  const rope = ropeAround(outer.flat().map((place) => placeOf(place, center)));
  const drawn = new Map<number, Coordinate[]>();
  return {
    center,
    polygons,
    south: [center.longitude, box.south],
    around: (metres) => {
      const line = drawn.get(metres) ?? lineAround(rope, center, metres);
      drawn.set(metres, line);
      return line;
    },
  };
}

const own = ([longitude, latitude]: LngLat): Coordinate => [longitude, latitude];

const BEARINGS = 180;

/** Metres east and north of the centre. */
type Place = readonly [number, number];

function placeOf([longitude, latitude]: Coordinate, center: Point): Place {
  const east = distance(center, { latitude: center.latitude, longitude });
  const north = distance(center, { latitude, longitude: center.longitude });
  return [longitude < center.longitude ? -east : east, latitude < center.latitude ? -north : north];
}

/** The convex hull, counter-clockwise, by Andrew's monotone chain. */
function ropeAround(places: Place[]): Place[] {
  const sorted = places.toSorted(([ax, ay], [bx, by]) => ax - bx || ay - by);
  return [...half(sorted), ...half(sorted.reverse())];
}

function half(places: Place[]): Place[] {
  const kept: Place[] = [];
  for (const place of places) {
    while (turnsRight(kept.at(-2), kept.at(-1), place)) kept.pop();
    kept.push(place);
  }
  return kept.slice(0, -1); // where the other half begins
}

const turnsRight = (a: Place | undefined, b: Place | undefined, c: Place): boolean =>
  a !== undefined && b !== undefined && (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0;

/**
 * Comes in from far away towards the centre, in each direction, by as much as is
 * certain not to be too far, until the rope is as near as asked.
 */
function lineAround(rope: Place[], center: Point, metres: number): Coordinate[] {
  const far = metres + Math.max(...rope.map(([x, y]) => Math.hypot(x, y)));
  const line = Array.from({ length: BEARINGS }, (_, i) => {
    const bearing = (-360 * i) / BEARINGS;
    const [sin, cos] = [Math.sin((bearing * Math.PI) / 180), Math.cos((bearing * Math.PI) / 180)];
    let out = far;
    for (let step = Infinity, n = 0; step > 0.05 && n < 100; n++) {
      step = nearest(rope, [out * sin, out * cos]) - metres;
      out -= step;
    }
    return destination(center, out, bearing);
  });
  return line[0] === undefined ? line : [...line, line[0]];
}

/** Metres from a place to the rope. */
function nearest(rope: Place[], [px, py]: Place): number {
  let best = Infinity;
  rope.forEach(([bx, by], i) => {
    const [ax, ay] = rope.at(i - 1) ?? [bx, by];
    const [dx, dy] = [bx - ax, by - ay];
    const along = Math.min(1, Math.max(0, ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy || 1)));
    best = Math.min(best, Math.hypot(ax + along * dx - px, ay + along * dy - py));
  });
  return best;
}
