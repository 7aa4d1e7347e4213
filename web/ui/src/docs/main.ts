// The API's page: what the server's OpenAPI document says, for people.

import '../look/tokens.css';
import '../look/base.css';
import './docs.css';

import { byId, setText } from '../look/dom';
import type { OpenAPI } from './openapi';
import { readReference } from './reference';
import { show } from './view';

async function load(): Promise<void> {
  const answer = await fetch('/v1/openapi.json');
  if (!answer.ok) throw new Error(`the document was answered with ${answer.status}`);
  show(readReference((await answer.json()) as OpenAPI, location.origin));
}

load().catch((error: unknown) => {
  setText(byId('about'), 'The document of the API could not be read. Reload the page to try again.');
  console.error(error);
});
