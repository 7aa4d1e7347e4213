import { describe, expect, it } from 'vitest';
import { formatAccuracy, formatCoarse, formatDistance, formatDuration, formatTime } from './format';
import { wordsFor } from './words';

const plain = (text: string): string => text.replaceAll(/[\u00a0\u202f]/g, ' ');

describe('the language', () => {
  it.each([
    [['fr-CA', 'en'], 'fr'],
    [['de', 'FR'], 'fr'],
    [['en-GB', 'fr'], 'en'],
    [['de', 'ja'], 'en'],
    [[], 'en'],
  ])('for %j is %s', (languages, lang) => expect(wordsFor(languages).lang).toBe(lang));
});

describe('a distance', () => {
  it.each([
    [0, '0 m', '0 m'],
    [4, '0 m', '0 m'],
    [807, '810 m', '810 m'],
    [994, '990 m', '990 m'],
    [995, '1 km', '1 km'],
    [1234, '1.2 km', '1,2 km'],
    [9949, '9.9 km', '9,9 km'],
    [9950, '10 km', '10 km'],
    [1_071_569, '1,072 km', '1 072 km'],
  ])('of %f m', (metres, inEnglish, inFrench) => {
    expect(plain(formatDistance(metres, 'en'))).toBe(inEnglish);
    expect(plain(formatDistance(metres, 'fr'))).toBe(inFrench);
  });
  it('is no finer than it is known', () => {
    expect(plain(formatCoarse(988, 531, 'en'))).toBe('1 km');
    expect(plain(formatCoarse(1240, 201, 'fr'))).toBe('1,3 km');
    expect(plain(formatCoarse(10, 531, 'en'))).toBe('1 km');
  });
  it('of accuracy is rounded up', () => {
    expect(plain(formatAccuracy(6.5, 'en'))).toBe('7 m');
    expect(plain(formatAccuracy(0.2, 'en'))).toBe('1 m');
    expect(plain(formatAccuracy(1500, 'fr'))).toBe('1,5 km');
  });
});

describe('a length of time', () => {
  it.each([
    [-5, '0 s', '0 s'],
    [59_999, '59 s', '59 s'],
    [60_000, '1 min', '1 min'],
    [3_599_999, '59 min', '59 min'],
    [3_900_000, '1 h 05', '1 h 05'],
    [200_000_000, '2 d', '2 j'],
  ])('of %i ms', (ms, inEnglish, inFrench) => {
    expect(plain(formatDuration(ms, 'en'))).toBe(inEnglish);
    expect(plain(formatDuration(ms, 'fr'))).toBe(inFrench);
  });
});

describe('a time of day', () => {
  const now = Date.parse('2026-11-21T20:00:00Z');
  it('is the hour alone today', () => {
    expect(formatTime(now, now, 'fr', 'Europe/Paris')).toBe('21:00');
    expect(formatTime(Date.parse('2026-11-21T23:30:00Z'), now, 'en', 'UTC')).toBe('23:30');
  });
  it('names the day otherwise', () => {
    expect(formatTime(Date.parse('2026-11-22T03:00:00Z'), now, 'en', 'Europe/Paris')).toMatch(/Sun.* 22 Nov.*04:00/);
    expect(formatTime(Date.parse('2026-11-22T03:00:00Z'), now, 'fr', 'Europe/Paris')).toMatch(/dim.* 22 nov.*04:00/);
  });
});
