// Server-sent events read with fetch: EventSource cannot send the
// Authorization header, and a token never goes into an address.

/** Cuts a text/event-stream into its events. Feed it what arrives, in pieces of any size. */
export class EventParser {
  #rest = '';
  #name = '';
  #data: string[] = [];

  /** Takes a piece and returns the events that it completed. */
  feed(piece: string): { name: string; data: string }[] {
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    const events: { name: string; data: string }[] = [];
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line !== '') {
        this.#line(line);
        continue;
      }
      if (this.#data.length > 0) events.push({ name: this.#name, data: this.#data.join('\n') });
      this.#name = '';
      this.#data = [];
    }
    return events;
  }

  #line(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#name = value;
    else if (field === 'data') this.#data.push(value);
  }
}

/** The code of a "close" event; 1001 if it has none. */
export function closeCodeOf(data: string): number {
  try {
    const close: unknown = JSON.parse(data);
    if (typeof close === 'object' && close !== null && 'code' in close && typeof close.code === 'number') return close.code;
  } catch {
    // an unreadable one says no more than that the stream ends
  }
  return 1001;
}
