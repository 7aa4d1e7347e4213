// What the page knows, and how each event changes it: a pure fold.

import type { Final } from '../wire/close';
import type { Agent, Checkpoints, Ended, LiveFrame, Mission, TrailPoint } from '../wire/live';
import { LOST_REMOVE_AFTER } from './limits';

/** How the page stands with the server. */
export type Link = 'connecting' | 'live' | 'lost' | 'missing' | Final;

export interface Live {
  readonly link: Link;
  /** When the connection was lost, on this device's clock; undefined while there is one. */
  readonly lostAt: number | undefined;
  /** Why the server shows less than there is. */
  readonly degraded: string | undefined;
  readonly mission: Mission | undefined;
  readonly agents: readonly Agent[];
  /** Where agents went, by alias. Undefined: the link has no trail. */
  readonly trails: ReadonlyMap<string, readonly TrailPoint[]> | undefined;
  readonly coverage: number | undefined;
  readonly checkpoints: Checkpoints | undefined;
  readonly ended: Ended | undefined;
}

export type LiveEvent =
  | { readonly type: 'frame'; readonly frame: LiveFrame }
  | { readonly type: 'lost'; readonly at: number }
  | { readonly type: 'final'; readonly why: Final }
  | { readonly type: 'tick'; readonly at: number }
  /** The page is being left: it keeps nothing to come back to. */
  | { readonly type: 'left' };

/** The most points of one trail that are kept. */
const TRAIL_POINTS = 5000;

const nothing = {
  lostAt: undefined,
  degraded: undefined,
  mission: undefined,
  agents: [],
  trails: undefined,
  coverage: undefined,
  checkpoints: undefined,
  ended: undefined,
} satisfies Omit<Live, 'link'>;

export const initial = (link: Link): Live => ({ ...nothing, link });

/** Whether nothing more will ever come. */
export const isFinal = (link: Link): boolean => link !== 'connecting' && link !== 'live' && link !== 'lost';

export function reduce(live: Live, event: LiveEvent): Live {
  if (event.type === 'left') return initial(live.link);
  if (isFinal(live.link) && event.type !== 'final') return live;
  switch (event.type) {
    case 'frame':
      return take(live, event.frame);
    case 'lost':
      return live.link === 'lost' ? live : { ...live, link: 'lost', lostAt: event.at };
    case 'final':
      return finish(live, event.why);
    case 'tick':
      return live.lostAt !== undefined && event.at - live.lostAt >= LOST_REMOVE_AFTER ? withoutPositions(live) : live;
  }
}

function take(live: Live, frame: LiveFrame): Live {
  switch (frame.type) {
    case 'snapshot':
      return {
        ...initial('live'),
        mission: frame.mission,
        agents: frame.mission.state === 'active' ? frame.agents : frame.agents.map(bare),
        coverage: frame.coverage,
        checkpoints: frame.checkpoints,
      };
    case 'progress':
      // Nobody is located unless the mission is active, whatever a frame says.
      return live.mission?.state === 'active' ? progress(live, frame.agents, frame) : live;
    case 'trail':
      if (live.mission?.state !== 'active') return live;
      return { ...live, trails: new Map(live.trails).set(frame.alias, frame.points.slice(-TRAIL_POINTS)) };
    case 'state':
      if (live.mission === undefined) return live;
      return { ...withoutPositions(live), mission: { ...live.mission, state: frame.state } };
    case 'degraded':
      return { ...live, degraded: frame.code };
    case 'recovered':
      return { ...live, degraded: undefined };
    case 'ended':
      return finish({ ...live, ended: frame }, 'over');
  }
}

function progress(live: Live, news: readonly Agent[], round: Pick<Live, 'coverage' | 'checkpoints'>): Live {
  const agents = [...live.agents];
  let trails = live.trails;
  for (const agent of news) {
    const i = agents.findIndex((known) => known.alias === agent.alias);
    const known = agents[i];
    if (known === undefined) agents.push(agent);
    else if (agent.version >= known.version) agents[i] = agent;
    else continue;
    if (trails !== undefined) trails = extend(trails, agent);
  }
  return {
    ...live,
    agents,
    trails,
    coverage: round.coverage ?? live.coverage,
    checkpoints: round.checkpoints ?? live.checkpoints,
  };
}

/** Adds an agent's new position to their trail; without a position there is no trail. */
function extend(trails: ReadonlyMap<string, readonly TrailPoint[]>, agent: Agent) {
  const before = trails.get(agent.alias) ?? [];
  const { position, timestamp } = agent;
  if (position === undefined || timestamp === undefined) {
    if (before.length === 0) return trails;
    const left = new Map(trails);
    left.delete(agent.alias);
    return left;
  }
  if (timestamp <= (before.at(-1)?.[0] ?? 0)) return trails;
  const point: TrailPoint = [timestamp, position.longitude, position.latitude];
  return new Map(trails).set(agent.alias, [...before, point].slice(-TRAIL_POINTS));
}

/** An agent of whom nothing is known. The version stays: what is older is still refused. */
const bare = ({ alias, version }: Agent): Agent => ({
  alias,
  version,
  phase: undefined,
  signal: undefined,
  timestamp: undefined,
  position: undefined,
  cell: undefined,
  heading: undefined,
  distance_m: undefined,
  eta_seconds: undefined,
  eta_lower_seconds: undefined,
  eta_upper_seconds: undefined,
});

const withoutPositions = (live: Live): Live =>
  live.trails === undefined && live.agents.every((a) => a.timestamp === undefined && a.signal === undefined)
    ? live
    : { ...live, agents: live.agents.map(bare), trails: undefined };

/** The end of the connection, for good. Of a mission that is over its name and summary stay, of a dead link nothing. */
function finish(live: Live, why: Final): Live {
  if (live.link === 'over') return live;
  const end = initial(why);
  return why === 'over' ? { ...end, mission: live.mission, ended: live.ended } : end;
}
