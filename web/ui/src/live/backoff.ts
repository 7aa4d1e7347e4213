/** The longest wait between two attempts, milliseconds. */
export const LONGEST = 30_000;

const FIRST = 500;

/**
 * How long to wait before attempt number `failed` + 1, in milliseconds: twice
 * as long after each failure, and spread over its own length, so that all the
 * pages of a server that went down do not come back at once. `random` is
 * Math.random or a stand-in for it.
 */
export function backoff(failed: number, random: () => number): number {
  const most = Math.min(LONGEST, FIRST * 2 ** Math.min(failed, 10));
  return most * (0.5 + random() / 2);
}
