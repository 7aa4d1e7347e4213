// Keeps the page connected for as long as there is something to watch.

import type { Final } from '../wire/close';
import { decodeLive, type LiveFrame } from '../wire/live';
import { ShapeError } from '../wire/shape';
import { backoff } from './backoff';
import { openEvents, openSocket, type Open, type Transport } from './transport';

export interface Handlers {
  frame(frame: LiveFrame): void;
  /** The connection is gone; another attempt follows by itself. */
  lost(): void;
  /** The connection is gone for good. */
  final(why: Final): void;
  /** Whether positions should be coming: then silence is a reason to doubt the connection. */
  expecting(): boolean;
}

/** So many attempts in a row that do not even open are enough to try the other way. */
const ATTEMPTS = 2;

/** A connection that should bring something and does not for so long is opened anew: the network may have dropped it unseen. */
export const QUIET = 60_000;
const QUIET_MOST = 16 * QUIET;
/** The same for a page that comes back to the front. */
const QUIET_WOKEN = 30_000;
const WATCH_EVERY = 5_000;

export class Connection {
  readonly #token: string;
  readonly #on: Handlers;
  #open: Open = openSocket;
  #transport: Transport | undefined;
  #opened = false;
  #unopened = 0;
  #failed = 0;
  #heardAt = 0;
  #quiet = QUIET;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(token: string, on: Handlers) {
    this.#token = token;
    this.#on = on;
  }

  start(): void {
    this.#watch ??= setInterval(() => this.#doubt(this.#quiet), WATCH_EVERY);
    this.#connect();
  }

  stop(): void {
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#drop();
  }

  /** The network went away, says the browser. */
  offline(): void {
    if (this.#transport !== undefined) this.#lose();
  }

  /** The network or the page is back: do not wait any longer. */
  wake(): void {
    if (this.#watch === undefined) return; // stopped
    if (this.#transport === undefined) this.#connect();
    else this.#doubt(QUIET_WOKEN);
  }

  #connect(): void {
    clearTimeout(this.#retry);
    this.#opened = false;
    this.#heardAt = Date.now();
    this.#transport = this.#open(this.#token, {
      opened: () => {
        this.#opened = true;
        this.#unopened = 0;
        this.#heardAt = Date.now();
      },
      heard: () => {
        this.#heardAt = Date.now();
      },
      message: (data) => this.#message(data),
      closed: (why) => {
        this.#transport = undefined;
        if (why === undefined) this.#lose();
        else {
          this.stop();
          this.#on.final(why);
        }
      },
    });
  }

  #message(data: string): void {
    let frame: LiveFrame | undefined;
    try {
      frame = decodeLive(data);
    } catch (error) {
      // The text of other errors may quote the frame.
      console.warn('A frame could not be read:', error instanceof ShapeError ? error.message : 'not JSON');
      return;
    }
    if (frame?.type === 'snapshot') this.#failed = 0; // an open socket alone is no success: the server may refuse after it
    if (frame?.type === 'progress') this.#quiet = QUIET;
    if (frame !== undefined) this.#on.frame(frame);
  }

  /** Takes the connection for dead if it has been silent for longer than it should be. */
  #doubt(quiet: number): void {
    if (!this.#opened || this.#transport === undefined) return;
    // An event stream has its sign of life every 25 s; a socket's is not shown to pages.
    const limit = this.#open === openEvents ? QUIET : quiet;
    if (Date.now() - this.#heardAt < limit || (this.#open === openSocket && !this.#on.expecting())) return;
    this.#quiet = Math.min(2 * this.#quiet, QUIET_MOST);
    this.#lose();
  }

  #lose(): void {
    this.#drop();
    if (!this.#opened && ++this.#unopened >= ATTEMPTS) {
      this.#unopened = 0;
      this.#open = this.#open === openSocket ? openEvents : openSocket;
    }
    this.#opened = false;
    this.#retry = setTimeout(() => this.#connect(), backoff(this.#failed++, Math.random));
    this.#on.lost();
  }

  #drop(): void {
    this.#transport?.close();
    this.#transport = undefined;
  }
}
