import { gzipSync } from 'node:zlib';
import type { Plugin, Rolldown } from 'vite';

/**
 * Fails the build if a page's code grows over its budget, in kilobytes of
 * gzip. `pages`: all script that a page loads before it has painted. `chunks`:
 * what it loads later, by the name of the file without its hash.
 */
export function budget(pages: Readonly<Record<string, number>>, chunks: Readonly<Record<string, number>>): Plugin {
  return {
    name: 'ronde-budget',
    apply: 'build',
    generateBundle(_, bundle) {
      const files = Object.values(bundle);
      for (const [name, most] of Object.entries(pages)) {
        const entry = files.find((f): f is Rolldown.OutputChunk => f.type === 'chunk' && f.isEntry && f.name === name);
        if (entry === undefined) this.error(`the page ${name} has no script`);
        check(this, `${name}, before its first paint`, [...statics(entry, bundle)], most);
      }
      for (const [name, most] of Object.entries(chunks)) {
        const file = files.find((f) => f.fileName.startsWith(`assets/${name}-`) && f.fileName.endsWith('.js'));
        if (file === undefined) this.error(`there is no chunk ${name}`);
        check(this, name, [file], most);
      }
    },
  };
}

type Context = { info(message: string): void; error(message: string): never };

function check(context: Context, name: string, files: (Rolldown.OutputChunk | Rolldown.OutputAsset)[], most: number): void {
  const size = files.reduce((sum, f) => sum + gzipSync(f.type === 'chunk' ? f.code : f.source).length, 0) / 1000;
  const line = `${name}: ${size.toFixed(1)} of ${most} kB`;
  if (size > most) context.error(`over its budget: ${line}`);
  context.info(line);
}

/** A chunk with all that it imports at once. */
function statics(chunk: Rolldown.OutputChunk, bundle: Rolldown.OutputBundle, seen = new Set<Rolldown.OutputChunk>()) {
  if (seen.has(chunk)) return seen;
  seen.add(chunk);
  for (const name of chunk.imports) {
    const imported = bundle[name];
    if (imported?.type === 'chunk') statics(imported, bundle, seen);
  }
  return seen;
}
