import { describe, expect, it } from 'vitest';
import { en } from '../words/en';
import { fr } from '../words/fr';
import type { Words } from '../words/words';
import { decodeLive, type LiveFrame } from '../wire/live';
import { present, type Page } from './present';
import { initial, reduce, type Live, type LiveEvent } from './state';

const NOW = Date.parse('2026-11-21T20:00:00Z');
const frame = (of: object): LiveEvent => ({ type: 'frame', frame: decodeLive(JSON.stringify(of)) as LiveFrame });
const snapshot = (agents: object[], state = 'active', round: object = {}) =>
  frame({
    type: 'snapshot',
    mission: {
      id: 'm',
      reference: 'M-1',
      site: { name: 'Entrepôt', point: { latitude: 48.84, longitude: 2.41 }, radius_m: 80 },
      state,
      starts_at: '2026-11-21T19:00:00Z',
      ends_at: '2026-11-22T03:00:00Z',
    },
    agents,
    ...round,
  });
const agent = (of: object = {}) => ({
  alias: 'A1',
  version: 1,
  phase: 'en_route',
  signal: 'live',
  timestamp: NOW - 4000,
  position: { latitude: 48.85, longitude: 2.42, accuracy: 6.5 },
  distance_m: 1234,
  ...of,
});
const live = (...events: LiveEvent[]): Live => events.reduce(reduce, initial('connecting'));
/** Spaces of all sorts as one. */
const plain = (page: Page): Page => JSON.parse(JSON.stringify(page).replaceAll(/[\u00a0\u202f]/g, ' ')) as Page;
const show = (state: Live, words: Words = en, now = NOW) => plain(present(state, { server: now, here: now }, words));

describe('one agent', () => {
  it.each([
    [{}, 'On the way, 1.2 km away', 'Position 4 s ago', 'route'],
    [{ distance_m: undefined, position: undefined }, 'On the way', 'Position 4 s ago', 'route'],
    [{ eta_seconds: 430 }, 'On the way, 1.2 km away', 'Arrives in about 7 min · Position 4 s ago', 'route'],
    [{ phase: 'arriving', distance_m: 306, eta_seconds: 20 }, 'Arriving, 310 m away', 'Arrives in less than a minute · Position 4 s ago', 'near'],
    [{ phase: 'on_site', distance_m: 0 }, 'On site', 'Position 4 s ago', 'site'],
    [{ phase: 'left', distance_m: 90 }, 'Left the site, 90 m away', 'Position 4 s ago', 'left'],
    [{ cell: '881fb4645bfffff', distance_m: 988 }, 'On the way, about 1 km away', 'Position 4 s ago', 'route'],
    [{ cell: '881fb4645bfffff', distance_m: 988, phase: 'arriving' }, 'Arriving', 'Position 4 s ago', 'near'],
    [{ cell: '881fb4645bfffff', distance_m: 200 }, 'On the way, near the site', 'Position 4 s ago', 'route'],
    [{ cell: '8019fffffffffff', distance_m: 1_071_569 }, 'On the way', 'Position 4 s ago', 'route'],
  ])('%o: %s', (of, headline, detail, tone) => {
    expect(show(live(snapshot([agent(of)])))).toMatchObject({ headline, detail, tone, stale: false });
  });
  it('who has no position yet is waited for', () => {
    expect(show(live(snapshot([{ alias: 'A1', version: 1 }])))).toMatchObject({ headline: 'Waiting for a position', tone: 'wait' });
  });
  it('who takes a break is said to', () => {
    const page = show(live(snapshot([{ alias: 'A1', version: 1, signal: 'paused' }])));
    expect(page).toMatchObject({ headline: 'On a break', tone: 'break', chart: { agents: [], note: 'No position right now.' } });
  });
  it('is told about in the list with what is known', () => {
    expect(show(live(snapshot([agent({ signal: 'stationary' })]))).agents).toEqual([
      { alias: 'A1', tone: 'route', freshness: 'fresh', status: 'On the way, 1.2 km away', facts: ['Position 4 s ago', 'Not moving', 'within 7 m'] },
    ]);
    expect(show(live(snapshot([agent({ cell: '881fb4645bfffff' })]))).agents[0]?.facts).toEqual(['Position 4 s ago', 'area about 1.1 km wide']);
  });
  it('with the round’s progress on site', () => {
    const state = live(snapshot([agent({ phase: 'on_site' })], 'active', { coverage: 0.42, checkpoints: { visited: 3, total: 7 } }));
    expect(show(state).detail).toBe('Checkpoint 3 of 7 · 42% of the site covered · Position 4 s ago');
  });
});

describe('a position is never shown as live when it is not', () => {
  it('after 30 s: grey, and said to be the last', () => {
    const state = live(snapshot([agent()]));
    expect(show(state, en, NOW + 25_999)).toMatchObject({ stale: false, chart: { agents: [{ stale: false, note: '' }] } });
    expect(show(state, en, NOW + 26_000)).toMatchObject({
      stale: true,
      detail: 'Last position 30 s ago',
      agents: [{ freshness: 'stale' }],
      chart: { agents: [{ stale: true, note: '30 s ago' }] },
    });
  });
  it('after 90 s: the headline says that there is no news', () => {
    expect(show(live(snapshot([agent()])), en, NOW + 176_000)).toMatchObject({
      headline: 'No news for 3 min',
      detail: 'Last seen: on the way, 1.2 km away · 3 min ago',
      announce: 'No signal',
      tone: 'silent',
    });
  });
  it('at once when the phone’s signal is lost', () => {
    expect(show(live(snapshot([agent({ signal: 'lost' })])))).toMatchObject({ tone: 'silent', agents: [{ freshness: 'stale' }] });
  });
  it('later of someone who said that they do not move', () => {
    const state = live(snapshot([agent({ signal: 'stationary', phase: 'on_site' })]));
    expect(show(state, en, NOW + 120_000)).toMatchObject({ headline: 'On site', stale: false });
    expect(show(state, en, NOW + 300_000)).toMatchObject({ tone: 'silent' });
  });
  it('when this page lost its connection', () => {
    const state = live(snapshot([agent()]), { type: 'lost', at: NOW });
    expect(show(state, en, NOW + 4_999)).toMatchObject({ headline: 'On the way, 1.2 km away', contact: { kind: 'lost' } });
    expect(show(state, en, NOW + 5_000)).toMatchObject({
      headline: 'Connection lost',
      contact: { kind: 'lost', text: 'Reconnecting… no contact for 5 s' },
      chart: { agents: [{ stale: true }] },
    });
    expect(show(reduce(state, { type: 'tick', at: NOW + 60_000 }), en, NOW + 60_000)).toMatchObject({
      headline: 'Connection lost',
      detail: en.lostRemoved,
      agents: [{ alias: 'A1', status: 'Position removed', facts: [] }],
      chart: { agents: [], note: en.mapLost },
    });
  });
  it('and an age is never negative, whatever the clocks say', () => {
    expect(show(live(snapshot([agent({ timestamp: NOW + 60_000 })]))).detail).toBe('Position just now');
  });
});

describe('several agents', () => {
  it('are counted, by what matters most', () => {
    const state = live(
      snapshot([
        { alias: 'B2', version: 1, signal: 'paused' },
        agent({ phase: 'on_site' }),
        agent({ alias: 'C3', phase: 'on_site' }),
        agent({ alias: 'D4', timestamp: NOW - 100_000 }),
      ]),
    );
    expect(show(state)).toMatchObject({ headline: '2 on site, 1 without news, 1 on a break', tone: 'site' });
    expect(show(state, fr)).toMatchObject({ headline: '2 sur place, 1 sans nouvelles, 1 en pause' });
  });
});

describe('the mission', () => {
  it('not begun', () => {
    const page = show(live(snapshot([], 'scheduled')));
    expect(page).toMatchObject({ headline: 'Not begun', tone: 'wait', agents: [], chart: { note: 'Positions appear when the mission begins.' } });
    expect(page.detail).toMatch(/^Planned from .*\d\d:\d\d to .*\d\d:\d\d$/);
  });
  it('paused', () => {
    const state = live(snapshot([agent()]), frame({ type: 'state', state: 'paused' }));
    expect(show(state)).toMatchObject({
      headline: 'Mission paused',
      tone: 'break',
      agents: [{ alias: 'A1', status: 'Not located', facts: [] }],
      chart: { agents: [], trails: [] },
    });
  });
  it('over, with its summary and without a map', () => {
    const ended = frame({
      type: 'ended',
      reason: 'agent',
      summary: { began_at: '2026-11-21T18:55:00Z', ended_at: '2026-11-21T19:55:00Z', on_site_seconds: 11_100, checkpoints: { visited: 7, total: 7 }, coverage: 0.93 },
    });
    const page = show(live(snapshot([agent()]), ended));
    expect(page).toMatchObject({ headline: 'Mission over', detail: 'Ended by the agent.', tone: 'over', agents: [], contact: { kind: 'none' } });
    expect(page.chart).toBeUndefined();
    expect(page.summary.map(([label]) => label)).toEqual(['Began', 'Ended', 'Time on site', 'Checkpoints', 'Site covered']);
    expect(page.summary.slice(2).map(([, value]) => value)).toEqual(['3 h 05', '7 of 7', '93%']);
  });
  it.each([
    ['missed', 'Mission over', 'It never began.'],
    ['deadline', 'Mission over', 'Ended at its time limit.'],
    ['cancelled', 'Mission cancelled', 'It did not take place.'],
    ['something new', 'Mission over', 'There is nothing more to follow here.'],
  ])('over: %s', (reason, headline, detail) => {
    const ended = frame({ type: 'ended', reason, summary: { began_at: null, ended_at: '2026-11-21T19:55:00Z' } });
    expect(show(live(snapshot([]), ended))).toMatchObject({ headline, detail, summary: [] });
  });
});

describe('the link', () => {
  it.each([
    ['expired', 'This link has expired', false],
    ['revoked', 'This link was withdrawn', false],
    ['refused', 'The server closed the connection', true],
  ] as const)('%s: nothing of the mission is left', (why, headline, retry) => {
    const page = show(live(snapshot([agent()]), { type: 'final', why }));
    expect(page).toMatchObject({ headline, retry, site: 'Ronde', reference: '', agents: [], tone: 'dead' });
    expect(page.chart).toBeUndefined();
  });
  it('missing', () => expect(plain(present(initial('missing'), { server: NOW, here: NOW }, fr)).headline).toBe('Il manque le lien de cette page'));
  it('connecting', () => expect(show(initial('connecting'))).toMatchObject({ headline: 'Connecting…', contact: { kind: 'waiting' } }));
  it('that shows no positions says so', () => {
    const state = live(snapshot([agent({ position: undefined, distance_m: undefined })]));
    expect(show(state).chart).toMatchObject({ agents: [], note: 'This link shows no positions.' });
  });
  it.each([
    ['bus_unavailable', /few seconds late/],
    ['store_unavailable', /cannot confirm/],
    ['something_new', /less than usual/],
  ])('degraded: %s', (code, text) => {
    const page = show(live(snapshot([agent()]), frame({ type: 'degraded', code })));
    expect(page.contact.kind).toBe('degraded');
    expect(page.contact.text).toMatch(text);
  });
});

describe('what is read aloud', () => {
  it('does not change with every metre and second', () => {
    const pages = [1234, 1080, 900].map((distance_m, i) => show(live(snapshot([agent({ distance_m })])), en, NOW + i * 1000));
    expect(new Set(pages.map((p) => p.announce))).toEqual(new Set(['On the way']));
    expect(new Set(pages.map((p) => p.headline)).size).toBe(3);
  });
});
