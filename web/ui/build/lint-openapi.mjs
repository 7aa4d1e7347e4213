// Lints the OpenAPI document on standard input and prints what is wrong with it,
// one problem a line. The Go tests of the API run this.

import { text } from 'node:stream/consumers';
import { createConfig, lintFromString } from '@redocly/openapi-core';

const config = await createConfig({
  extends: ['recommended-strict'],
  telemetry: 'off',
  rules: {
    'operation-tag-defined': 'error',
    'parameter-description': 'error',
    'no-duplicated-tag-names': 'error',
    'no-invalid-schema-examples': 'error',
    'no-invalid-parameter-examples': 'error',
    'no-invalid-media-type-examples': 'error',
    'no-required-schema-properties-undefined': 'error',
    // Who may be refused follows from a route's roles, path and body, and is tested
    // for each: this document itself is for everybody.
    'operation-4xx-response': 'off',
  },
});

const problems = await lintFromString({ source: await text(process.stdin), absoluteRef: 'openapi.json', config });
for (const { severity, ruleId, message, location } of problems) {
  console.log(`${severity} ${ruleId}: ${message.trim()} (${location.map((l) => l.pointer).join(', ')})`);
}
