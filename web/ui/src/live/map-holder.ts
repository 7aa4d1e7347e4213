// Loads the map's code when there is something to show on it, and not before:
// the words come first. Lets go of the map, with all it holds, when there is
// nothing any more.

import type { Chart } from '../map/chart';
import type { MapView } from '../map/map';
import { make } from '../look/dom';
import type { Words } from '../words/words';

export class MapHolder {
  readonly #place: HTMLElement;
  readonly #words: Words;
  #wanted: Chart | undefined;
  #map: MapView | undefined;
  #state: 'none' | 'loading' | 'open' | 'failed' = 'none';

  constructor(place: HTMLElement, words: Words) {
    this.#place = place;
    this.#words = words;
  }

  show(chart: Chart | undefined): void {
    this.#wanted = chart;
    if (chart === undefined) this.#close();
    else if (this.#state === 'none') void this.#load();
    else this.#map?.show(chart);
  }

  async #load(): Promise<void> {
    this.#state = 'loading';
    try {
      const { openMap } = await import('../map/map');
      if (this.#wanted === undefined) {
        this.#state = 'none';
        return;
      }
      this.#map = openMap(this.#place, this.#wanted, this.#words);
      this.#state = 'open';
    } catch {
      this.#state = 'failed';
      this.#place.replaceChildren(make('p', 'chart-failed', this.#words.mapFailed));
    }
  }

  #close(): void {
    this.#map?.close();
    this.#map = undefined;
    if (this.#state === 'open') this.#state = 'none';
    this.#place.replaceChildren();
  }
}
