// The live socket's frames, as design.md has them ('Wire: live socket'). The
// members keep their spelling on the wire.

import { integer, list, member, members, number, optional, ShapeError, text, time, word, type Members, type Read } from './shape';

export type MissionState = 'scheduled' | 'active' | 'paused' | 'ended' | 'cancelled';
export type Phase = 'en_route' | 'arriving' | 'on_site' | 'left';
export type Signal = 'live' | 'stationary' | 'lost' | 'paused';
export type EndReason = 'agent' | 'platform' | 'operator' | 'deadline' | 'missed' | 'cancelled';

/** Degrees, WGS 84. */
export interface Point {
  readonly latitude: number;
  readonly longitude: number;
}

export interface Position extends Point {
  /** Metres. */
  readonly accuracy: number | undefined;
}

/** A site that is a circle. */
export interface Circle {
  readonly name: string;
  readonly point: Point;
  readonly radius_m: number;
  readonly area?: undefined;
}

/** Longitude and latitude. */
export type LngLat = readonly [number, number];

/** A GeoJSON geometry: of each polygon first the outer ring, then its holes. */
export type Area =
  | { readonly type: 'Polygon'; readonly coordinates: readonly (readonly LngLat[])[] }
  | { readonly type: 'MultiPolygon'; readonly coordinates: readonly (readonly (readonly LngLat[])[])[] };

/** A site that is an outline. */
export interface Outline {
  readonly name: string;
  readonly area: Area;
}

export type Site = Circle | Outline;

export interface Mission {
  readonly id: string;
  readonly reference: string;
  readonly site: Site;
  readonly state: MissionState;
  /** Milliseconds since the epoch. */
  readonly starts_at: number;
  readonly ends_at: number;
}

/** The whole state of one agent. What the link's profile hides is undefined. */
export interface Agent {
  readonly alias: string;
  readonly version: number;
  readonly phase: Phase | undefined;
  readonly signal: Signal | undefined;
  /** Of the newest fix, milliseconds since the epoch. */
  readonly timestamp: number | undefined;
  readonly position: Position | undefined;
  /** An H3 cell, whose centre the position then is. */
  readonly cell: string | undefined;
  /** Degrees clockwise from true north. */
  readonly heading: number | undefined;
  /** From the position to the edge of the site, metres. */
  readonly distance_m: number | undefined;
  readonly eta_seconds: number | undefined;
  readonly eta_lower_seconds: number | undefined;
  readonly eta_upper_seconds: number | undefined;
}

export interface Checkpoints {
  readonly visited: number;
  readonly total: number;
}

interface Round {
  /** 0 to 1. */
  readonly coverage: number | undefined;
  readonly checkpoints: Checkpoints | undefined;
}

/** Timestamp, longitude, latitude. */
export type TrailPoint = readonly [number, number, number];

export interface Summary extends Round {
  readonly began_at: number | undefined;
  readonly ended_at: number | undefined;
  readonly on_site_seconds: number | undefined;
}

export interface Snapshot extends Round {
  readonly type: 'snapshot';
  readonly mission: Mission;
  readonly agents: readonly Agent[];
}
export interface Progress extends Round {
  readonly type: 'progress';
  readonly agents: readonly Agent[];
}
export interface Trail {
  readonly type: 'trail';
  readonly alias: string;
  readonly points: readonly TrailPoint[];
}
export interface StateChange {
  readonly type: 'state';
  readonly state: MissionState;
}
export interface Degraded {
  readonly type: 'degraded';
  readonly code: string;
}
export interface Recovered {
  readonly type: 'recovered';
}
export interface Ended {
  readonly type: 'ended';
  readonly reason: EndReason | undefined;
  readonly summary: Summary;
}

export type LiveFrame = Snapshot | Progress | Trail | StateChange | Degraded | Recovered | Ended;

const latitude = number(-90, 90);
const longitude = number(-180, 180);

const missionState: Read<MissionState> = (value, at) => {
  const state = word('scheduled', 'active', 'paused', 'ended', 'cancelled')(value, at);
  if (state === undefined) throw new ShapeError(at, 'a state of a mission');
  return state;
};

const point: Read<Point> = (value, at) => {
  const m = members(value, at);
  return { latitude: member(m, 'latitude', latitude), longitude: member(m, 'longitude', longitude) };
};

const position: Read<Position> = (value, at) => ({
  ...point(value, at),
  accuracy: member(members(value, at), 'accuracy', optional(number(0))),
});

const lngLat: Read<LngLat> = (value, at) => {
  if (!Array.isArray(value) || value.length !== 2) throw new ShapeError(at, 'a longitude and a latitude');
  return [longitude(value[0], at), latitude(value[1], at)];
};

const rings: Read<LngLat[][]> = (value, at) => {
  const polygon = list(list(lngLat))(value, at);
  if (polygon.length === 0 || polygon.some((ring) => ring.length < 4)) throw new ShapeError(at, 'a polygon');
  return polygon;
};

const area: Read<Area> = (value, at) => {
  const m = members(value, at);
  switch (member(m, 'type', word('Polygon', 'MultiPolygon'))) {
    case 'Polygon':
      return { type: 'Polygon', coordinates: member(m, 'coordinates', rings) };
    case 'MultiPolygon':
      return { type: 'MultiPolygon', coordinates: member(m, 'coordinates', list(rings)) };
    default:
      throw new ShapeError(at, 'a Polygon or MultiPolygon');
  }
};

const site: Read<Site> = (value, at) => {
  const m = members(value, at);
  const outline = member(m, 'area', optional(area));
  if (outline !== undefined) return { name: member(m, 'name', text), area: outline };
  return { name: member(m, 'name', text), point: member(m, 'point', point), radius_m: member(m, 'radius_m', number(0)) };
};

const mission: Read<Mission> = (value, at) => {
  const m = members(value, at);
  return {
    id: member(m, 'id', text),
    reference: member(m, 'reference', text),
    site: member(m, 'site', site),
    state: member(m, 'state', missionState),
    starts_at: member(m, 'starts_at', time),
    ends_at: member(m, 'ends_at', time),
  };
};

const cell: Read<string> = (value, at) => {
  const s = text(value, at);
  if (!/^8[0-9a-f]{14}$/.test(s)) throw new ShapeError(at, 'an H3 cell');
  return s;
};

const agent: Read<Agent> = (value, at) => {
  const m = members(value, at);
  return {
    alias: member(m, 'alias', text),
    version: member(m, 'version', integer(0)),
    phase: member(m, 'phase', optional(word('en_route', 'arriving', 'on_site', 'left'))),
    signal: member(m, 'signal', optional(word('live', 'stationary', 'lost', 'paused'))),
    timestamp: member(m, 'timestamp', optional(integer(0))),
    position: member(m, 'position', optional(position)),
    cell: member(m, 'cell', optional(cell)),
    heading: member(m, 'heading', optional(number(0, 360))),
    distance_m: member(m, 'distance_m', optional(number(0))),
    eta_seconds: member(m, 'eta_seconds', optional(number(0))),
    eta_lower_seconds: member(m, 'eta_lower_seconds', optional(number(0))),
    eta_upper_seconds: member(m, 'eta_upper_seconds', optional(number(0))),
  };
};

const checkpoints: Read<Checkpoints> = (value, at) => {
  const m = members(value, at);
  return { visited: member(m, 'visited', integer(0)), total: member(m, 'total', integer(0)) };
};

const round = (m: Members): Round => ({
  coverage: member(m, 'coverage', optional(number(0, 1))),
  checkpoints: member(m, 'checkpoints', optional(checkpoints)),
});

const trailPoint: Read<TrailPoint> = (value, at) => {
  if (!Array.isArray(value) || value.length < 3) throw new ShapeError(at, 'a point of a trail');
  return [integer(0)(value[0], at), longitude(value[1], at), latitude(value[2], at)];
};

const summary: Read<Summary> = (value, at) => {
  const m = members(value, at);
  return {
    ...round(m),
    began_at: member(m, 'began_at', optional(time)),
    ended_at: member(m, 'ended_at', optional(time)),
    on_site_seconds: member(m, 'on_site_seconds', optional(number(0))),
  };
};

const readers: { readonly [T in LiveFrame['type']]: (m: Members) => Extract<LiveFrame, { type: T }> } = {
  snapshot: (m) => ({
    type: 'snapshot',
    mission: member(m, 'mission', mission),
    agents: member(m, 'agents', list(agent)),
    ...round(m),
  }),
  progress: (m) => ({ type: 'progress', agents: member(m, 'agents', list(agent)), ...round(m) }),
  trail: (m) => ({ type: 'trail', alias: member(m, 'alias', text), points: member(m, 'points', list(trailPoint)) }),
  state: (m) => ({ type: 'state', state: member(m, 'state', missionState) }),
  degraded: (m) => ({ type: 'degraded', code: member(m, 'code', text) }),
  recovered: () => ({ type: 'recovered' }),
  ended: (m) => ({
    type: 'ended',
    reason: member(m, 'reason', word('agent', 'platform', 'operator', 'deadline', 'missed', 'cancelled')),
    summary: member(m, 'summary', summary),
  }),
};

/**
 * Decodes one frame. Returns undefined for a type that only a newer server
 * knows; throws ShapeError or SyntaxError for a frame that is not what it
 * should be. Unknown members are ignored.
 */
export function decodeLive(data: string): LiveFrame | undefined {
  const m = members(JSON.parse(data), 'frame');
  const type = member(m, 'type', text);
  return Object.hasOwn(readers, type) ? readers[type as LiveFrame['type']](m) : undefined;
}
