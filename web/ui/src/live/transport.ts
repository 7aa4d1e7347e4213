// The two ways to the live frames: the socket, and server-sent events for
// networks whose proxies do not upgrade.

import { finalOf, finalOfProblem, type Final } from '../wire/close';
import { closeCodeOf, EventParser } from './event-stream';

export interface Hooks {
  opened(): void;
  /** Something came, if only a sign of life. */
  heard(): void;
  message(data: string): void;
  /** The end; called once, and not after close(). With `why`, for good. */
  closed(why: Final | undefined): void;
}

export interface Transport {
  close(): void;
}

export type Open = (token: string, hooks: Hooks) => Transport;

/** How long opening may take, milliseconds. */
const OPEN_WITHIN = 10_000;

export const openSocket: Open = (token, hooks) => {
  let done = false;
  const end = (why: Final | undefined) => {
    if (done) return;
    done = true;
    clearTimeout(timer);
    hooks.closed(why);
  };
  const url = new URL('/v1/live', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, ['ronde.live.v1', `bearer.${token}`]);
  const timer = setTimeout(() => {
    end(undefined);
    socket.close();
  }, OPEN_WITHIN);
  socket.onopen = () => {
    clearTimeout(timer);
    if (!done) hooks.opened();
  };
  socket.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (done) return;
    hooks.heard();
    if (typeof data === 'string') hooks.message(data);
  };
  socket.onclose = ({ code }) => end(finalOf(code));
  return {
    close() {
      done = true;
      clearTimeout(timer);
      socket.close();
    },
  };
};

export const openEvents: Open = (token, hooks) => {
  let done = false;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), OPEN_WITHIN);
  const run = async (): Promise<Final | undefined> => {
    const answer = await fetch('/v1/live/events', {
      headers: { Accept: 'text/event-stream', Authorization: `Bearer ${token}` },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      signal: abort.signal,
    });
    if (!answer.ok) return finalOfProblem(answer.status, await problemCode(answer));
    if (answer.body === null || !answer.headers.get('Content-Type')?.startsWith('text/event-stream')) return undefined;
    clearTimeout(timer);
    if (!done) hooks.opened();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (;;) {
      const { value, done: over } = await reader.read();
      if (over || done) return undefined;
      hooks.heard();
      for (const event of parser.feed(value)) {
        if (event.name === 'close') return finalOf(closeCodeOf(event.data));
        hooks.message(event.data);
        if (done) return undefined;
      }
    }
  };
  const end = (why: Final | undefined) => {
    clearTimeout(timer);
    if (done) return;
    done = true;
    abort.abort();
    hooks.closed(why);
  };
  run().then(end, () => end(undefined));
  return {
    close() {
      done = true;
      clearTimeout(timer);
      abort.abort();
    },
  };
};

async function problemCode(answer: Response): Promise<unknown> {
  if (!answer.headers.get('Content-Type')?.includes('json')) return undefined;
  const problem: unknown = await answer.json();
  return typeof problem === 'object' && problem !== null && 'code' in problem ? problem.code : undefined;
}
