// What every view is made with.

import { createContext, h } from "../vendor/preact.js";
import { useContext, useEffect, useState } from "../vendor/hooks.js";
import htm from "../vendor/htm.js";

export { Fragment, render } from "../vendor/preact.js";
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";

/** Elements from a template. What is put into one becomes text or an attribute, never markup. */
export const html = htm.bind(h);

export const AppContext = createContext(/** @type {any} */ (undefined));

/** The application that views show. @returns {import("./app.js").App} */
export const useApp = () => useContext(AppContext);

/** Has the component shown anew whenever the application changes. @param {import("./app.js").App} app */
export function useChanges(app) {
  const [, show] = useState(0);
  useEffect(() => app.subscribe(() => show((n) => n + 1)), [app]);
}

/** Class names, those that aren't false. @param {...(string | false | undefined | null)} names */
export const classes = (...names) => names.filter(Boolean).join(" ");

/** Outlines on a grid of 24, drawn for Parlor. */
const ICONS = {
  chats: "M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7l-5 4v-4H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2Z",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M16 4.4a3.5 3.5 0 0 1 0 6.2M18 14.2a6.5 6.5 0 0 1 3.5 5.8",
  bell: "M6 10a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7ZM10 20.5a2.2 2.2 0 0 0 4 0",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.5 15.5 21 21",
  settings:
    "M4 7h9M17 7h3M4 17h3M11 17h9M15 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM9 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  plus: "M12 5v14M5 12h14",
  back: "M15 5l-7 7 7 7",
  send: "M4 12 20 4l-5 16-3.5-6.5L4 12ZM11.5 13.5 20 4",
  close: "M6 6l12 12M18 6 6 18",
  reply: "M10 6 4 12l6 6M4.5 12H14a6 6 0 0 1 6 6v1",
  edit: "M4 20l1-4L16 5l3 3L8 19l-4 1ZM14 7l3 3",
  trash: "M5 7h14M10 4h4M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 11v5M12 7.6v.2",
  check: "M5 12.5 10 17.5 19 7",
  checks: "M2 12.5 7 17.5 16 7M12 16.5l1 1L22 7",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7.5V12l3 2",
  warn: "M12 4 2.5 20h19L12 4ZM12 10v5M12 17.4v.2",
  down: "M12 5v14M6 13l6 6 6-6",
  more: "M5.5 12h.01M12 12h.01M18.5 12h.01",
  leave: "M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8M10 12h10M16.5 8.5 20 12l-3.5 3.5",
  star: "M12 4l2.4 5 5.6.7-4.1 3.8 1.1 5.5-5-2.8-5 2.8 1.1-5.5L4 9.7 9.6 9 12 4Z",
  bubble: "M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7l-5 4v-4H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2ZM8 10h8M8 13h5",
  offline:
    "M4 4l16 16M8.5 16a5 5 0 0 1 5.7-1M5 12.5a10 10 0 0 1 4.4-2.5M2 9a14 14 0 0 1 5-3M12 5a14.5 14.5 0 0 1 10 4M15.5 10.5A10 10 0 0 1 19 12.5M12 19.5v.2",
};

/** @param {{ name: keyof typeof ICONS, label?: string }} props with a label it says something, without one it decorates */
export function Icon({ name, label }) {
  return html`<svg class="icon" viewBox="0 0 24 24" role=${label ? "img" : null} aria-label=${label} aria-hidden=${label ? null : "true"}>
    <path d=${ICONS[name]} /></svg>`;
}

/** A button that shows a picture, and says what it does to those who can't see it and those who wonder. */
export function IconButton({ icon, label, ...rest }) {
  return html`<button type="button" class="icon-button" title=${label} aria-label=${label} ...${rest}><${Icon} name=${icon} /></button>`;
}
