// What the map is to show. No code here: the page's own code knows these types
// before the map's code has come.

import type { Position, Site, TrailPoint } from '../wire/live';
import type { Tone } from '../look/tone';

export interface ChartAgent {
  readonly alias: string;
  readonly tone: Tone;
  readonly stale: boolean;
  /** Words beside the name, such as the age of a stale position. */
  readonly note: string;
  readonly position: Position;
  /** An H3 cell: the agent is somewhere in it. */
  readonly cell: string | undefined;
  /** Degrees clockwise from true north. */
  readonly heading: number | undefined;
}

export interface Chart {
  readonly site: Site;
  readonly agents: readonly ChartAgent[];
  readonly trails: readonly (readonly TrailPoint[])[];
  /** Why there is nothing to see, or nothing. */
  readonly note: string;
}
