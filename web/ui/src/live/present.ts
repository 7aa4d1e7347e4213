// What the page shows for what it knows: pure, so that every state of it can be tested.

import type { Agent } from '../wire/live';
import { formatAccuracy, formatCoarse, formatDistance, formatDuration, formatShare, formatTime } from '../words/format';
import type { Words } from '../words/words';
import type { Tone } from '../look/tone';
import { cellEdge } from '../map/cell';
import type { Chart, ChartAgent } from '../map/chart';
import { LOST_GREY_AFTER, LOST_REMOVE_AFTER, SILENT_AFTER, STALE_AFTER, STALE_STATIONARY_AFTER } from './limits';
import { isFinal, type Live } from './state';

/** How much a position may be trusted to be where the agent is. */
export type Freshness = 'fresh' | 'stale' | 'none';

export interface AgentLine {
  readonly alias: string;
  readonly tone: Tone;
  readonly freshness: Freshness;
  readonly status: string;
  readonly facts: readonly string[];
}

export type Contact = 'none' | 'waiting' | 'good' | 'degraded' | 'lost';

export interface Page {
  readonly title: string;
  readonly tone: Tone;
  /** Whether what the tone says was true a while ago and may not be any more. */
  readonly stale: boolean;
  readonly site: string;
  readonly reference: string;
  readonly headline: string;
  readonly detail: string;
  /** What is read aloud when it changes: the headline without what changes all the time. */
  readonly announce: string;
  readonly contact: { readonly kind: Contact; readonly text: string };
  readonly agents: readonly AgentLine[];
  readonly summary: readonly (readonly [label: string, value: string])[];
  readonly retry: boolean;
  readonly chart: Chart | undefined;
}

export interface Now {
  /** Milliseconds since the epoch, on the server's clock: for the age of positions. */
  readonly server: number;
  /** On this device's clock: for what happened to this page. */
  readonly here: number;
}

export function present(live: Live, now: Now, words: Words): Page {
  const lostFor = live.lostAt === undefined ? 0 : now.here - live.lostAt;
  const agents = live.agents.map((agent) => look(agent, now.server, lostFor >= LOST_GREY_AFTER, words));
  const said = saying(live, agents, now, lostFor, words);
  const mission = live.mission;
  return {
    title: [said.announce, mission?.site.name].filter(Boolean).join(' · '),
    ...said,
    stale: said.tone !== 'silent' && agents.length > 0 && agents.every((a) => a.freshness !== 'fresh') && agents.some((a) => a.freshness === 'stale'),
    site: mission?.site.name ?? 'Ronde',
    reference: mission?.reference ?? '',
    contact: contact(live, lostFor, words),
    agents: lines(live, agents, lostFor, words),
    summary: summary(live, now, words),
    retry: live.link === 'refused',
    chart: chart(live, agents, lostFor, words),
  };
}

// One agent

interface Look {
  readonly agent: Agent;
  readonly tone: Tone;
  readonly freshness: Freshness;
  /** Milliseconds. */
  readonly age: number | undefined;
  /** The phase, and with the distance. */
  readonly phase: string;
  readonly status: string;
}

const phaseTones = { en_route: 'route', arriving: 'near', on_site: 'site', left: 'left' } as const;

function look(agent: Agent, now: number, lost: boolean, words: Words): Look {
  const age = agent.timestamp === undefined ? undefined : Math.max(0, now - agent.timestamp);
  const freshness = freshnessOf(agent, age, lost);
  const phase = phaseWords(agent, words);
  const away = agent.phase === 'on_site' ? undefined : awayWords(agent, words);
  const base = { agent, age, freshness, phase, status: away === undefined ? phase : `${phase}, ${away}` };
  if (agent.signal === 'paused') return { ...base, tone: 'break', phase: words.onBreak, status: words.onBreak };
  if (age === undefined) return { ...base, tone: 'wait', phase: words.waiting, status: words.waiting };
  const silent = agent.signal === 'lost' || (freshness === 'stale' && (lost || age >= SILENT_AFTER));
  const tone = silent ? 'silent' : agent.phase === undefined ? 'wait' : phaseTones[agent.phase];
  return { ...base, tone };
}

function freshnessOf(agent: Agent, age: number | undefined, lost: boolean): Freshness {
  if (age === undefined) return 'none';
  if (lost || agent.signal === 'lost') return 'stale';
  return age >= (agent.signal === 'stationary' ? STALE_STATIONARY_AFTER : STALE_AFTER) ? 'stale' : 'fresh';
}

function phaseWords(agent: Agent, words: Words): string {
  switch (agent.phase) {
    case 'en_route':
      return words.onTheWay;
    case 'arriving':
      return words.arriving;
    case 'on_site':
      return words.onSite;
    case 'left':
      return words.left;
    case undefined:
      return words.located;
  }
}

/** In a cell with larger edges than this, metres, nobody can be said to be near. */
const NEAR = 2500;

function awayWords(agent: Agent, words: Words): string | undefined {
  if (agent.distance_m === undefined) return undefined;
  if (agent.cell === undefined) return words.away(formatDistance(agent.distance_m, words.lang));
  if (agent.phase === 'arriving') return undefined; // the middle of the cell may be farther than arriving sounds
  const grain = cellEdge(agent.cell);
  if (agent.distance_m < grain) return grain <= NEAR ? words.nearSite : undefined;
  return words.about(formatCoarse(agent.distance_m, grain, words.lang));
}

function ageWords(age: number, words: Words): string {
  return words.age(age < 2000 ? undefined : formatDuration(age, words.lang));
}

function lines(live: Live, agents: readonly Look[], lostFor: number, words: Words): AgentLine[] {
  const without = (tone: Tone, status: string) => agents.map(({ agent }): AgentLine => ({ alias: agent.alias, tone, freshness: 'none', status, facts: [] }));
  switch (live.mission?.state) {
    case 'paused':
      return without('break', words.notLocated);
    case 'active':
      return lostFor >= LOST_REMOVE_AFTER ? without('silent', words.removed) : agents.map((a) => line(a, words));
    default:
      return [];
  }
}

function line({ agent, tone, freshness, age, status }: Look, words: Words): AgentLine {
  const facts: string[] = [];
  if (agent.signal === 'lost') facts.push(words.noSignal);
  if (age !== undefined) facts.push((freshness === 'stale' ? words.lastPosition : words.position)(ageWords(age, words)));
  if (agent.signal === 'stationary') facts.push(words.notMoving);
  if (agent.cell !== undefined) facts.push(words.area(formatCoarse(2 * cellEdge(agent.cell), 1, words.lang)));
  else if (agent.position?.accuracy !== undefined) facts.push(words.precision(formatAccuracy(agent.position.accuracy, words.lang)));
  if (agent.signal === 'paused') facts.push(words.notLocated);
  return { alias: agent.alias, tone, freshness, status: tone === 'silent' ? words.lastSeen(lower(status)) : status, facts };
}

// The whole page

type Saying = Pick<Page, 'tone' | 'headline' | 'detail' | 'announce'>;

const say = (tone: Tone, headline: string, detail = '', announce = headline): Saying => ({ tone, headline, detail, announce });

function saying(live: Live, agents: readonly Look[], now: Now, lostFor: number, words: Words): Saying {
  switch (live.link) {
    case 'missing':
      return say('dead', words.missing, words.missingDetail);
    case 'expired':
      return say('dead', words.expired, words.expiredDetail);
    case 'revoked':
      return say('dead', words.revoked, words.revokedDetail);
    case 'refused':
      return say('dead', words.refused, words.refusedDetail);
    case 'over':
      return sayOver(live, words);
    default:
  }
  const mission = live.mission;
  if (mission === undefined) return say('wait', words.connecting);
  switch (mission.state) {
    case 'ended':
    case 'cancelled':
      return sayOver(live, words);
    case 'scheduled': {
      const [from, to] = [mission.starts_at, mission.ends_at].map((at) => formatTime(at, now.server, words.lang));
      return say('wait', words.notBegun, words.planned(from ?? '', to ?? ''));
    }
    case 'paused':
      return say('break', words.paused, words.pausedDetail);
    case 'active':
      break;
  }
  if (lostFor >= LOST_REMOVE_AFTER) return say('silent', words.lost, words.lostRemoved);
  const [only] = agents;
  if (only === undefined) return say('wait', words.waiting);
  return agents.length === 1 ? sayOne(live, only, lostFor, words) : sayMany(live, agents, lostFor, words);
}

function sayOver(live: Live, words: Words): Saying {
  const reason = live.ended?.reason;
  if (reason === 'cancelled' || live.mission?.state === 'cancelled') return say('over', words.cancelled, words.ended.cancelled);
  return say('over', words.over, reason === undefined ? words.overAlready : words.ended[reason]);
}

function sayOne(live: Live, { agent, tone, freshness, age, phase, status }: Look, lostFor: number, words: Words): Saying {
  const aged = age === undefined ? '' : ageWords(age, words);
  if (tone === 'silent') {
    const headline =
      lostFor >= LOST_GREY_AFTER ? words.lost : words.noNews(age === undefined ? undefined : formatDuration(age, words.lang));
    return say(tone, headline, join(words.lastSeen(lower(status)), aged), lostFor >= LOST_GREY_AFTER ? words.lost : words.noNews(undefined));
  }
  if (age === undefined) return say(tone, status, tone === 'break' ? words.notLocated : '');
  if (freshness === 'stale') return say(tone, status, join(words.lastPosition(aged), ...round(live, words)), phase);
  return say(tone, status, join(...eta(agent, words), ...round(live, words), words.position(aged)), phase);
}

const ranks: readonly Tone[] = ['site', 'near', 'route', 'left', 'silent', 'break', 'wait'];

function sayMany(live: Live, agents: readonly Look[], lostFor: number, words: Words): Saying {
  const lost = lostFor >= LOST_GREY_AFTER;
  const groups = ranks
    .map((tone) => ({ tone, n: agents.filter((a) => a.tone === tone).length }))
    .filter(({ n }) => n > 0)
    .map(({ tone, n }) => ({ tone, words: countWords(tone, n, words).replaceAll(' ', '\u00a0') }));
  const counted = groups.map((g) => g.words).join(', ');
  if (lost) return say('silent', words.lost, counted);
  return say(groups[0]?.tone ?? 'wait', counted, join(...round(live, words)));
}

function countWords(tone: Tone, n: number, { count }: Words): string {
  switch (tone) {
    case 'site':
      return count.onSite(n);
    case 'near':
      return count.arriving(n);
    case 'route':
      return count.onTheWay(n);
    case 'left':
      return count.left(n);
    case 'break':
      return count.onBreak(n);
    case 'silent':
      return count.silent(n);
    default:
      return count.waiting(n);
  }
}

function eta(agent: Agent, words: Words): string[] {
  if (agent.eta_seconds === undefined || agent.phase === 'on_site' || agent.phase === 'left') return [];
  const minutes = Math.round(agent.eta_seconds / 60);
  return [minutes < 1 ? words.arrivesSoon : words.arrivesIn(formatDuration(minutes * 60_000, words.lang))];
}

function round(live: Live, words: Words): string[] {
  const said: string[] = [];
  if (live.checkpoints !== undefined && live.checkpoints.total > 0) {
    said.push(words.checkpoints(live.checkpoints.visited, live.checkpoints.total));
  }
  if (live.coverage !== undefined) said.push(words.covered(formatShare(live.coverage, words.lang)));
  return said;
}

const lower = (sentence: string): string => sentence.charAt(0).toLowerCase() + sentence.slice(1);

const join = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(' · ');

function contact(live: Live, lostFor: number, words: Words): Page['contact'] {
  if (isFinal(live.link)) return { kind: 'none', text: '' };
  switch (live.link) {
    case 'lost':
      return { kind: 'lost', text: words.reconnecting(formatDuration(lostFor, words.lang)) };
    case 'live':
      return live.degraded === undefined
        ? { kind: 'good', text: words.connected }
        : { kind: 'degraded', text: degradedWords(live.degraded, words) };
    default:
      return { kind: 'waiting', text: words.connecting };
  }
}

function degradedWords(code: string, { degraded }: Words): string {
  if (code === 'bus_unavailable') return degraded.bus;
  return code === 'store_unavailable' ? degraded.store : degraded.other;
}

function summary({ link, ended }: Live, now: Now, words: Words): Page['summary'] {
  if (link !== 'over' || ended === undefined) return [];
  const { began_at, ended_at, on_site_seconds, checkpoints, coverage } = ended.summary;
  const lines: (readonly [string, string])[] = [];
  if (began_at !== undefined) {
    lines.push([words.summary.began, formatTime(began_at, now.server, words.lang)]);
    if (ended_at !== undefined) lines.push([words.summary.ended, formatTime(ended_at, now.server, words.lang)]);
  }
  if (on_site_seconds !== undefined) lines.push([words.summary.onSite, formatDuration(on_site_seconds * 1000, words.lang)]);
  if (checkpoints !== undefined && checkpoints.total > 0) {
    lines.push([words.summary.checkpoints, words.summary.of(checkpoints.visited, checkpoints.total)]);
  }
  if (coverage !== undefined) lines.push([words.summary.coverage, formatShare(coverage, words.lang)]);
  return lines;
}

// The map

function chart(live: Live, agents: readonly Look[], lostFor: number, words: Words): Chart | undefined {
  if (live.mission === undefined || isFinal(live.link)) return undefined;
  const shown = agents.flatMap((a) => chartAgent(a, words));
  return {
    site: live.mission.site,
    agents: shown,
    trails: [...(live.trails?.values() ?? [])],
    note: shown.length > 0 ? '' : chartNote(live, agents, lostFor, words),
  };
}

function chartAgent({ agent, tone, freshness, age }: Look, words: Words): ChartAgent[] {
  if (agent.position === undefined) return [];
  return [
    {
      alias: agent.alias,
      tone,
      stale: freshness !== 'fresh',
      note: freshness === 'stale' && age !== undefined ? words.age(formatDuration(age, words.lang)) : '',
      position: agent.position,
      cell: agent.cell,
      heading: agent.heading,
    },
  ];
}

function chartNote(live: Live, agents: readonly Look[], lostFor: number, words: Words): string {
  switch (live.mission?.state) {
    case 'scheduled':
      return words.mapScheduled;
    case 'paused':
      return words.mapPaused;
    case 'active':
      if (lostFor >= LOST_REMOVE_AFTER) return words.mapLost;
      return agents.some((a) => a.age !== undefined) ? words.mapWithout : words.mapWaiting;
    default:
      return '';
  }
}
