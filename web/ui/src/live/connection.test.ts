import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Final } from '../wire/close';
import type { LiveFrame } from '../wire/live';
import { Connection, QUIET } from './connection';

const TOKEN = 'header.payload.signature';
const snapshot = '{"type":"snapshot","mission":{"id":"m","reference":"r","site":{"name":"s","point":{"latitude":1,"longitude":2},"radius_m":3},"state":"active","starts_at":"2026-11-21T19:00:00Z","ends_at":"2026-11-22T03:00:00Z"},"agents":[]}';
const progress = '{"type":"progress","agents":[]}';

class FakeSocket {
  static all: FakeSocket[] = [];
  onopen: (() => void) | undefined;
  onmessage: ((event: { data: unknown }) => void) | undefined;
  onclose: ((event: { code: number }) => void) | undefined;
  closed = false;
  readonly url: string;
  readonly protocols: string[];
  constructor(url: URL, protocols: string[]) {
    this.url = url.href;
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }
  close() {
    this.closed = true;
  }
}
const socket = (): FakeSocket => FakeSocket.all.at(-1)!;
const fetched = vi.fn<(url: string, init: RequestInit) => Promise<Response>>();

let events: string[];
let expecting: boolean;
let connection: Connection;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(1);
  FakeSocket.all = [];
  fetched.mockReset();
  vi.stubGlobal('location', { href: 'https://ronde.example/live' });
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('fetch', fetched);
  events = [];
  expecting = true;
  connection = new Connection(TOKEN, {
    frame: (frame: LiveFrame) => events.push(frame.type),
    lost: () => events.push('lost'),
    final: (why: Final) => events.push(why),
    expecting: () => expecting,
  });
  connection.start();
});
afterEach(() => {
  connection.stop();
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe('the socket', () => {
  it('carries the token as a subprotocol, and nowhere else', () => {
    expect(socket()).toMatchObject({ url: 'wss://ronde.example/v1/live', protocols: ['ronde.live.v1', `bearer.${TOKEN}`] });
  });
  it('brings frames, and passes over what it cannot read without repeating it', () => {
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    socket().onopen?.();
    for (const data of [snapshot, 'not 48.846612', '{"type":"progress","agents":[{"alias":1}]}', '{"type":"new"}', progress]) socket().onmessage?.({ data });
    expect(events).toEqual(['snapshot', 'progress']);
    expect(warn.mock.calls.flat().join(' ')).not.toContain('48.8');
  });
  it.each([
    [4001, 'expired'],
    [4003, 'revoked'],
    [4004, 'over'],
    [4008, 'refused'],
  ])('closed with %i is closed for good', (code, why) => {
    socket().onopen?.();
    socket().onclose?.({ code });
    vi.advanceTimersByTime(600_000);
    expect(events).toEqual([why]);
    expect(FakeSocket.all).toHaveLength(1);
  });
  it('that closes otherwise is opened again, later and later until a snapshot comes', () => {
    const waits = [500, 1000, 2000];
    for (const wait of waits) {
      socket().onopen?.(); // the server accepts, and then cannot serve
      socket().onclose?.({ code: 1001 });
      const before = FakeSocket.all.length;
      vi.advanceTimersByTime(wait - 1);
      expect(FakeSocket.all).toHaveLength(before);
      vi.advanceTimersByTime(1);
      expect(FakeSocket.all).toHaveLength(before + 1);
    }
    socket().onopen?.();
    socket().onmessage?.({ data: snapshot });
    socket().onclose?.({ code: 1006 });
    vi.advanceTimersByTime(500);
    expect(FakeSocket.all).toHaveLength(5);
  });
  it('that does not open in time is given up', () => {
    vi.advanceTimersByTime(10_000);
    expect(events).toEqual(['lost']);
    expect(socket().closed).toBe(true);
  });
  it('brings nothing any more once stopped', () => {
    socket().onopen?.();
    connection.stop();
    socket().onmessage?.({ data: snapshot });
    socket().onclose?.({ code: 1006 });
    vi.advanceTimersByTime(600_000);
    expect(events).toEqual([]);
  });
});

describe('a network that does not upgrade', () => {
  const fail = () => {
    socket().onclose?.({ code: 1006 });
    vi.advanceTimersByTime(2000);
  };
  const encode = (text: string) => new TextEncoder().encode(text);
  const stream = (...pieces: string[]) => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(c) {
        controller = c;
        pieces.forEach((p) => c.enqueue(encode(p)));
      },
    });
    fetched.mockResolvedValueOnce(new Response(body, { headers: { 'Content-Type': 'text/event-stream' } }));
    return controller!;
  };

  it('gets events after two failures, with the token in the header', async () => {
    stream(`event: snapshot\ndata: ${snapshot}\n\n`);
    fail();
    expect(fetched).not.toHaveBeenCalled();
    fail();
    await vi.waitFor(() => expect(events).toContain('snapshot'));
    const [url, init] = fetched.mock.calls[0]!;
    expect(url).toBe('/v1/live/events');
    expect(init).toMatchObject({ headers: { Authorization: `Bearer ${TOKEN}` }, credentials: 'omit', cache: 'no-store' });
  });
  it('keeps to events, once they work', async () => {
    const first = stream(`event: snapshot\ndata: ${snapshot}\n\n`);
    fail();
    fail();
    await vi.waitFor(() => expect(events).toContain('snapshot'));
    stream(`event: progress\ndata: ${progress}\n\n`);
    first.close();
    await vi.advanceTimersByTimeAsync(1000);
    await vi.waitFor(() => expect(events).toContain('progress'));
    expect(FakeSocket.all).toHaveLength(2);
  });
  it('learns of the end by the last event', async () => {
    stream(`event: close\ndata: {"code":4003}\n\n`);
    fail();
    fail();
    await vi.waitFor(() => expect(events).toContain('revoked'));
  });
  it('learns by the status what is wrong with the token', async () => {
    const problem = { status: 401, headers: { 'Content-Type': 'application/problem+json' } };
    fetched.mockResolvedValueOnce(new Response('{"code":"token_invalid"}', problem));
    fail();
    fail();
    await vi.waitFor(() => expect(events).toContain('expired'));
  });
  it('tries sockets again if events do not come either', async () => {
    fetched.mockRejectedValue(new TypeError('no network'));
    fail();
    fail();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(fetched.mock.calls.length).toBeGreaterThanOrEqual(2);
    expect(FakeSocket.all.length).toBeGreaterThan(2);
  });
});

describe('a connection that is dead without saying so', () => {
  beforeEach(() => {
    socket().onopen?.();
    socket().onmessage?.({ data: snapshot });
  });
  const silent = () => vi.advanceTimersByTime(QUIET + 5000);

  it('is opened anew when something should have come', () => {
    silent();
    expect(events).toEqual(['snapshot', 'lost']);
    expect(FakeSocket.all[0]?.closed).toBe(true);
    expect(FakeSocket.all.length).toBeGreaterThan(1);
  });
  it('is left alone when nothing is to come', () => {
    expecting = false;
    vi.advanceTimersByTime(3_600_000);
    expect(FakeSocket.all).toHaveLength(1);
  });
  it('is not doubted again as soon, if the new one is as silent', () => {
    silent();
    vi.advanceTimersByTime(1000);
    socket().onopen?.();
    socket().onmessage?.({ data: snapshot });
    silent();
    expect(events.filter((e) => e === 'lost')).toHaveLength(1);
    silent();
    expect(events.filter((e) => e === 'lost')).toHaveLength(2);
  });
  it('is given up at once when the browser says that it is offline, and opened at once when it is back', () => {
    connection.offline();
    expect(events).toEqual(['snapshot', 'lost']);
    connection.wake();
    expect(FakeSocket.all).toHaveLength(2);
  });
});
