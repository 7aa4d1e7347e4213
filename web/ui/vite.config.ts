import { defineConfig } from 'vitest/config';
import { budget } from './build/budget.ts';
import { compress } from './build/compress.ts';

// Every page is an entry of its own; what they share becomes chunks of its own.
const pages = { live: 'live.html', docs: 'docs.html' };

export default defineConfig({
  // The server puts a fresh nonce for each answer in the place of this word.
  html: { cspNonce: '__NONCE__' },
  build: {
    outDir: '../dist',
    emptyOutDir: true, // public/.keep puts the folder's placeholder back
    target: 'es2022',
    assetsInlineLimit: 0, // nothing as data:, the policy has no need to allow it
    license: { fileName: 'licenses.md' }, // of what is bundled, to go where it goes
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
    rollupOptions: {
      input: pages,
      output: {
        // A module worker needs a name that every server knows the type of.
        assetFileNames: ({ names }) => (names[0]?.endsWith('.mjs') ? 'assets/[name]-[hash].js' : 'assets/[name]-[hash][extname]'),
      },
    },
  },
  // For `npm run dev` beside `ronde serve --public-url http://localhost:5173`.
  server: { proxy: { '/v1': { target: 'http://127.0.0.1:8080', ws: true } } },
  plugins: [budget({ live: 25, docs: 6 }, { map: 330, 'maplibre-gl-worker': 160, 'h3-js.es': 75 }), compress()],
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
