import { briefly } from "../format.js";
import { html, useApp, useEffect, useState } from "../ui.js";

/** Where one is signed in, and how to end that. */
export function Sessions() {
  const app = useApp();
  const [sessions, setSessions] = useState(
    /** @type {import("../../../clients/typescript/src/api.js").SessionInfo[]} */ ([]),
  );
  const load = () => app.attempt(async () => setSessions((await app.parlor.call("me", {})).sessions));
  useEffect(() => void load(), []);
  const end = async (id) => {
    if (await app.attempt(() => app.parlor.call("end_session", { path: { id } }))) await load();
  };
  return html`<ul class="plain">${sessions.map(
    (one) => html`<li key=${one.id} class="session">
      <div><strong dir="auto">${one.device ?? "An unnamed device"}</strong> ${
        one.current &&
        html`<span
        class="tag">This one</span>`
      }
        <p class="hint">${[one.address, `since ${briefly(one.startedAt)}`, `used ${briefly(one.lastUsedAt)}`].filter(Boolean).join(" · ")}</p>
        </div>
      ${
        !one.current &&
        html`<button type="button" class="button is-small" onClick=${() => end(one.id)}
        aria-label=${`End the session of ${one.device ?? "an unnamed device"}`}>End</button>`
      }
    </li>`,
  )}</ul>
    <button type="button" class="button is-danger" onClick=${() => app.signOut(true)}>Sign out everywhere</button>`;
}
