import { Mark, Toasts } from "../../app/views/parts.js";
import { AppContext, html, useChanges } from "../../app/ui.js";
import { Door } from "./door.js";
import { Frame } from "./frame.js";

/** Everything that there is to see. What is shared with the web client finds the console where it looks for the app. */
export function Root({ desk }) {
  useChanges(desk);
  return html`<${AppContext.Provider} value=${desk}>
    ${desk.me && desk.admitted ? html`<${Frame} />` : desk.me && desk.admitted === undefined && desk.silent.size === 0 ? html`<${Waiting} />` : html`<${Door} />`}
    <${Toasts} />
  <//>`;
}

function Waiting() {
  return html`<main class="waiting" aria-busy="true"><h1 class="unseen">Parlor console</h1><${Mark} /></main>`;
}
