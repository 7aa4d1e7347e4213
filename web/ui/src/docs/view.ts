// Puts a reference into the page. Operations and schemas are closed at first, so
// that the page is a list to look over; a link to one opens it.

import { byId, make, setText } from '../look/dom';
import type { Answer, Group, Member, Operation, Reference } from './reference';
import type { Word } from './schema';

export function show(reference: Reference): void {
  document.title = reference.title;
  setText(byId('title'), reference.title);
  setText(byId('about'), reference.about);
  const sections = [
    credentials(reference),
    ...reference.groups.map(group),
    problems(reference),
    schemas(reference),
  ];
  byId('contents').replaceChildren(...sections.map(({ id, title }) => {
    const item = make('li', '');
    item.append(link(`#${id}`, title));
    return item;
  }));
  byId('reference').replaceChildren(...sections.map(({ element }) => element));
  offerToggle();
  addEventListener('hashchange', reveal);
  document.addEventListener('click', (event) => {
    // A link to where one has been already changes no address.
    if (event.target instanceof Element && event.target.closest('a[href^="#"]') !== null) queueMicrotask(reveal);
  });
  reveal();
}

interface Section {
  readonly id: string;
  readonly title: string;
  readonly element: HTMLElement;
}

function section(id: string, title: string, about: string, ...content: HTMLElement[]): Section {
  const element = make('section', 'group');
  element.id = id;
  const heading = make('h2', 'group-title', title);
  heading.id = `${id}-title`;
  element.setAttribute('aria-labelledby', heading.id);
  element.append(heading, ...(about === '' ? [] : [make('p', 'group-about', about)]), ...content);
  return { id, title, element };
}

function credentials({ credentials }: Reference): Section {
  const list = make('dl', 'members');
  for (const c of credentials) {
    const entry = make('div', 'member');
    entry.append(term(code(c.name)), make('dd', 'member-about', `${c.about}.`));
    list.append(entry);
  }
  return section('credentials', 'Credentials', 'A credential goes into the header Authorization, as a bearer token, and nowhere else.', list);
}

function group({ name, title, about, operations }: Group): Section {
  return section(`tag-${name}`, title, about, ...operations.map(operation));
}

function operation(o: Operation): HTMLElement {
  const title = make('h3', 'operation-title');
  const method = make('span', 'method', o.method.toUpperCase());
  method.dataset['method'] = o.method;
  const path = code('');
  path.append(...o.path.split('/').flatMap((part, i) => (i === 0 ? [part] : [document.createElement('wbr'), `/${part}`])));
  title.append(method, path, make('span', 'operation-summary', o.summary));
  const entry = fold('operation', o.id, title);
  entry.append(make('p', 'who', `Credential: ${o.who}`));
  if (o.parameters.length > 0) entry.append(make('h4', 'part', 'Parameters'), members(o.parameters));
  if (o.body !== undefined) {
    const body = make('p', 'body');
    body.append(...words(o.body.type), o.body.required ? ', required' : ', may be absent');
    entry.append(make('h4', 'part', 'Body'), body);
  }
  entry.append(make('h4', 'part', 'Answers'), answers(o.answers));
  if (o.example !== undefined) entry.append(make('h4', 'part', 'From a shell'), example(o.example, o.summary));
  return entry;
}

function answers(list: readonly Answer[]): HTMLElement {
  const element = make('dl', 'answers');
  for (const a of list) {
    const entry = make('div', 'answer');
    entry.dataset['good'] = String(/^[123]/.test(a.status));
    const about = make('dd', 'answer-about');
    if (a.codes.length > 0) {
      a.codes.forEach((name, i) => about.append(...(i === 0 ? [] : [', ']), link(`#problem-${name}`, '', code(name))));
    } else {
      about.append(a.about, ...(a.type.length > 0 ? [': ', ...words(a.type)] : []));
    }
    entry.append(make('dt', 'status', a.status), about);
    element.append(entry);
  }
  return element;
}

function problems({ problems }: Reference): Section {
  const list = make('dl', 'members');
  for (const p of problems) {
    const entry = make('div', 'member');
    entry.id = `problem-${p.code}`;
    entry.tabIndex = -1;
    entry.append(term(code(p.code), make('span', 'type', String(p.status))), make('dd', 'member-about', p.meaning));
    list.append(entry);
  }
  return section('problems', 'Problems', 'Every refusal is a problem of RFC 9457 with a code that stays what it is.', list);
}

function schemas({ schemas }: Reference): Section {
  return section('schemas', 'Schemas', '', ...schemas.map((s) => {
    const title = make('h3', 'schema-title');
    title.append(code(s.name));
    const entry = fold('schema', `schema-${s.name}`, title);
    entry.append(s.members.length > 0 ? members(s.members) : make('p', 'body', 'No members.'));
    return entry;
  }));
}

function members(list: readonly Member[]): HTMLElement {
  const element = make('dl', 'members');
  for (const m of list) {
    const entry = make('div', 'member');
    const type = make('span', 'type');
    type.append(...words(m.type), m.where === '' ? '' : `, in the ${m.where}`);
    const about = [m.about, m.rules.join(', ')].filter(Boolean).join(' — ');
    entry.append(term(code(m.name), type, ...(m.required ? [make('span', 'required', 'required')] : [])));
    if (about !== '') entry.append(make('dd', 'member-about', about));
    element.append(entry);
  }
  return element;
}

function words(list: readonly Word[]): Node[] {
  return list.map((w) => (typeof w === 'string' ? document.createTextNode(w) : link(`#schema-${w.schema}`, '', code(w.schema))));
}

function fold(className: string, id: string, title: HTMLElement): HTMLDetailsElement {
  const element = make('details', `fold ${className}`);
  element.id = id;
  const summary = make('summary', 'fold-title');
  summary.append(title);
  element.append(summary);
  return element;
}

function example(text: string, of: string): HTMLElement {
  const element = make('pre', 'example', text);
  element.tabIndex = 0; // it scrolls sideways, also by keyboard
  element.setAttribute('role', 'region');
  element.setAttribute('aria-label', `Example: ${of}`);
  return element;
}

function term(...content: Node[]): HTMLElement {
  const element = make('dt', 'member-name');
  element.append(...content.flatMap((c, i) => (i === 0 ? [c] : [' ', c])));
  return element;
}

function code(text: string): HTMLElement {
  return make('code', '', text);
}

function link(href: string, text: string, ...content: Node[]): HTMLAnchorElement {
  const element = make('a', '', text);
  element.href = href;
  element.append(...content);
  return element;
}

/** Opens and shows what the address names. */
function reveal(): void {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target === null) return;
  if (target instanceof HTMLDetailsElement) target.open = true;
  target.scrollIntoView();
  (target.querySelector<HTMLElement>(':scope > summary') ?? target).focus({ preventScroll: true });
}

function offerToggle(): void {
  const button = byId<HTMLButtonElement>('toggle');
  const folds = [...document.querySelectorAll<HTMLDetailsElement>('details.operation')];
  let open = false;
  const label = () => setText(button, open ? 'Close all operations' : 'Open all operations');
  label();
  button.hidden = false;
  button.addEventListener('click', () => {
    open = !open;
    for (const f of folds) f.open = open;
    label();
  });
}
