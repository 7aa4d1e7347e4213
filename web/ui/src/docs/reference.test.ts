import { describe, expect, it } from 'vitest';
import type { OpenAPI, Schema } from './openapi';
import { readReference } from './reference';
import { exampleOf, rulesOf, typeOf } from './schema';

const problem = { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } };

const document: OpenAPI = {
  info: { title: 'Ronde', version: '1.2', description: 'Missions.' },
  tags: [{ name: 'links', 'x-displayName': 'Links' }, { name: 'missions', description: 'Jobs.' }],
  paths: {
    '/v1/missions/{id}': {
      delete: { operationId: 'deleteMission', tags: ['missions'], responses: {} },
      get: {
        operationId: 'getMission', tags: ['missions'],
        parameters: [{ name: 'id', in: 'path', required: true, description: 'The mission', schema: { type: 'string' } }],
        responses: { 101: { description: 'Switching Protocols' } },
      },
    },
    '/v1/missions': {
      post: {
        operationId: 'createMission', summary: 'Create', tags: ['missions'], security: [{ apiKey: [] }], 'x-roles': ['platform', 'operator'],
        requestBody: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/MissionRequest' } } } },
        responses: { 201: { description: 'Created' }, 409: { description: 'Conflict: taken', 'x-codes': ['taken'], ...problem } },
      },
    },
    '/v1/links': {
      post: {
        operationId: 'createLink', tags: ['links'], security: [{ link: [] }], 'x-roles': ['viewer'],
        requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Empty' } } } },
        responses: { 200: { description: 'OK' } },
      },
    },
  },
  components: {
    schemas: {
      Empty: { type: 'object' },
      MissionRequest: {
        type: 'object', required: ['reference', 'agents'],
        properties: {
          agents: { type: 'array', items: { $ref: '#/components/schemas/Agent' }, minItems: 1 },
          note: { type: 'string' },
          reference: { type: 'string', examples: ['M-1'], maxLength: 200, description: 'A name' },
        },
      },
      Agent: { type: 'object', properties: { alias: { type: 'string', default: 'A1' }, paused: { type: 'boolean' } } },
    },
    securitySchemes: { apiKey: { description: 'A key' } },
  },
  'x-problems': { taken: { status: 409, meaning: 'Taken.' }, gone: { status: 404, meaning: 'Gone.' } },
};

describe('a reference', () => {
  const reference = readReference(document, 'https://ronde.example');

  it('has the groups of the document, and in them the whole before its parts', () => {
    expect(reference.groups.map((g) => [g.title, g.about, g.operations.map((o) => o.id)])).toEqual([
      ['Links', '', ['createLink']],
      ['missions', 'Jobs.', ['createMission', 'getMission', 'deleteMission']],
    ]);
  });

  it('tells what an operation takes and answers', () => {
    const created = reference.groups[1]?.operations[0];
    expect(created).toMatchObject({
      method: 'post', path: '/v1/missions', summary: 'Create', who: 'apiKey of platform or operator',
      body: { type: [{ schema: 'MissionRequest' }], required: true },
      answers: [
        { status: '201', about: 'Created', type: [], codes: [] },
        { status: '409', about: 'Conflict: taken', type: [{ schema: 'Problem' }], codes: ['taken'] },
      ],
    });
    expect(created?.example).toBe(
      `curl 'https://ronde.example/v1/missions' \\\n  -H "Authorization: Bearer $KEY" \\\n  -H 'Content-Type: application/json' \\\n` +
        `  -d '${JSON.stringify({ reference: 'M-1', agents: [{ alias: 'A1' }] }, null, 2)}'`,
    );
  });

  it('leaves out a body that says nothing, and the example of a socket', () => {
    expect(reference.groups[0]?.operations[0]).toMatchObject({
      body: undefined, who: 'link', example: `curl -X POST 'https://ronde.example/v1/links' \\\n  -H "Authorization: Bearer $KEY"`,
    });
    expect(reference.groups[1]?.operations[1]).toMatchObject({
      example: undefined, who: 'none', parameters: [{ name: 'id', where: 'path', required: true, type: ['text'], about: 'The mission' }],
    });
  });

  it('lists schemas by name and problems by status', () => {
    expect(reference.schemas.map((s) => s.name)).toEqual(['Agent', 'Empty', 'MissionRequest']);
    expect(reference.schemas[2]?.members[2]).toEqual({
      name: 'reference', where: '', required: true, type: ['text'], about: 'A name', rules: ['at most 200 characters'],
    });
    expect(reference.problems.map((p) => p.code)).toEqual(['gone', 'taken']);
  });
});

describe('a schema', () => {
  it.each<[Schema, unknown[]]>([
    [{ type: 'string' }, ['text']],
    [{ type: 'string', format: 'date-time' }, ['time, RFC 3339']],
    [{ type: ['integer', 'null'] }, ['whole number', ' or null']],
    [{ type: 'array', items: { $ref: '#/components/schemas/Agent' } }, ['list of ', { schema: 'Agent' }]],
    [{ type: ['array', 'null'], items: { type: 'number' } }, ['list of ', 'number', ' or null']],
    [{ type: 'null' }, ['null']],
  ])('%j has a type', (schema, type) => expect(typeOf(schema)).toEqual(type));

  it.each<[Schema, string[]]>([
    [{}, []],
    [{ minimum: 1, maximum: 200, default: 50 }, ['1 to 200', 'by default 50']],
    [{ minLength: 1 }, ['at least 1 characters']],
    [{ type: 'array', maxItems: 3, items: { enum: ['a', 'b'] } }, ['one of a, b', 'at most 3 items']],
    [{ enum: ['a', null] }, ['one of a']],
  ])('%j has rules', (schema, rules) => expect(rulesOf(schema)).toEqual(rules));

  it.each<[Schema, unknown]>([
    [{ type: 'integer', minimum: 1 }, 1],
    [{ type: 'number' }, 0],
    [{ type: 'boolean' }, false],
    [{ type: 'string' }, '…'],
    [{ type: 'string', enum: ['x', 'y'] }, 'x'],
    [{ type: 'array', items: { type: 'string', examples: ['z'] } }, ['z']],
    [{ $ref: '#/components/schemas/Agent' }, { alias: 'A1' }],
  ])('%j has an example', (schema, example) => expect(exampleOf(schema, document)).toEqual(example));
});
