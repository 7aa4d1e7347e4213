// How the chart looks: no tiles, nothing from anywhere. Its colours are those
// of the page's own style sheet.

import type { DataDrivenPropertyValueSpecification, StyleSpecification } from 'maplibre-gl';
import type { Tone } from '../look/tone';

const tones: readonly Tone[] = ['wait', 'route', 'near', 'site', 'left', 'break', 'silent', 'over', 'dead'];

// Tolerance: circles are to look round.
const empty = { type: 'geojson' as const, tolerance: 0.05, data: { type: 'FeatureCollection' as const, features: [] } };

/** Paint properties, by layer. */
type Paints = Record<string, Record<string, unknown>>;

export function paints(colour: (name: string) => string): Paints {
  const byTone = ['match', ['get', 'tone'], ...tones.flatMap((t) => [t, colour(`--tone-${t}`)]), colour('--tone-silent')];
  const tone = ['case', ['get', 'stale'], colour('--map-stale'), byTone] as unknown as DataDrivenPropertyValueSpecification<string>;
  return {
    ground: { 'background-color': colour('--map-ground') },
    rings: { 'line-color': colour('--map-ring'), 'line-width': 1 },
    'site-fill': { 'fill-color': colour('--map-site'), 'fill-opacity': 0.12 },
    'site-edge': { 'line-color': colour('--map-site'), 'line-width': 2.5 },
    trails: { 'line-color': colour('--map-trail'), 'line-width': 2, 'line-dasharray': [0.2, 2.2] },
    'shape-fill': { 'fill-color': tone, 'fill-opacity': 0.16 },
    'shape-edge': { 'line-color': tone, 'line-width': 1.5 },
    'shape-edge-stale': { 'line-color': colour('--map-stale'), 'line-width': 1.5, 'line-dasharray': [3, 3] },
  };
}

export function chartStyle(colour: (name: string) => string): StyleSpecification {
  const paint = paints(colour);
  const round = { 'line-cap': 'round', 'line-join': 'round' } as const;
  return {
    version: 8,
    sources: { rings: empty, site: empty, trails: empty, shapes: empty },
    layers: [
      { id: 'ground', type: 'background', paint: { ...paint['ground'] } },
      { id: 'rings', type: 'line', source: 'rings', paint: { ...paint['rings'] } },
      { id: 'site-fill', type: 'fill', source: 'site', paint: { ...paint['site-fill'] } },
      { id: 'site-edge', type: 'line', source: 'site', paint: { ...paint['site-edge'] } },
      { id: 'trails', type: 'line', source: 'trails', layout: round, paint: { ...paint['trails'] } },
      { id: 'shape-fill', type: 'fill', source: 'shapes', paint: { ...paint['shape-fill'] } },
      { id: 'shape-edge', type: 'line', source: 'shapes', filter: ['!', ['get', 'stale']], paint: { ...paint['shape-edge'] } },
      { id: 'shape-edge-stale', type: 'line', source: 'shapes', filter: ['get', 'stale'], paint: { ...paint['shape-edge-stale'] } },
    ],
  };
}
