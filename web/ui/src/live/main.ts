// The client's page: where is my agent, is everything fine?

import '../look/tokens.css';
import '../look/base.css';
import './live.css';

import { wordsFor } from '../words/words';
import { measureOffset } from './clock';
import { Connection } from './connection';
import { dropToken, takeToken } from './link';
import { MapHolder } from './map-holder';
import { present } from './present';
import { initial, isFinal, reduce, type Live, type LiveEvent } from './state';
import { openView } from './view';

const words = wordsFor(navigator.languages);
let token = takeToken(location, history);
const view = openView(words, () => location.reload());
const map = new MapHolder(view.chart, words);

let live: Live = initial(token === undefined ? 'missing' : 'connecting');
let serverAhead = 0;
let connection: Connection | undefined;
const tick = setInterval(() => dispatch({ type: 'tick', at: Date.now() }), 1000);

function dispatch(event: LiveEvent): void {
  live = reduce(live, event);
  if (isFinal(live.link)) finish();
  const here = Date.now();
  const page = present(live, { here, server: here + serverAhead }, words);
  view.show(page);
  map.show(page.chart);
}

/** Nothing more will come: nothing is kept. A connection that was refused may be tried again with the same link. */
function finish(): void {
  clearInterval(tick);
  connection?.stop();
  connection = undefined;
  token = undefined;
  if (live.link !== 'refused') dropToken(location, history);
}

if (token !== undefined) {
  connection = new Connection(token, {
    frame(frame) {
      dispatch({ type: 'frame', frame });
      if (frame.type === 'snapshot') void syncClock();
    },
    lost: () => dispatch({ type: 'lost', at: Date.now() }),
    final: (why) => dispatch({ type: 'final', why }),
    expecting: () => live.mission?.state === 'active' && live.agents.some((a) => a.signal === 'live'),
  });
  connection.start();
}
dispatch({ type: 'tick', at: Date.now() });

async function syncClock(): Promise<void> {
  serverAhead = await measureOffset(location.pathname);
}

addEventListener('offline', () => connection?.offline());
addEventListener('online', () => connection?.wake());
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  dispatch({ type: 'tick', at: Date.now() });
  connection?.wake();
});

// A page that is left keeps nothing for the browser's own cache of pages.
addEventListener('pagehide', () => {
  connection?.stop();
  dispatch({ type: 'left' });
});
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload();
});

// Another link opened in the same tab.
addEventListener('hashchange', () => {
  takeToken(location, history);
  location.reload();
});
