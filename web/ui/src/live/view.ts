// Puts the page's content into its HTML. It holds no state of its own: what
// show() was not given is gone from the screen.

import { byId, make, makeSign, setSign, setText } from '../look/dom';
import type { Words } from '../words/words';
import type { AgentLine, Page } from './present';

export interface View {
  readonly chart: HTMLElement;
  show(page: Page): void;
}

export function openView(words: Words, retry: () => void): View {
  document.documentElement.lang = words.lang;
  const page = byId('page');
  const parts = {
    site: byId('site'),
    reference: byId('reference'),
    headline: byId('headline'),
    detail: byId('detail'),
    contact: byId('contact-text'),
    announce: byId('announce'),
  };
  const sign = byId<SVGUseElement>('sign');
  const contact = byId('contact');
  const summary = byId('summary');
  const people = byId('people');
  const agents = new AgentList(byId('agents'));
  const chart = byId('chart');
  const again = byId<HTMLButtonElement>('retry');
  const theme = document.querySelector<HTMLMetaElement>('meta[name="theme-color"]');

  again.textContent = words.retry;
  again.addEventListener('click', retry);
  setText(byId('people-title'), words.agents);
  const policy = make('a', '', words.policy);
  policy.href = `/policy?lang=${words.lang}`;
  policy.target = '_blank'; // the mission goes on here
  policy.rel = 'noopener noreferrer';
  byId('privacy').append(words.privacy, ' ', policy);

  return {
    chart,
    show(to) {
      document.title = to.title === '' ? 'Ronde' : `${to.title} · Ronde`;
      const before = page.dataset['tone'];
      page.dataset['tone'] = to.tone;
      page.dataset['stale'] = String(to.stale);
      page.dataset['contact'] = to.contact.kind;
      page.dataset['chart'] = to.chart === undefined ? 'none' : 'shown';
      if (before !== to.tone && theme !== null) theme.content = getComputedStyle(page).getPropertyValue('--board');
      setSign(sign, to.tone);
      setText(parts.site, to.site);
      setText(parts.reference, to.reference);
      setText(parts.headline, to.headline);
      setText(parts.detail, to.detail);
      setText(parts.contact, to.contact.text);
      setText(parts.announce, [to.announce, to.contact.kind === 'degraded' ? to.contact.text : ''].filter(Boolean).join('. '));
      contact.hidden = to.contact.kind === 'none';
      chart.hidden = to.chart === undefined;
      people.hidden = to.agents.length === 0;
      again.hidden = !to.retry;
      agents.show(to.agents);
      showSummary(summary, to.summary);
    },
  };
}

function showSummary(list: HTMLElement, lines: Page['summary']): void {
  list.hidden = lines.length === 0;
  list.replaceChildren(
    ...lines.map(([label, value]) => {
      const row = make('div', 'summary-row');
      row.append(make('dt', '', label), make('dd', '', value));
      return row;
    }),
  );
}

interface Row {
  readonly item: HTMLLIElement;
  readonly use: SVGUseElement;
  readonly status: HTMLElement;
  readonly facts: HTMLElement;
}

class AgentList {
  readonly #list: HTMLElement;
  readonly #rows = new Map<string, Row>();

  constructor(list: HTMLElement) {
    this.#list = list;
  }

  show(lines: readonly AgentLine[]): void {
    const gone = new Set(this.#rows.keys());
    for (const line of lines) {
      gone.delete(line.alias);
      const row = this.#rows.get(line.alias) ?? this.#add(line.alias);
      row.item.dataset['tone'] = line.tone;
      row.item.dataset['freshness'] = line.freshness;
      setSign(row.use, line.tone);
      setText(row.status, line.status);
      setText(row.facts, line.facts.join(' · '));
    }
    for (const alias of gone) {
      this.#rows.get(alias)?.item.remove();
      this.#rows.delete(alias);
    }
  }

  #add(alias: string): Row {
    const item = make('li', 'agent');
    item.dataset['agent'] = alias;
    const { svg, use } = makeSign('agent-sign');
    const body = make('div', 'agent-body');
    const status = make('p', 'agent-status');
    const facts = make('p', 'agent-facts');
    body.append(make('h3', 'agent-alias', alias), status, facts);
    item.append(svg, body);
    this.#list.append(item);
    const row = { item, use, status, facts };
    this.#rows.set(alias, row);
    return row;
  }
}
