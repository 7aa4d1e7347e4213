import { expect, it } from 'vitest';
import { backoff, LONGEST } from './backoff';

it('doubles, is spread over the upper half, and has an end', () => {
  const least = [0, 1, 2, 3].map((n) => backoff(n, () => 0));
  const most = [0, 1, 2, 3].map((n) => backoff(n, () => 1));
  expect(least).toEqual([250, 500, 1000, 2000]);
  expect(most).toEqual([500, 1000, 2000, 4000]);
  expect(backoff(1e6, () => 1)).toBe(LONGEST);
});
