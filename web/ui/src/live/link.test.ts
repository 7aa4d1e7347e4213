import { describe, expect, it } from 'vitest';
import { dropToken, takeToken } from './link';

const TOKEN = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIx.c2lnbmF0dXJl_-';

function tab(href: string, state: unknown = null) {
  const url = new URL(href);
  const entry = { state, shown: href };
  const location = { hash: url.hash, href, pathname: url.pathname } as Location;
  const history = {
    get state() {
      return entry.state;
    },
    replaceState(to: unknown, _: string, path: string) {
      entry.state = to;
      entry.shown = path;
    },
  } as History;
  return { location, history, entry };
}

describe('a link’s token', () => {
  it('leaves the address at once', () => {
    const { location, history, entry } = tab(`https://ronde.example/live#${TOKEN}`);
    expect(takeToken(location, history)).toBe(TOKEN);
    expect(entry).toEqual({ state: { token: TOKEN }, shown: '/live' });
  });
  it('is found again after a reload', () => {
    const { location, history } = tab('https://ronde.example/live', { token: TOKEN });
    expect(takeToken(location, history)).toBe(TOKEN);
  });
  it('in the address is newer than the one kept', () => {
    const { location, history } = tab(`https://ronde.example/live#${TOKEN}`, { token: `${TOKEN}old` });
    expect(takeToken(location, history)).toBe(TOKEN);
  });
  it('that cannot be one is not taken, and not left in the address', () => {
    for (const bad of ['short', 'a b'.repeat(10), `${TOKEN}%0d%0a`, '<b>'.repeat(9), `${TOKEN}, other`]) {
      const { location, history, entry } = tab(`https://ronde.example/live#${bad}`, { token: TOKEN });
      expect(takeToken(location, history)).toBeUndefined();
      expect(entry).toEqual({ state: null, shown: '/live' });
    }
  });
  it('may be missing', () => {
    for (const state of [null, 1, 'x', {}, { token: 5 }, { token: 'short' }]) {
      const { location, history } = tab('https://ronde.example/live', state);
      expect(takeToken(location, history)).toBeUndefined();
    }
  });
  it('is forgotten at the end', () => {
    const { location, history, entry } = tab('https://ronde.example/live', { token: TOKEN });
    dropToken(location, history);
    expect(entry.state).toBeNull();
  });
});
