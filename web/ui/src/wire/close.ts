// What a close code of a live connection means for the page.

/** Why there is no coming back. */
export type Final = 'expired' | 'revoked' | 'over' | 'refused';

const finals: Readonly<Record<number, Final>> = {
  4001: 'expired',
  4003: 'revoked',
  4004: 'over',
  4008: 'refused',
  4009: 'refused',
};

/** What a close code says for good, or undefined: then connect again. */
export const finalOf = (code: number): Final | undefined => finals[code];

const problems: Readonly<Record<string, Final>> = {
  token_invalid: 'expired',
  forbidden: 'expired',
  token_revoked: 'revoked',
  not_found: 'over',
  mission_state: 'over',
  gone: 'over',
  origin: 'refused',
};

/**
 * What a refused event stream says for good: `code` is that of its problem
 * (RFC 9457), if it had one. A refusal without one is not the server's own.
 */
export const finalOfProblem = (status: number, code: unknown): Final | undefined =>
  status < 500 && typeof code === 'string' ? problems[code] : undefined;
