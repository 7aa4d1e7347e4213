// The token of a link, between its address and this tab. It is in no storage,
// only in the tab's own history entry, so that a reload finds it again.

const TOKEN = /^[A-Za-z0-9._~-]{16,4096}$/;

/** Takes the token out of the address, or out of the history entry after a reload. */
export function takeToken(location: Location, history: History): string | undefined {
  const fresh = location.hash.slice(1);
  if (location.hash !== '' || location.href.endsWith('#')) {
    const token = TOKEN.test(fresh) ? fresh : undefined;
    history.replaceState(token === undefined ? null : { token }, '', location.pathname);
    return token;
  }
  const kept: unknown = history.state;
  if (typeof kept !== 'object' || kept === null || !('token' in kept)) return undefined;
  return typeof kept.token === 'string' && TOKEN.test(kept.token) ? kept.token : undefined;
}

/** Forgets the token. */
export function dropToken(location: Location, history: History): void {
  history.replaceState(null, '', location.pathname);
}
