import { html, useApp, useState } from "../ui.js";
import { Dialog, Field } from "./parts.js";
import { Picker, useChoice } from "./picker.js";

/** With one it is between two, with more a group. */
export function NewConversation({ onClose }) {
  const app = useApp();
  const [chosen, toggle] = useChoice();
  const [title, setTitle] = useState("");
  const [all, setAll] = useState(false);
  const [asGroup, setAsGroup] = useState(false);
  const [busy, setBusy] = useState(false);
  const group = asGroup || chosen.size > 1;
  const begin = async (event) => {
    event.preventDefault();
    if (busy || chosen.size === 0) return;
    setBusy(true);
    const done = await app.attempt(async () => {
      const [first = ""] = chosen;
      const made = group ? await makeGroup() : await app.conversations.openWith(first);
      app.go({ pane: "chats", conversation: made.id });
    });
    setBusy(false);
    if (done) onClose();
  };
  const makeGroup = async () => {
    /** @type {import("../../../clients/typescript/src/api.js").CreateConversationBody} */
    const body = {
      kind: "group",
      participants: [...chosen],
      title: title.trim() || null,
      history: all ? "all" : "since-joining",
    };
    return app.conversations.learn(await app.parlor.call("create_conversation", { body }));
  };
  return html`<${Dialog} title="New conversation" onClose=${onClose}>
    <form class="stack" onSubmit=${begin}>
      <${Picker} label="Search people" chosen=${chosen} onToggle=${toggle} without=${new Set([app.me])} />
      ${
        chosen.size === 1 &&
        html`<label class="check"><input type="checkbox" checked=${asGroup}
        onChange=${() => setAsGroup(!asGroup)} />Make it a group, to which others can be added</label>`
      }
      ${
        group &&
        html`<${Field} label="What the group is called" value=${title} maxlength=${200} placeholder="Optional"
          onInput=${(event) => setTitle(event.currentTarget.value)} />
        <label class="check"><input type="checkbox" checked=${all} onChange=${() => setAll(!all)}
          />Whoever joins later sees everything said before</label>`
      }
      <button class="button is-primary is-wide" type="submit"
        aria-disabled=${chosen.size === 0 || busy}>${group ? "Begin group" : "Begin conversation"}</button>
    </form>
  <//>`;
}
