// Trusted Types: the one script address that the map's library may use is its
// own worker. It passes a plain string, so that takes the default policy.

interface Factory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): unknown;
}

let made = false;

export function trustWorker(url: string): void {
  const { trustedTypes } = globalThis as { trustedTypes?: Factory };
  if (made || trustedTypes === undefined) return;
  trustedTypes.createPolicy('default', {
    createScriptURL(asked) {
      if (asked !== url) throw new TypeError('no script but the map’s worker');
      return asked;
    },
  });
  made = true;
}
