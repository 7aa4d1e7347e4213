// What the pages say, in every language they speak.

import type { EndReason } from '../wire/live';
import { en } from './en';
import { fr } from './fr';

export type Lang = 'en' | 'fr';

export interface Words {
  readonly lang: Lang;

  readonly onTheWay: string;
  readonly arriving: string;
  readonly onSite: string;
  readonly left: string;
  readonly onBreak: string;
  readonly located: string;
  readonly waiting: string;
  /** `age`: a length of time. */
  noNews(age: string | undefined): string;

  /** How many agents are on the way, and so on; for missions of several. */
  readonly count: {
    onTheWay(n: number): string;
    arriving(n: number): string;
    onSite(n: number): string;
    left(n: number): string;
    onBreak(n: number): string;
    silent(n: number): string;
    waiting(n: number): string;
  };

  away(distance: string): string;
  about(distance: string): string;
  readonly nearSite: string;
  lastSeen(status: string): string;
  /** `age`: a length of time, or undefined for none worth telling. */
  age(age: string | undefined): string;
  /** `age`: what age() says. */
  position(age: string): string;
  lastPosition(age: string): string;
  precision(metres: string): string;
  area(width: string): string;
  readonly notMoving: string;
  readonly notLocated: string;
  readonly removed: string;
  readonly noSignal: string;
  arrivesIn(time: string): string;
  readonly arrivesSoon: string;
  checkpoints(visited: number, total: number): string;
  covered(share: string): string;

  readonly notBegun: string;
  readonly paused: string;
  readonly pausedDetail: string;
  readonly over: string;
  readonly overAlready: string;
  readonly cancelled: string;
  planned(from: string, to: string): string;
  readonly ended: Readonly<Record<EndReason, string>>;
  readonly summary: {
    readonly began: string;
    readonly ended: string;
    readonly onSite: string;
    readonly checkpoints: string;
    readonly coverage: string;
    of(visited: number, total: number): string;
  };

  readonly connecting: string;
  readonly connected: string;
  reconnecting(since: string): string;
  readonly lost: string;
  readonly lostRemoved: string;
  readonly degraded: { readonly bus: string; readonly store: string; readonly other: string };
  readonly expired: string;
  readonly expiredDetail: string;
  readonly revoked: string;
  readonly revokedDetail: string;
  readonly refused: string;
  readonly refusedDetail: string;
  readonly missing: string;
  readonly missingDetail: string;
  readonly retry: string;

  readonly agents: string;
  readonly map: string;
  readonly mapFailed: string;
  readonly mapScheduled: string;
  readonly mapPaused: string;
  readonly mapWaiting: string;
  readonly mapWithout: string;
  readonly mapLost: string;
  readonly zoomIn: string;
  readonly zoomOut: string;
  readonly recentre: string;
  readonly privacy: string;
  readonly policy: string;
}

const all: Readonly<Record<Lang, Words>> = { en, fr };

/** The words of the first language that both the reader and we speak; English if there is none. */
export function wordsFor(languages: readonly string[]): Words {
  for (const tag of languages) {
    const lang = tag.toLowerCase().split('-')[0];
    if (lang === 'en' || lang === 'fr') return all[lang];
  }
  return en;
}
