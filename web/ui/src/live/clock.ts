// The server's clock, as far as this device can know it: ages of positions are
// told by it, because a phone that runs minutes wrong would make every position
// look old, or none.

/** Smaller differences are the measurement's own error: an HTTP date has whole seconds. */
const TOLERANCE = 2000;

/**
 * How far the server's clock is ahead of ours, milliseconds, from the Date of
 * an answer that was asked for at `asked` and came at `came`.
 */
export function offsetOf(date: string | null, asked: number, came: number): number {
  const server = date === null ? NaN : Date.parse(date);
  if (Number.isNaN(server)) return 0;
  const offset = server + 500 - (asked + came) / 2; // a date is cut to the second, so half a second late on average
  return Math.abs(offset) < TOLERANCE ? 0 : offset;
}

/** Asks the server for its time. Returns 0 if it cannot be had. */
export async function measureOffset(url: string): Promise<number> {
  const asked = Date.now();
  try {
    const answer = await fetch(url, { method: 'HEAD', cache: 'no-store', credentials: 'omit' });
    return answer.ok ? offsetOf(answer.headers.get('Date'), asked, Date.now()) : 0;
  } catch {
    return 0;
  }
}
