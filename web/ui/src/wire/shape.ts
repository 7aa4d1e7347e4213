// Checks that a parsed JSON value has the shape that the wire promises. What
// is checked here need not be doubted anywhere else.

/** A frame that does not have the promised shape. Its message names the member, never the value. */
export class ShapeError extends Error {
  constructor(member: string, expected: string) {
    super(`${member} is not ${expected}`);
    this.name = 'ShapeError';
  }
}

export type Members = Readonly<Record<string, unknown>>;

/** Reads one member. `at` is its name, for errors. */
export type Read<T> = (value: unknown, at: string) => T;

export const members: Read<Members> = (value, at) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ShapeError(at, 'an object');
  return value as Members;
};

export const text: Read<string> = (value, at) => {
  if (typeof value !== 'string') throw new ShapeError(at, 'a text');
  return value;
};

/** A finite number of a range, both ends included. */
export const number =
  (least = -Infinity, most = Infinity): Read<number> =>
  (value, at) => {
    if (typeof value !== 'number' || !Number.isFinite(value) || value < least || value > most) {
      throw new ShapeError(at, 'a number of its range');
    }
    return value;
  };

export const integer =
  (least: number): Read<number> =>
  (value, at) => {
    const n = number(least, Number.MAX_SAFE_INTEGER)(value, at);
    if (!Number.isInteger(n)) throw new ShapeError(at, 'an integer');
    return n;
  };

/** A time in RFC 3339, as milliseconds since the epoch. */
export const time: Read<number> = (value, at) => {
  const ms = Date.parse(text(value, at));
  if (Number.isNaN(ms)) throw new ShapeError(at, 'a time');
  return ms;
};

/** One of a few words; one that a newer server may know and we do not is undefined. */
export const word =
  <T extends string>(...known: readonly T[]): Read<T | undefined> =>
  (value, at) => {
    const s = text(value, at);
    return known.find((k) => k === s);
  };

/** A member that may be absent or null. */
export const optional =
  <T>(read: Read<T>): Read<T | undefined> =>
  (value, at) =>
    value === undefined || value === null ? undefined : read(value, at);

export const list =
  <T>(read: Read<T>): Read<T[]> =>
  (value, at) => {
    if (!Array.isArray(value)) throw new ShapeError(at, 'a list');
    return value.map((item: unknown, i) => read(item, `${at}[${i}]`));
  };

/** Reads a member of an object. */
export const member = <T>(of: Members, name: string, read: Read<T>): T => read(of[name], name);
