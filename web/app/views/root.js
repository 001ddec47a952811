import { AppContext, html, useChanges, useEffect } from "../ui.js";
import { Toasts } from "./parts.js";
import { Shell } from "./shell.js";
import { Welcome } from "./welcome.js";

/** Everything that there is to see. */
export function Root({ app }) {
  useChanges(app);
  const unread = app.me ? app.conversations.unread : 0;
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Parlor` : "Parlor";
  }, [unread]);
  return html`<${AppContext.Provider} value=${app}>
    ${app.me ? html`<${Shell} key=${app.me} />` : html`<${Welcome} />`}
    <${Toasts} />
  <//>`;
}
