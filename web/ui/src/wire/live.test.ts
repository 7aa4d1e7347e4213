import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeLive } from './live';
import { ShapeError } from './shape';

// The same vectors that the server's tests read: what it sends is what we take.
const file = new URL('../../../../tracker/testdata/frames/to_viewer.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: { name: string; frame: Record<string, unknown> }[] };

/** What is left of a value without its undefined members, and with times as the wire has them. */
function asSent(value: unknown, sent: unknown): unknown {
  if (Array.isArray(value)) return value.map((v, i) => asSent(v, (sent as unknown[])[i]));
  if (typeof value === 'number' && typeof sent === 'string') return Date.parse(sent) === value ? sent : value;
  if (typeof value !== 'object' || value === null) return value;
  const of = sent as Record<string, unknown>;
  const members = Object.entries(value).filter(([name, v]) => v !== undefined || of[name] === null);
  return Object.fromEntries(members.map(([name, v]) => [name, v === undefined ? null : asSent(v, of[name])]));
}

describe('the wire vectors', () => {
  it('are there', () => expect(vectors.length).toBeGreaterThan(15));
  it.each(vectors)('$name: nothing is lost', ({ frame }) => {
    expect(asSent(decodeLive(JSON.stringify(frame)), frame)).toEqual(frame);
  });
});

const agent = { alias: 'A1', version: 1, position: { latitude: 48.8, longitude: 2.4 }, cell: '881fb4645bfffff' };
const progress = (of: object) => JSON.stringify({ type: 'progress', agents: [{ ...agent, ...of }] });

describe('a frame from a newer server', () => {
  it('of an unknown type is passed over', () => {
    expect(decodeLive('{"type":"weather","rain":true}')).toBeUndefined();
    expect(decodeLive('{"type":"constructor"}')).toBeUndefined();
  });
  it('keeps what is known of it', () => {
    expect(decodeLive(progress({ phase: 'teleporting', signal: 'live', mood: 'good' }))).toMatchObject({
      agents: [{ alias: 'A1', phase: undefined, signal: 'live' }],
    });
  });
});

describe('members that may be missing', () => {
  it('may also be null', () => {
    expect(decodeLive(progress({ eta_seconds: null, heading: null }))).toMatchObject({ agents: [{ eta_seconds: undefined }] });
  });
  it('are read when they are there', () => {
    const frame = decodeLive('{"type":"progress","agents":[],"coverage":0.42,"checkpoints":{"visited":3,"total":7}}');
    expect(frame).toMatchObject({ coverage: 0.42, checkpoints: { visited: 3, total: 7 } });
  });
});

const site = (of: string) =>
  `{"type":"snapshot","mission":{"id":"m","reference":"r","site":${of},"state":"active","starts_at":"2026-11-21T19:00:00Z","ends_at":"2026-11-22T03:00:00Z"},"agents":[]}`;

describe('a frame that is not as promised is refused', () => {
  it.each([
    ['no object', '[]'],
    ['null', 'null'],
    ['no type', '{}'],
    ['a snapshot without mission', '{"type":"snapshot","agents":[]}'],
    ['a site without a place', site('{"name":"x"}')],
    ['an area of no kind', site('{"name":"x","area":{"type":"Circle","coordinates":[]}}')],
    ['an area without a ring', site('{"name":"x","area":{"type":"Polygon","coordinates":[]}}')],
    ['an area out of range', site('{"name":"x","area":{"type":"Polygon","coordinates":[[[2,48],[2,91],[3,49],[2,48]]]}}')],
    ['agents that are no list', '{"type":"progress","agents":{}}'],
    ['a state that is none', '{"type":"state","state":"asleep"}'],
    ['a trail of texts', '{"type":"trail","alias":"A1","points":[["1","2","3"]]}'],
    ['a time that is none', '{"type":"ended","reason":"agent","summary":{"began_at":"yesterday","ended_at":null}}'],
    ['no alias', progress({ alias: undefined })],
    ['a version that is no integer', progress({ version: 1.5 })],
    ['a latitude beyond the pole', progress({ position: { latitude: 91, longitude: 0 } })],
    ['a longitude as text', progress({ position: { latitude: 48, longitude: '2.4' } })],
    ['a negative accuracy', progress({ position: { latitude: 48, longitude: 2, accuracy: -1 } })],
    ['a cell that is markup', progress({ cell: '<img src=x>' })],
    ['a heading of 400 degrees', progress({ heading: 400 })],
  ])('%s', (_, data) => {
    expect(() => decodeLive(data)).toThrow(ShapeError);
  });

  it('without repeating what it holds', () => {
    const data = progress({ position: { latitude: 48.123456, longitude: '2.654321' } });
    expect(() => decodeLive(data)).toThrow(/^longitude is not a number of its range$/);
  });

  it('if it is no JSON', () => expect(() => decodeLive('{"type":')).toThrow(SyntaxError));
});
