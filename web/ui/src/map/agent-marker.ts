// One agent on the map: a dot with a name, or for a cell the name alone,
// because a dot would say more than is known.

import { Marker, type Map as MapLibre } from 'maplibre-gl';
import { make, setText } from '../look/dom';
import type { Point } from '../wire/live';
import type { ChartAgent } from './chart';
import { distance } from './geometry';

const GLIDE = 700; // milliseconds
/** Farther than this, metres, a marker jumps: it would otherwise seem to fly. */
const GLIDE_MOST = 300;

export class AgentMarker {
  readonly #element = make('div', 'mark');
  readonly #name = make('span', 'mark-name');
  readonly #note = make('span', 'mark-note');
  readonly #marker: Marker;
  #at: Point;
  #frame = 0;

  constructor(map: MapLibre, agent: ChartAgent) {
    const label = make('span', 'mark-label');
    label.append(this.#name, this.#note);
    this.#element.append(make('span', 'mark-heading'), make('span', 'mark-dot'), label);
    this.#element.setAttribute('aria-hidden', 'true'); // the list of agents says it in words
    this.#element.dataset['alias'] = agent.alias;
    this.#at = agent.position;
    this.#marker = new Marker({ element: this.#element }).setLngLat([this.#at.longitude, this.#at.latitude]);
    this.show(agent);
    this.#marker.addTo(map);
  }

  show(agent: ChartAgent): void {
    const { dataset, style } = this.#element;
    dataset['tone'] = agent.tone;
    dataset['stale'] = String(agent.stale);
    dataset['kind'] = agent.cell === undefined ? 'point' : 'cell';
    dataset['heading'] = agent.heading === undefined || agent.stale ? 'unknown' : 'known';
const down = dataset['heading'] === 'known' && agent.heading !== undefined && agent.heading > 120 && agent.heading < 240;
    dataset['side'] = down ? 'above' : 'below'; // the name is not to hide the arrow
    if (agent.heading !== undefined) style.setProperty('--heading', `${agent.heading}deg`);
    setText(this.#name, agent.alias);
    setText(this.#note, agent.note);
    this.#move(agent);
  }

  remove(): void {
    cancelAnimationFrame(this.#frame);
    this.#marker.remove();
  }

  #move({ position, cell, stale }: ChartAgent): void {
    const from = this.#at;
    if (from.latitude === position.latitude && from.longitude === position.longitude) return;
    cancelAnimationFrame(this.#frame);
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    if (still || stale || cell !== undefined || document.hidden || distance(from, position) > GLIDE_MOST) {
      this.#put(position);
      return;
    }
    const start = performance.now();
    const step = (now: number) => {
      const t = Math.min(1, Math.max(0, (now - start) / GLIDE));
      const eased = t * (2 - t);
      this.#put({
        latitude: from.latitude + (position.latitude - from.latitude) * eased,
        longitude: from.longitude + (position.longitude - from.longitude) * eased,
      });
      if (t < 1) this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }

  #put(at: Point): void {
    this.#at = at;
    this.#marker.setLngLat([at.longitude, at.latitude]);
  }
}
