// Numbers and times in words. All spaces inside a figure are unbreakable.

import type { Lang } from './words';

const NBSP = '\u00a0';

/** A distance for people: to 10 m below a kilometre, to 100 m below 10 km. */
export function formatDistance(metres: number, lang: Lang): string {
  if (metres < 995) return figure(Math.round(metres / 10) * 10, lang, 0) + NBSP + 'm';
  return figure(metres / 1000, lang, metres < 9950 ? 1 : 0) + NBSP + 'km';
}

/** A distance no finer than `grain` metres. */
export function formatCoarse(metres: number, grain: number, lang: Lang): string {
  const step = [50, 100, 250, 500, 1000, 5000, 10_000, 50_000, 100_000, 500_000].find((s) => s >= grain) ?? 1_000_000;
  return formatDistance(Math.max(step, Math.round(metres / step) * step), lang);
}

/** A precision in metres, rounded up: no better than it is. */
export function formatAccuracy(metres: number, lang: Lang): string {
  return metres < 995 ? figure(Math.max(1, Math.ceil(metres)), lang, 0) + NBSP + 'm' : formatDistance(metres, lang);
}

/** A length of time: "45 s", "12 min", "3 h 05", "2 d". */
export function formatDuration(ms: number, lang: Lang): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}${NBSP}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}${NBSP}min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours}${NBSP}h${NBSP}${String(minutes % 60).padStart(2, '0')}`;
  return `${Math.floor(hours / 24)}${NBSP}${lang === 'fr' ? 'j' : 'd'}`;
}

/** A time of day, with its day unless that is today. */
export function formatTime(at: number, now: number, lang: Lang, timeZone?: string): string {
  const zone = timeZone === undefined ? {} : { timeZone };
  const day = new Intl.DateTimeFormat(lang, { dateStyle: 'short', ...zone });
  const options: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...zone };
  if (day.format(at) !== day.format(now)) Object.assign(options, { weekday: 'short', day: 'numeric', month: 'short' });
  return new Intl.DateTimeFormat(locales[lang], options).format(at);
}

export const formatShare = (share: number, lang: Lang): string =>
  new Intl.NumberFormat(locales[lang], { style: 'percent', maximumFractionDigits: 0 }).format(share);

const locales: Readonly<Record<Lang, string>> = { en: 'en-GB', fr: 'fr-FR' };

const figure = (n: number, lang: Lang, digits: number): string =>
  new Intl.NumberFormat(locales[lang], { minimumFractionDigits: 0, maximumFractionDigits: digits }).format(n);
