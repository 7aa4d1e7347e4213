// An OpenAPI document as what a reader looks for: operations by group, each with
// what goes in and what comes out.

import { nameOf, type Content, type OpenAPI, type OperationDoc, type Schema } from './openapi';
import { exampleOf, rulesOf, typeOf, type Word } from './schema';

export interface Reference {
  readonly title: string;
  readonly about: string;
  readonly groups: readonly Group[];
  readonly credentials: readonly { readonly name: string; readonly about: string }[];
  readonly problems: readonly Problem[];
  readonly schemas: readonly { readonly name: string; readonly members: readonly Member[] }[];
}

export interface Group {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly operations: readonly Operation[];
}

export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly summary: string;
  /** Whose credential it takes: “apiKey of platform, operator”. */
  readonly who: string;
  readonly parameters: readonly Member[];
  readonly body: { readonly type: readonly Word[]; readonly required: boolean } | undefined;
  /** A request as one would send it from a shell. */
  readonly example: string | undefined;
  readonly answers: readonly Answer[];
}

/** A parameter, or a member of an object. */
export interface Member {
  readonly name: string;
  /** Where a parameter goes: path, query or header; “” for a member. */
  readonly where: string;
  readonly required: boolean;
  readonly type: readonly Word[];
  readonly about: string;
  readonly rules: readonly string[];
}

export interface Answer {
  readonly status: string;
  readonly about: string;
  readonly type: readonly Word[];
  /** The codes of problems that come with it. */
  readonly codes: readonly string[];
}

export interface Problem {
  readonly code: string;
  readonly status: number;
  readonly meaning: string;
}

const methods = ['get', 'post', 'put', 'patch', 'delete'];

/** Reads a document. origin is where the server is, for the examples. */
export function readReference(document: OpenAPI, origin: string): Reference {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = item[method];
      return operation === undefined ? [] : [{ tag: operation.tags?.[0] ?? '', ...readOperation(document, origin, method, path, operation) }];
    }),
  );
  return {
    title: `${document.info.title} API`,
    about: `${document.info.description ?? ''} This is version ${document.info.version}.`,
    groups: (document.tags ?? []).map(({ name, description, 'x-displayName': title }) => ({
      name,
      title: title ?? name,
      about: description ?? '',
      operations: operations.filter(({ tag }) => tag === name).sort(byPath),
    })),
    credentials: Object.entries(document.components.securitySchemes ?? {}).map(([name, s]) => ({ name, about: s.description ?? '' })),
    problems: Object.entries(document['x-problems'] ?? {})
      .map(([code, p]) => ({ code, ...p }))
      .sort((a, b) => a.status - b.status || a.code.localeCompare(b.code)),
    schemas: Object.entries(document.components.schemas)
      .map(([name, schema]) => ({ name, members: membersOf(schema) }))
      .sort((a, b) => a.name.localeCompare(b.name)),
  };
}

/** What is about the whole before what is about a part; of one path, reading before changing. */
function byPath(a: Operation, b: Operation): number {
  return a.path.split('/').length - b.path.split('/').length || a.path.localeCompare(b.path) || methods.indexOf(a.method) - methods.indexOf(b.method);
}

function readOperation(document: OpenAPI, origin: string, method: string, path: string, operation: OperationDoc): Operation {
  const body = operation.requestBody;
  const schema = schemaOf(body?.content);
  const socket = operation.responses['101'] !== undefined;
  return {
    id: operation.operationId,
    method,
    path,
    summary: operation.summary ?? '',
    who: whoMay(operation),
    parameters: (operation.parameters ?? []).map((p) => ({
      ...memberOf(p.name, p.schema ?? {}, p.required === true), where: p.in, about: p.description ?? '',
    })),
    body: body === undefined || schema === undefined || isEmpty(schema, document) ? undefined : { type: typeOf(schema), required: body.required === true },
    example: socket ? undefined : curl(origin, method, path, operation, schema === undefined ? undefined : exampleOf(schema, document)),
    answers: Object.entries(operation.responses).map(([status, r]) => {
      const answered = schemaOf(r.content);
      return { status, about: r.description, type: answered === undefined ? [] : typeOf(answered), codes: r['x-codes'] ?? [] };
    }),
  };
}

function whoMay(operation: OperationDoc): string {
  const schemes = [...new Set((operation.security ?? []).flatMap((s) => Object.keys(s)))];
  if (schemes.length === 0) return 'none';
  const roles = operation['x-roles'] ?? [];
  return schemes.join(', ') + (schemes.includes('apiKey') ? ` of ${roles.join(' or ')}` : '');
}

function schemaOf(content: Content | undefined): Schema | undefined {
  return Object.values(content ?? {})[0]?.schema;
}

/** Whether a body has nothing to say. */
function isEmpty(schema: Schema, document: OpenAPI): boolean {
  const found = schema.$ref === undefined ? schema : document.components.schemas[nameOf(schema.$ref)];
  return Object.keys(found?.properties ?? {}).length === 0;
}

function membersOf(schema: Schema): Member[] {
  return Object.entries(schema.properties ?? {}).map(([name, s]) => memberOf(name, s, schema.required?.includes(name) === true));
}

function memberOf(name: string, schema: Schema, required: boolean): Member {
  return { name, where: '', required, type: typeOf(schema), about: schema.description ?? '', rules: rulesOf(schema) };
}

function curl(origin: string, method: string, path: string, operation: OperationDoc, body: unknown): string {
  const sends = body !== undefined && Object.keys(body as object).length > 0;
  const words = ['curl'];
  if (method !== 'get' && !(method === 'post' && sends)) words.push(`-X ${method.toUpperCase()}`);
  words.push(`'${origin}${path}'`);
  const lines = [words.join(' ')];
  if ((operation.security ?? []).length > 0) lines.push(`-H "Authorization: Bearer $KEY"`);
  if (sends) lines.push(`-H 'Content-Type: application/json'`, `-d '${JSON.stringify(body, null, 2)}'`);
  return lines.join(' \\\n  ');
}
