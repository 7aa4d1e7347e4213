import { describe, expect, it } from 'vitest';
import { decodeLive, type LiveFrame } from '../wire/live';
import { LOST_REMOVE_AFTER } from './limits';
import { initial, reduce, type Live, type LiveEvent } from './state';

const mission = (state = 'active') => ({
  id: 'm',
  reference: 'M-1',
  site: { name: 'Entrepôt', point: { latitude: 48.84, longitude: 2.41 }, radius_m: 80 },
  state,
  starts_at: '2026-11-21T19:00:00Z',
  ends_at: '2026-11-22T03:00:00Z',
});
const agent = (alias: string, version: number, of: object = {}) => ({
  alias,
  version,
  phase: 'en_route',
  signal: 'live',
  timestamp: 1000 + version,
  position: { latitude: 48.8, longitude: 2.4 },
  ...of,
});
const frame = (of: object): LiveEvent => ({ type: 'frame', frame: decodeLive(JSON.stringify(of)) as LiveFrame });
const snapshot = (state = 'active', agents: object[] = [agent('A1', 10)]) => frame({ type: 'snapshot', mission: mission(state), agents });
const progress = (...agents: object[]) => frame({ type: 'progress', agents });
const trail = (alias: string, ...points: number[][]) => frame({ type: 'trail', alias, points });
const after = (...events: LiveEvent[]): Live => events.reduce(reduce, initial('connecting'));

/** Whether anything in there says where somebody is. */
const located = (live: Live): boolean => /latitude":48.8,|"timestamp":\d|"cell":"/.test(JSON.stringify(live.agents)) || live.trails !== undefined;

describe('progress', () => {
  it('replaces the whole state of the agents that it names, and leaves the others', () => {
    const live = after(snapshot('active', [agent('A1', 10, { heading: 90 }), agent('B2', 10)]), progress(agent('A1', 11, { phase: 'on_site' })));
    expect(live.agents.map((a) => [a.alias, a.version, a.phase, a.heading])).toEqual([
      ['A1', 11, 'on_site', undefined],
      ['B2', 10, 'en_route', undefined],
    ]);
  });
  it('of an older version changes nothing', () => {
    const live = after(snapshot('active', [agent('A1', 10)]), progress(agent('A1', 9, { phase: 'left' })));
    expect(live.agents[0]).toMatchObject({ version: 10, phase: 'en_route' });
  });
  it('brings agents that were not there', () => {
    expect(after(snapshot('active', []), progress(agent('C3', 1))).agents).toHaveLength(1);
  });
  it('of an agent on their own pause takes their position away, and only theirs', () => {
    const live = after(snapshot('active', [agent('A1', 10), agent('B2', 10)]), progress({ alias: 'A1', version: 11, signal: 'paused' }));
    expect(live.agents[0]).toMatchObject({ signal: 'paused', position: undefined, timestamp: undefined });
    expect(live.agents[1]?.position).toBeDefined();
  });
  it('keeps coverage and checkpoints that it does not repeat', () => {
    const live = after(snapshot(), frame({ type: 'progress', agents: [], coverage: 0.5 }), progress(agent('A1', 11)));
    expect(live.coverage).toBe(0.5);
  });
  it.each(['scheduled', 'paused'])('is not believed while the mission is %s', (state) => {
    expect(located(after(snapshot(state, []), progress(agent('A1', 11))))).toBe(false);
  });
  it('is not believed before a snapshot', () => expect(located(after(progress(agent('A1', 1))))).toBe(false));
});

describe('a snapshot', () => {
  it('replaces everything, even with lower versions: it may come from another node', () => {
    const live = after(snapshot('active', [agent('A1', 10), agent('B2', 10)]), trail('A1', [1, 2, 3]), { type: 'lost', at: 5 }, snapshot('active', [agent('A1', 3)]));
    expect(live).toMatchObject({ link: 'live', lostAt: undefined, trails: undefined });
    expect(live.agents.map((a) => [a.alias, a.version])).toEqual([['A1', 3]]);
  });
  it('of a mission that is not active shows no position, even if it has one', () => {
    expect(located(after(snapshot('paused', [agent('A1', 1)])))).toBe(false);
  });
});

describe('a trail', () => {
  const points = [[900, 2.1, 48.1], [1000, 2.2, 48.2]];
  it('grows with newer positions', () => {
    const live = after(snapshot(), trail('A1', ...points), progress(agent('A1', 11)), progress(agent('A1', 11)));
    expect(live.trails?.get('A1')).toEqual([...points, [1011, 2.4, 48.8]]);
  });
  it('is not begun by progress: the link may have none', () => {
    expect(after(snapshot(), progress(agent('A1', 11))).trails).toBeUndefined();
  });
  it('goes with the agent’s own pause', () => {
    expect(after(snapshot(), trail('A1', ...points), progress({ alias: 'A1', version: 11, signal: 'paused' })).trails?.has('A1')).toBe(false);
  });
  it('is bounded', () => {
    const many = Array.from({ length: 6000 }, (_, i) => [i, 2, 48]);
    expect(after(snapshot(), trail('A1', ...many)).trails?.get('A1')).toHaveLength(5000);
  });
});

describe('positions are gone', () => {
  const before = [snapshot('active', [agent('A1', 10), agent('B2', 10)]), trail('A1', [1, 2.4, 48.8])];
  it.each<[string, LiveEvent]>([
    ['at the mission’s pause', frame({ type: 'state', state: 'paused' })],
    ['at any other change of its state', frame({ type: 'state', state: 'active' })],
    ['at its end', frame({ type: 'ended', reason: 'agent', summary: { began_at: null, ended_at: null } })],
    ['when the link was revoked', { type: 'final', why: 'revoked' }],
    ['when the link has expired', { type: 'final', why: 'expired' }],
    ['when the server refused', { type: 'final', why: 'refused' }],
    ['when the page is left', { type: 'left' }],
  ])('%s', (_, event) => {
    expect(located(after(...before))).toBe(true);
    expect(located(after(...before, event))).toBe(false);
  });
  it('once the connection has been lost for a while', () => {
    const lost = after(...before, { type: 'lost', at: 1000 }, { type: 'lost', at: 30_000 });
    expect(lost).toMatchObject({ link: 'lost', lostAt: 1000 });
    expect(located(reduce(lost, { type: 'tick', at: 999 + LOST_REMOVE_AFTER }))).toBe(true);
    expect(located(reduce(lost, { type: 'tick', at: 1000 + LOST_REMOVE_AFTER }))).toBe(false);
  });
  it('and older progress does not bring them back', () => {
    const paused = after(...before, frame({ type: 'state', state: 'paused' }), frame({ type: 'state', state: 'active' }));
    expect(located(reduce(paused, progress(agent('A1', 9))))).toBe(false);
    expect(located(reduce(paused, progress(agent('A1', 11))))).toBe(true);
  });
});

describe('the end', () => {
  const ended = frame({ type: 'ended', reason: 'deadline', summary: { began_at: '2026-11-21T19:00:00Z', ended_at: '2026-11-22T03:00:00Z' } });
  it('keeps the mission’s name and summary, through the close that follows', () => {
    const live = after(snapshot(), ended, { type: 'final', why: 'over' });
    expect(live).toMatchObject({ link: 'over', mission: { reference: 'M-1' }, ended: { reason: 'deadline' }, agents: [] });
  });
  it('is for good', () => {
    const live = after(snapshot(), ended);
    expect(reduce(reduce(live, snapshot()), { type: 'lost', at: 1 })).toBe(live);
  });
  it('of the link leaves nothing of the mission', () => {
    expect(after(snapshot(), { type: 'final', why: 'revoked' })).toEqual(initial('revoked'));
  });
});

describe('degraded', () => {
  it('is said until recovered, or until a new connection does not say it', () => {
    const degraded = after(snapshot(), frame({ type: 'degraded', code: 'bus_unavailable' }));
    expect(degraded.degraded).toBe('bus_unavailable');
    expect(reduce(degraded, frame({ type: 'recovered' })).degraded).toBeUndefined();
    expect(reduce(degraded, snapshot()).degraded).toBeUndefined();
  });
});
