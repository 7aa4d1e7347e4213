import { describe, expect, it } from 'vitest';
import type { Area } from '../wire/live';
import { distance, type Coordinate } from './geometry';
import { shapeOf } from './site-shape';

const at = ([longitude, latitude]: readonly [number, number]) => ({ latitude, longitude });

// An L of 110 by 110 m, with a yard, and a hut 40 m east of it.
const building: Area = {
  type: 'MultiPolygon',
  coordinates: [
    [
      [[2.41, 48.84], [2.4115, 48.84], [2.4115, 48.8403], [2.4104, 48.8403], [2.4104, 48.841], [2.41, 48.841], [2.41, 48.84]],
      [[2.4101, 48.8401], [2.4101, 48.8402], [2.4103, 48.8402], [2.4103, 48.8401], [2.4101, 48.8401]],
    ],
    [[[2.412, 48.8408], [2.4122, 48.8408], [2.4122, 48.841], [2.412, 48.8408]]],
  ],
};

// A rope around them: past the inner corner of the L, and the gap.
const rope: Coordinate[] = [[2.41, 48.84], [2.4115, 48.84], [2.4122, 48.8408], [2.4122, 48.841], [2.41, 48.841], [2.41, 48.84]];

/** The distance to the nearest of many points along the rope. */
function toRope(place: Coordinate): number {
  let best = Infinity;
  rope.slice(1).forEach(([x, y], i) => {
    const [fromX, fromY] = rope[i] ?? [x, y];
    for (let t = 0; t <= 1; t += 1 / 512) {
      best = Math.min(best, distance(at(place), { longitude: fromX + t * (x - fromX), latitude: fromY + t * (y - fromY) }));
    }
  });
  return best;
}

describe('the shape of an area', () => {
  const shape = shapeOf({ name: 'Bureaux', area: building });
  it('keeps its parts and their yards', () => {
    expect(shape.polygons).toEqual(building.coordinates);
  });
  it('has its name south of it', () => {
    expect(shape.south[1]).toBe(48.84);
    expect(shape.south[0]).toBeCloseTo(2.4111, 9);
  });
  it.each([5, 25, 100, 1000])('has a line around it, %i m outside everywhere', (metres) => {
    const line = shape.around(metres);
    expect(line[0]).toEqual(line.at(-1));
    expect(line[0]?.[0]).toBeCloseTo(shape.center.longitude, 9);
    for (const place of line) expect(Math.abs(toRope(place) - metres)).toBeLessThan(0.3 + metres / 1000);
  });
});

describe('the shape of a circle', () => {
  const shape = shapeOf({ name: 'Entrepôt', point: { latitude: 48.84, longitude: 2.41 }, radius_m: 80 });
  it('has lines around it, farther from its middle by its radius', () => {
    for (const place of shape.around(25)) expect(distance(shape.center, at(place))).toBeCloseTo(105, 1);
  });
});
