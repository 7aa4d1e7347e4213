import { describe, expect, it } from 'vitest';
import { closeCodeOf, EventParser } from './event-stream';

const stream = ':\n\nevent: snapshot\ndata: {"type":"snapshot"}\n\n:\n\nevent: progress\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: close\ndata:{"code":4004}\n\n';
const events = [
  { name: 'snapshot', data: '{"type":"snapshot"}' },
  { name: 'progress', data: '{"a":\n1}' },
  { name: 'close', data: '{"code":4004}' },
];

describe('an event stream', () => {
  it('is cut into its events, however it is cut into pieces', () => {
    for (let size = 1; size <= stream.length; size++) {
      const parser = new EventParser();
      const got = [];
      for (let i = 0; i < stream.length; i += size) got.push(...parser.feed(stream.slice(i, i + size)));
      expect(got).toEqual(events);
    }
  });
  it('keeps an event back until it is whole', () => {
    expect(new EventParser().feed('event: state\ndata: {}\n')).toEqual([]);
  });
});

describe('the last event', () => {
  it('carries a close code', () => expect(closeCodeOf('{"code":4003}')).toBe(4003));
  it.each(['', '{}', '{"code":"4003"}', 'null'])('or none: %j', (data) => expect(closeCodeOf(data)).toBe(1001));
});
