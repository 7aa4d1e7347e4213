// Schemas in words, and as examples.

import { nameOf, type OpenAPI, type Schema } from './openapi';

/** A piece of text, or the name of a schema to lead to. */
export type Word = string | { readonly schema: string };

const plain: Readonly<Record<string, string>> = {
  string: 'text', integer: 'whole number', number: 'number', boolean: 'true or false', object: 'object', null: 'null',
};
const formats: Readonly<Record<string, string>> = { 'date-time': 'time, RFC 3339', date: 'date', uri: 'address', uuid: 'UUID' };

/** The type of a value: [“list of ”, Agent]. */
export function typeOf(schema: Schema): Word[] {
  if (schema.$ref !== undefined) return [{ schema: nameOf(schema.$ref) }];
  const types = typeof schema.type === 'string' ? [schema.type] : [...(schema.type ?? [])];
  const orNull = types.includes('null') && types.length > 1 ? [' or null'] : [];
  const type = types.find((t) => t !== 'null') ?? 'null';
  if (type === 'array') return ['list of ', ...typeOf(schema.items ?? { type: 'object' }), ...orNull];
  return [(type === 'string' && formats[schema.format ?? '']) || (plain[type] ?? type), ...orNull];
}

/** What a value must keep to, a rule each. */
export function rulesOf(schema: Schema): string[] {
  const choices = schema.enum ?? schema.items?.enum;
  const size = (least: number | undefined, most: number | undefined, of: string) => {
    if (least === undefined && most === undefined) return [];
    if (least === undefined) return [`at most ${most}${of}`];
    return [most === undefined ? `at least ${least}${of}` : `${least} to ${most}${of}`];
  };
  return [
    ...(choices === undefined ? [] : [`one of ${choices.filter((c) => c !== null).join(', ')}`]),
    ...size(schema.minimum, schema.maximum, ''),
    ...size(schema.minLength, schema.maxLength, ' characters'),
    ...size(schema.minItems, schema.maxItems, ' items'),
    ...(schema.default === undefined ? [] : [`by default ${JSON.stringify(schema.default)}`]),
  ];
}

/** A value that a schema allows: what is required of it, and what has an example. */
export function exampleOf(schema: Schema, document: OpenAPI): unknown {
  if (schema.$ref !== undefined) return exampleOf(document.components.schemas[nameOf(schema.$ref)] ?? {}, document);
  if (schema.examples?.[0] !== undefined) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.enum?.[0] !== undefined) return schema.enum[0];
  const types = schema.type ?? [];
  if (types === 'object') return exampleObject(schema, document);
  if (types === 'array' || types.includes('array')) return schema.items === undefined ? [] : [exampleOf(schema.items, document)];
  if (types === 'integer' || types === 'number') return schema.minimum ?? 0;
  return types === 'boolean' ? false : '…';
}

function exampleObject(schema: Schema, document: OpenAPI): unknown {
  const properties = schema.properties ?? {};
  const names = [...(schema.required ?? []), ...Object.keys(properties).filter((n) => properties[n]?.examples !== undefined)];
  if (names.length === 0) names.push(...Object.keys(properties).filter((n) => properties[n]?.default !== undefined));
  return Object.fromEntries(names.map((name) => [name, exampleOf(properties[name] ?? {}, document)]));
}
