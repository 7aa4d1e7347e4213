// The chart: the site, rings of distance around it, and where the agents may
// be. This module and what it imports are loaded after the page's first paint.

import type { Feature as GeoJsonFeature, GeoJsonProperties, LineString, MultiPolygon, Polygon } from 'geojson';
import { Map as MapLibre, Marker, ScaleControl, setWorkerUrl, type GeoJSONSource } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?url';
import { make, setText } from '../look/dom';
import { formatDistance } from '../words/format';
import type { Words } from '../words/words';
import { AgentMarker } from './agent-marker';
import type { Chart } from './chart';
import { boundsOf, circle, contains, metresPerPixel, ringDistances, type Bounds, type Coordinate } from './geometry';
import './map.css';
import { loadCells, needsCells, outline } from './shapes';
import { shapeOf, type SiteShape } from './site-shape';
import { chartStyle, paints } from './style';
import { trustWorker } from './trusted';

export interface MapView {
  show(chart: Chart): void;
  /** Lets go of the map and all it holds. */
  close(): void;
}

/** Opens a map in `place`. Throws if the device cannot draw one. */
export function openMap(place: HTMLElement, chart: Chart, words: Words): MapView {
  trustWorker(workerUrl);
  setWorkerUrl(workerUrl);
  return new ChartMap(place, chart, words);
}

const RING_GAP = 52; // pixels
const PADDING = { top: 68, right: 64, bottom: 88, left: 64 };
const CLOSEST = 16;

class ChartMap implements MapView {
  readonly #place: HTMLElement;
  readonly #words: Words;
  readonly #map: MapLibre;
  readonly #note = make('p', 'chart-note');
  readonly #recentre: HTMLButtonElement;
  readonly #end = new AbortController();
  readonly #agents = new Map<string, AgentMarker>();
  readonly #site: Marker;
  readonly #siteName = make('span', 'site-name');
  #rings: Marker[] = [];
  #chart: Chart;
  #shape: SiteShape;
  #loaded = false;
  /** Whether the device took away what the map is drawn with. The markers are the page's own, and go on. */
  #lost = false;
  #drawn: Record<string, string> = {};
  /** Whether the view follows what is shown; until the reader moves it. */
  #following = true;

  constructor(place: HTMLElement, chart: Chart, words: Words) {
    this.#place = place;
    this.#words = words;
    this.#chart = chart;
    this.#shape = shapeOf(chart.site);
    const canvas = make('div', 'chart-map');
    place.replaceChildren(canvas);
    this.#map = new MapLibre({
      container: canvas,
      style: chartStyle((name) => this.#colour(name)),
      attributionControl: false, // there is nothing of anybody else's on it
      locale: { 'Map.Title': words.map },
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      renderWorldCopies: false,
      maxZoom: 19,
      fadeDuration: 0,
      center: [this.#shape.center.longitude, this.#shape.center.latitude],
      zoom: 14,
    });
    this.#map.touchZoomRotate.disableRotation();
    this.#map.keyboard.disableRotation();
    this.#map.addControl(new ScaleControl({ maxWidth: 96, unit: 'metric' }), 'bottom-left');
    this.#recentre = this.#tool('recentre', words.recentre, () => this.#follow());
    const north = make('span', 'chart-north', 'N');
    north.setAttribute('aria-hidden', 'true');
    place.append(north, this.#tools(), this.#note);
    this.#siteName.setAttribute('aria-hidden', 'true');
    this.#site = new Marker({ element: this.#siteName, anchor: 'top', offset: [0, 4] }).setLngLat(this.#shape.south).addTo(this.#map);
    this.#listen();
    this.#draw();
    this.#fit(true);
  }

  show(chart: Chart): void {
    if (chart.site !== this.#chart.site) this.#shape = shapeOf(chart.site);
    this.#chart = chart;
    this.#draw();
    if (this.#following) this.#fit(false);
  }

  close(): void {
    this.#end.abort();
    this.#clearMarkers();
    this.#chart = { ...this.#chart, agents: [], trails: [] };
    this.#drawn = {};
    this.#map.remove();
    this.#place.replaceChildren();
  }

  #listen(): void {
    const moved = (event: { originalEvent?: unknown }) => {
      if (event.originalEvent !== undefined) this.#unfollow();
    };
    this.#map.on('dragstart', moved);
    this.#map.on('zoomstart', moved);
    this.#map.on('movestart', moved);
    this.#map.on('zoom', () => this.#drawRings());
    this.#map.on('resize', () => {
      if (this.#following) this.#fit(true);
      this.#drawRings();
    });
    this.#map.on('error', () => undefined); // nothing here can be mended, and the words go on
    this.#map.on('load', () => {
      this.#loaded = true;
      this.#draw();
    });
    this.#map.on('webglcontextlost', () => {
      this.#lost = true;
      this.#draw();
    });
    this.#map.on('webglcontextrestored', () => {
      this.#lost = false;
      this.#drawn = {}; // what was given to it meanwhile it did not take
      this.#draw();
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#recolour(), { signal: this.#end.signal });
  }

  #tools(): HTMLElement {
    const tools = make('div', 'chart-tools');
    this.#recentre.hidden = true;
    tools.append(
      this.#recentre,
      this.#tool('zoom-in', this.#words.zoomIn, () => this.#zoom(1)),
      this.#tool('zoom-out', this.#words.zoomOut, () => this.#zoom(-1)),
    );
    return tools;
  }

  #tool(name: string, label: string, act: () => void): HTMLButtonElement {
    const button = make('button', `tool tool-${name}`);
    button.type = 'button';
    button.setAttribute('aria-label', label);
    button.title = label;
    button.addEventListener('click', act);
    return button;
  }

  #zoom(by: number): void {
    this.#unfollow();
    this.#map.easeTo({ zoom: this.#map.getZoom() + by, duration: 250 });
  }

  #unfollow(): void {
    this.#following = false;
    this.#recentre.hidden = false;
  }

  #follow(): void {
    this.#following = true;
    this.#recentre.hidden = true;
    this.#fit(false, true);
    this.#map.getCanvas().focus(); // the button is gone, and the focus must not be lost
  }

  #draw(): void {
    const { agents, site } = this.#chart;
    const note = this.#lost ? this.#words.mapFailed : this.#chart.note;
    setText(this.#note, note);
    this.#note.hidden = note === '';
    setText(this.#siteName, site.name);
    this.#site.setLngLat(this.#shape.south);
    const gone = new Set(this.#agents.keys());
    for (const agent of agents) {
      gone.delete(agent.alias);
      const marker = this.#agents.get(agent.alias);
      if (marker === undefined) this.#agents.set(agent.alias, new AgentMarker(this.#map, agent));
      else marker.show(agent);
    }
    for (const alias of gone) {
      this.#agents.get(alias)?.remove();
      this.#agents.delete(alias);
    }
    if (this.#loaded && !this.#lost) this.#drawSources();
    if (needsCells(agents)) this.#loadCells();
  }

  #loadCells(): void {
    loadCells().then(
      () => {
        if (!this.#end.signal.aborted) this.show(this.#chart);
      },
      () => undefined, // then a circle stands for the cell, and is large enough to hold it
    );
  }

  #drawSources(): void {
    const { agents, trails } = this.#chart;
    this.#set('site', [polygons(this.#shape.polygons)]);
    this.#set('trails', trails.filter((points) => points.length > 1).map((points) => line(points.map(([, lng, lat]) => [lng, lat]))));
    this.#set(
      'shapes',
      agents
        .map((agent) => ({ agent, ring: outline(agent) }))
        .filter(({ ring }) => ring.length > 2)
        .map(({ agent, ring }) => polygon(ring, { tone: agent.tone, stale: agent.stale })),
    );
    this.#drawRings();
  }

  #drawRings(): void {
    if (!this.#loaded || this.#lost) return;
    const scale = metresPerPixel(this.#shape.center.latitude, this.#map.getZoom());
    const rings = ringDistances(scale, RING_GAP, 3000).map((d) => ({ d, around: this.#shape.around(d) }));
    if (!this.#set('rings', rings.map(({ around }) => line(around)))) return;
    for (const label of this.#rings) label.remove();
    this.#rings = rings.map(({ d, around }) => {
      const element = make('span', 'ring-name', formatDistance(d, this.#words.lang));
      element.setAttribute('aria-hidden', 'true');
      return new Marker({ element }).setLngLat(around[0] ?? [0, 0]).addTo(this.#map);
    });
  }

  /** Gives a source its features, unless it has them. Returns whether it had not. */
  #set(source: string, features: Feature[]): boolean {
    const drawn = JSON.stringify(features);
    if (this.#drawn[source] === drawn) return false;
    this.#drawn[source] = drawn;
    this.#map.getSource<GeoJSONSource>(source)?.setData({ type: 'FeatureCollection', features });
    return true;
  }

  #fit(jump: boolean, force = jump): void {
    const box = boundsOf(this.#corners());
    if (box === undefined) return;
    const camera = this.#map.cameraForBounds([box.west, box.south, box.east, box.north], { padding: PADDING, maxZoom: CLOSEST });
    if (camera?.center === undefined || camera.zoom === undefined) return;
    const near = contains(this.#bounds(), box) && Math.abs(camera.zoom - this.#map.getZoom()) < 1;
    if (near && !force) return;
    if (jump) this.#map.jumpTo(camera);
    else if (!this.#map.isMoving()) this.#map.easeTo({ ...camera, duration: 800 });
  }

  #corners(): Coordinate[] {
    return [...circle(this.#shape.center, 30), ...this.#shape.polygons.flat(2), ...this.#chart.agents.flatMap(outline)];
  }

  #bounds(): Bounds {
    const b = this.#map.getBounds();
    return { west: b.getWest(), south: b.getSouth(), east: b.getEast(), north: b.getNorth() };
  }

  #recolour(): void {
    for (const [layer, paint] of Object.entries(paints((name) => this.#colour(name)))) {
      for (const [name, value] of Object.entries(paint)) this.#map.setPaintProperty(layer, name as never, value as never);
    }
  }

  #colour(name: string): string {
    return getComputedStyle(this.#place).getPropertyValue(name).trim();
  }

  #clearMarkers(): void {
    for (const marker of this.#agents.values()) marker.remove();
    this.#agents.clear();
    for (const label of this.#rings) label.remove();
    this.#rings = [];
    this.#site.remove();
  }
}

type Feature = GeoJsonFeature<Polygon | MultiPolygon | LineString>;

const polygon = (ring: Coordinate[], properties: GeoJsonProperties): Feature => ({
  type: 'Feature',
  properties,
  geometry: { type: 'Polygon', coordinates: [ring] },
});

const polygons = (coordinates: Coordinate[][][]): Feature => ({
  type: 'Feature',
  properties: {},
  geometry: { type: 'MultiPolygon', coordinates },
});

const line = (coordinates: Coordinate[]): Feature => ({
  type: 'Feature',
  properties: {},
  geometry: { type: 'LineString', coordinates },
});
