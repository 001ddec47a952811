import { Icon, IconButton, html, useApp, useEffect, useLayoutEffect, useRef, useState } from "../ui.js";

/** As many characters as a message may have; the server counts the same way. */
const LONGEST = 4_000;
/** From here on it is said how many are left. */
const TELL = 3_600;

/** Where drafts wait while one looks elsewhere, by person and conversation. @type {Map<string, string>} */
const drafts = new Map();

const length = (text) => [...text].length;

/** Where something is said, or said differently. */
export function Composer({ timeline, about, onAbout, name }) {
  const app = useApp();
  const place = `${app.me} ${timeline.id}`;
  const [text, setText] = useState(drafts.get(place) ?? "");
  const input = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const editing = about?.kind === "edit" ? about.message : undefined;
  const replying = about?.kind === "reply" ? about.message : undefined;

  useEffect(() => {
    if (!editing) drafts.set(place, text);
  }, [text]);
  // On a phone the keyboard would cover what one came to read.
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches && !app.route.message) input.current?.focus();
  }, []);
  useEffect(() => {
    if (editing) setText(editing.content);
    else if (about === null) setText(drafts.get(place) ?? "");
    if (about) input.current?.focus();
  }, [about]);
  useLayoutEffect(() => {
    const area = /** @type {HTMLTextAreaElement} */ (input.current);
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, 200)}px`;
  }, [text]);

  const left = LONGEST - length(text);
  const submit = async () => {
    const content = text.trim() === "" ? "" : text.replace(/\s+$/u, "");
    if (!content || left < 0) return;
    if (editing) {
      const path = { id: timeline.id, messageId: editing.id };
      const done =
        content === editing.content ||
        (await app.attempt(async () => app.hear(await app.parlor.call("edit_message", { path, body: { content } }))));
      if (done) onAbout(null);
      return;
    }
    drafts.delete(place);
    setText("");
    onAbout(null);
    await timeline.showNewest();
    app.outbox.add(timeline.id, content, replying?.id ?? null);
  };

  const onKeyDown = (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      void submit();
    } else if (event.key === "Escape" && about) {
      event.preventDefault();
      onAbout(null);
    } else if (event.key === "ArrowUp" && text === "" && !about) {
      const last = timeline.items.findLast((one) => one.senderId === app.me && !one.deletedAt);
      if (!last) return;
      event.preventDefault();
      onAbout({ kind: "edit", message: last });
    }
  };
  const onInput = ({ currentTarget }) => {
    setText(currentTarget.value);
    if (currentTarget.value && !editing) app.transients.tell(timeline.id);
  };

  return html`<form class="composer" onSubmit=${(event) => (event.preventDefault(), submit())}>
    ${
      about &&
      html`<div class="composer-about">
      <${Icon} name=${about.kind} />
      <p><strong dir="auto">${editing ? "Edit message" : `Reply to ${replying.senderId === app.me ? "yourself" : app.people.name(replying.senderId)}`}</strong>
        <span dir="auto">${about.message.content}</span></p>
      <${IconButton} icon="close" label=${editing ? "Stop editing" : "Don’t reply"} onClick=${() => onAbout(null)} />
    </div>`
    }
    <div class="composer-line">
      <textarea ref=${input} rows="1" dir="auto" aria-label=${`Message to ${name}`} placeholder="Write a message"
        value=${text} onInput=${onInput} onKeyDown=${onKeyDown} enterkeyhint="send"></textarea>
      ${length(text) > TELL && html`<span class=${left < 0 ? "left is-over" : "left"} role="status">${left}</span>`}
      <button type="submit" class="send" aria-label=${editing ? "Save" : "Send"}
        title=${editing ? "Save" : "Send (Enter)"} aria-disabled=${text.trim() === "" || left < 0}>
        <${Icon} name=${editing ? "check" : "send"} /></button>
    </div>
  </form>`;
}
