// What several views are made of.

import { hue, initials, lastSeen } from "../format.js";
import { Icon, IconButton, classes, html, useApp, useEffect, useRef } from "../ui.js";

/** Somebody's letters on somebody's colour; a circle for people, a square for groups. */
export function Avatar({ id, name, group = false, size = "medium", status = undefined }) {
  return html`<span class=${classes("avatar", `hue-${hue(id)}`, `is-${size}`, group && "is-group")} aria-hidden="true">
    ${initials(name)}
    ${status && html`<span class=${`presence is-${status}`}></span>`}
  </span>`;
}

/** Somebody, looked up when first shown; perhaps one with whom one has nothing to do yet. */
export function Person({ id, size = "medium", stranger = false }) {
  const { people, transients, me } = useApp();
  const person = people.get(id);
  const { status } = transients.presence(id);
  // Who never said anything is told to be away, and isn't: here they are. And strangers may be there without one's knowing.
  const shown = (id === me || stranger) && status === "offline" ? undefined : status;
  return html`<${Avatar} id=${id} name=${person.displayName ?? "…"} size=${size} status=${shown} />`;
}

/** What people call their availability. */
export const AVAILABILITY = { online: "Online", away: "Away", busy: "Busy", offline: "Offline" };

/** How somebody is, in words: there, or when they last were, and what they say of it. */
export function Standing({ id }) {
  const { people, transients } = useApp();
  const { status, lastSeenAt } = transients.presence(id);
  useEffect(() => void transients.look(id), [id, status, lastSeenAt]);
  const there = status === "offline" && lastSeenAt ? lastSeen(lastSeenAt) : AVAILABILITY[status];
  return [there, people.get(id).statusText].filter(Boolean).join(" · ");
}

/** What is said where there is nothing to show. */
export function Empty({ icon, title, children }) {
  return html`<div class="empty"><span class="empty-mark"><${Icon} name=${icon} /></span><h2>${title}</h2>
  <div>${children}</div></div>`;
}

/** A list's heading, with what can be done there. */
export function PaneHead({ title, children }) {
  return html`<header class="pane-head"><h1>${title}</h1><div class="pane-actions">${children}</div></header>`;
}

let fields = 0;

/** A labelled field. @param {Record<string, any>} props */
export function Field({ label, hint, error, children, ...input }) {
  const id = useRef(`field-${(fields += 1)}`).current;
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || null;
  const control = { id, "aria-describedby": described, "aria-invalid": error ? "true" : null, ...input };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${
      children
        ? children(control)
        : input.rows
          ? html`<textarea ...${control}>
    </textarea>`
          : html`<input ...${control} />`
    }
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="field-error" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

/** Something that has to be dealt with or closed before one goes on. The browser keeps the focus in it. */
export function Dialog({ title, onClose, kind = "sheet", children }) {
  const dialog = useRef(null);
  useEffect(() => {
    const shown = /** @type {HTMLDialogElement} */ (/** @type {unknown} */ (dialog.current));
    const before = document.activeElement;
    shown.showModal();
    return () => {
      shown.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const outside = (event) => event.target === dialog.current && onClose();
  return html`<dialog ref=${dialog} class=${`dialog is-${kind}`} aria-label=${title}
    onCancel=${(event) => (event.preventDefault(), onClose())} onClick=${outside}>
    <div class="dialog-body">
      <header><h2>${title}</h2><${IconButton} icon="close" label="Close" onClick=${onClose} /></header>
      ${children}
    </div>
  </dialog>`;
}

/** Has the arrow keys go through the links and buttons of a list. @param {KeyboardEvent} event */
export function arrowKeys(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !(event.currentTarget instanceof HTMLElement)) return;
  const items = [...event.currentTarget.querySelectorAll("[data-item]")];
  const at = items.indexOf(/** @type {Element} */ (document.activeElement));
  const next = items[at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + step))];
  if (!(next instanceof HTMLElement)) return;
  event.preventDefault();
  next.focus();
}

/** What is found of a text, marked; positions count as JavaScript does. */
export function Highlighted({ text, highlights }) {
  const parts = [];
  let at = 0;
  for (const { start, end } of highlights) {
    parts.push(text.slice(at, start), html`<mark>${text.slice(start, end)}</mark>`);
    at = end;
  }
  parts.push(text.slice(at));
  return parts;
}

const LINK = /https?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}]/giu;

/** A text with its web addresses to follow; nothing else in it means anything. */
export function Text({ text }) {
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(LINK)) {
    parts.push(text.slice(at, match.index));
    parts.push(html`<a href=${match[0]} target="_blank" rel="noopener noreferrer nofollow">${match[0]}</a>`);
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}

/** Passing remarks. */
export function Toasts() {
  const { toasts, announcement } = useApp();
  return html`<div class="toasts" role="status">${toasts.map(
    (toast) => html`<p key=${toast.id}
    class=${`toast is-${toast.kind}`}>${toast.text}</p>`,
  )}</div>
    <div class="unseen" aria-live="polite">${announcement}</div>`;
}

/** The sign over the door. */
export function Mark() {
  return html`<svg class="mark" viewBox="0 0 64 64" aria-hidden="true">
    <path class="mark-bubble"
      d="M18 4h28a14 14 0 0 1 14 14v22a14 14 0 0 1-14 14H30L16 62v-8.2A14 14 0 0 1 4 40V18A14 14 0 0 1 18 4Z" />
    <path class="mark-fan" d="M14 43a18 18 0 0 1 36 0M22 43a10 10 0 0 1 20 0" />
    <circle class="mark-dot" cx="32" cy="42" r="3" /></svg>`;
}
