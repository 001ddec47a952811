// Where this browser keeps its session: in `localStorage`, shared by its tabs (docs/adr/0017-web-client.md).

/** @import { TokenStore, Tokens } from "../../clients/typescript/src/session.js" */

const KEY = "parlor.session";

/** @returns {Tokens | undefined} */
function load() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "null") ?? undefined;
  } catch {
    return undefined;
  }
}

/** @type {TokenStore} */
export const tokens = {
  load,
  save: (kept) => (kept ? localStorage.setItem(KEY, JSON.stringify(kept)) : localStorage.removeItem(KEY)),
  // A refresh token is good once: one tab renews, the others take what it got.
  alone: async (work) => (navigator.locks ? await navigator.locks.request(KEY, work) : work()),
};

/** Calls when another tab signs in or out. @param {() => void} changed */
export function onElsewhere(changed) {
  addEventListener("storage", (event) => {
    if (event.key === null) return changed();
    if (event.key !== KEY) return;
    const user = (/** @type {string | null} */ kept) => (kept ? JSON.parse(kept).userId : undefined);
    if (user(event.oldValue) !== user(event.newValue)) changed();
  });
}
