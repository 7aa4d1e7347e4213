import { describe, expect, it } from 'vitest';
import { finalOf, finalOfProblem } from './close';

describe('a close code', () => {
  it.each([
    [4001, 'expired'],
    [4003, 'revoked'],
    [4004, 'over'],
    [4008, 'refused'],
    [4009, 'refused'],
  ] as const)('%i is final: %s', (code, why) => expect(finalOf(code)).toBe(why));
  it.each([1000, 1001, 1006, 1011, 1012, 4000])('%i is not', (code) => expect(finalOf(code)).toBeUndefined());
});

describe('a refused stream', () => {
  it.each([
    [401, 'token_invalid', 'expired'],
    [401, 'token_revoked', 'revoked'],
    [404, 'not_found', 'over'],
    [403, 'origin', 'refused'],
  ] as const)('%i %s is final: %s', (status, code, why) => expect(finalOfProblem(status, code)).toBe(why));
  it('is not final if the server is at fault, or the answer is not its own', () => {
    expect(finalOfProblem(503, 'store_unavailable')).toBeUndefined();
    expect(finalOfProblem(429, 'rate_limited')).toBeUndefined();
    expect(finalOfProblem(404, undefined)).toBeUndefined();
    expect(finalOfProblem(407, undefined)).toBeUndefined();
  });
});
