import { expect, it } from 'vitest';
import { offsetOf } from './clock';

const here = Date.parse('2026-11-21T20:00:00Z');

it('tells how far the server is ahead, or behind', () => {
  expect(offsetOf('Sat, 21 Nov 2026 20:03:00 GMT', here, here + 100)).toBe(180_450);
  expect(offsetOf('Sat, 21 Nov 2026 19:58:00 GMT', here, here)).toBe(-119_500);
});
it('does not pretend to know better than a second', () => {
  expect(offsetOf('Sat, 21 Nov 2026 20:00:01 GMT', here, here)).toBe(0);
});
it('takes no date for no difference', () => {
  expect(offsetOf(null, here, here)).toBe(0);
  expect(offsetOf('soon', here, here)).toBe(0);
});
