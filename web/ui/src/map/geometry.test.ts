import { cellToBoundary, cellToLatLng, getHexagonEdgeLengthAvg, getResolution } from 'h3-js';
import { describe, expect, it } from 'vitest';
import { cellEdge, cellResolution } from './cell';
import { boundsOf, circle, contains, destination, distance, metresPerPixel, ringDistances } from './geometry';
import { loadCells, outline } from './shapes';

const paris = { latitude: 48.84, longitude: 2.41 };
const at = ([longitude, latitude]: readonly [number, number]) => ({ latitude, longitude });

describe('a destination', () => {
  it.each([0, 45, 90, 180, 270])('lies as far away as asked, to %i°', (bearing) => {
    expect(distance(paris, at(destination(paris, 1000, bearing)))).toBeCloseTo(1000, 0);
  });
  it('lies north at 0° and east at 90°', () => {
    expect(destination(paris, 1000, 0)[1]).toBeGreaterThan(paris.latitude);
    expect(destination(paris, 1000, 90)[0]).toBeGreaterThan(paris.longitude);
  });
});

describe('a circle', () => {
  it('is a closed ring, all of it as far away', () => {
    const ring = circle(paris, 80);
    expect(ring[0]).toEqual(ring.at(-1));
    for (const c of ring) expect(distance(paris, at(c))).toBeCloseTo(80, 1);
  });
});

describe('rings', () => {
  it('stand apart enough to be told apart', () => {
    for (const zoom of [3, 9, 12, 14, 16.5, 19]) {
      const scale = metresPerPixel(paris.latitude, zoom);
      const rings = ringDistances(scale, 52, 3000);
      rings.forEach((d, i) => expect((d - (rings[i - 1] ?? 0)) / scale).toBeGreaterThanOrEqual(52));
      expect(rings.length).toBeGreaterThan(1);
      expect(rings.length).toBeLessThan(14);
    }
  });
});

describe('a box', () => {
  it('holds what it was made of', () => {
    const box = boundsOf(circle(paris, 500));
    const inner = boundsOf(circle(paris, 400));
    expect(box && inner && contains(box, inner)).toBe(true);
    expect(box && inner && contains(inner, box)).toBe(false);
    expect(boundsOf([])).toBeUndefined();
  });
});

describe('an H3 cell', () => {
  const cells = ['8019fffffffffff', '881fb4645bfffff', '8a1fb46622dffff'];
  it.each(cells)('%s is known without the library', (cell) => {
    expect(cellResolution(cell)).toBe(getResolution(cell));
    expect(cellEdge(cell) / getHexagonEdgeLengthAvg(getResolution(cell), 'm')).toBeCloseTo(1, 1);
  });
  it('is drawn as a circle that holds it, until the library is there, and then as it is', async () => {
    for (const cell of cells.slice(1)) {
      const [latitude, longitude] = cellToLatLng(cell);
      const center = { latitude, longitude, accuracy: undefined };
      const agent = { alias: 'A1', tone: 'route', stale: false, note: '', position: center, cell, heading: undefined } as const;
      const reach = Math.max(...cellToBoundary(cell).map(([lat, lng]) => distance(center, { latitude: lat, longitude: lng })));
      expect(reach).toBeLessThan(1.3 * cellEdge(cell));
      if (cell === cells[1]) expect(outline(agent)).toHaveLength(73);
      await loadCells();
      expect(outline(agent)).toHaveLength(7);
    }
  });
});
