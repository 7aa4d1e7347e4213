// Drives a headless Chromium for the Go tests: one command a line on standard
// input, one answer a line on standard output, both JSON. The story is told in
// Go; this only carries it out. With --profile=FOLDER the browser keeps there what
// it keeps of an ordinary user; otherwise it keeps nothing.

import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [, , executablePath, origin, ...more] = process.argv;
const profile = more.find((flag) => flag.startsWith('--profile='))?.slice('--profile='.length);
const flags = [...more.filter((flag) => !flag.startsWith('--profile=')), '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--enable-unsafe-swiftshader'];
const tab = { viewport: { width: 390, height: 844 }, locale: 'en-GB', deviceScaleFactor: 2 };
const browser = profile ? undefined : await chromium.launch({ executablePath, args: flags });
const context = profile ? await chromium.launchPersistentContext(profile, { executablePath, args: flags, ...tab }) : await browser.newContext(tab);
const page = context.pages()[0] ?? await context.newPage();
const seen = { violations: [], foreign: [], errors: [] };

page.on('console', (m) => {
  if (/content security policy|trusted type/i.test(m.text())) seen.violations.push(m.text());
});
page.on('pageerror', (e) => seen.errors.push(String(e)));
context.on('request', (r) => {
  if (!r.url().startsWith(origin) && !/^(data|blob):/.test(r.url())) seen.foreign.push(new URL(r.url()).host);
});

const commands = {
  open: ({ url }) => page.goto(url).then(() => undefined),
  // Waits until the expression is true in the page. The library's own way to
  // wait evaluates a string in the page, which its policy forbids.
  async until({ expression }) {
    for (const end = Date.now() + 30_000; Date.now() < end; await page.waitForTimeout(50)) {
      if (await page.evaluate(expression)) return;
    }
    throw new Error('it never came true');
  },
  read: ({ expression }) => page.evaluate(expression),
  press: ({ key }) => page.keyboard.press(key),
  offline: ({ on }) => context.setOffline(on),
  resize: ({ width, height }) => page.setViewportSize({ width, height }),
  scheme: ({ scheme }) => page.emulateMedia({ colorScheme: scheme }),
  picture: ({ path }) => page.screenshot({ path, fullPage: true }).then(() => undefined),
  seen: () => seen,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...rest } = JSON.parse(line);
  try {
    const value = await commands[command](rest);
    console.log(JSON.stringify({ value: value ?? null }));
  } catch (e) {
    console.log(JSON.stringify({ error: String(e) }));
  }
}
await (browser ?? context).close();
