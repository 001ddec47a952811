// The frame: where to go on the side, and the place where one is.

import { Mark } from "../../app/views/parts.js";
import { classes, html, useEffect, useRef } from "../../app/ui.js";
import { useDesk } from "../use.js";
import { Events } from "./events.js";
import { Ledger } from "./ledger.js";
import { Overview } from "./overview.js";
import { Parked } from "./parked.js";
import { People } from "./people.js";
import { Views } from "./views.js";
import { Way } from "./way.js";

/** Outlines on a grid of 24, drawn for Parlor. */
const PLACES = [
  {
    place: "overview",
    label: "Overview",
    view: Overview,
    icon: "M4 5h5v5H4zM4 14h5v5H4zM15 9.5h5v5h-5zM9 7.5c4 0 2 4.5 6 4.5M9 16.5c4 0 2-4.5 6-4.5",
  },
  {
    place: "views",
    label: "Views",
    view: Views,
    icon: "M12 4 3.5 8.5 12 13l8.5-4.5L12 4ZM3.5 12.2 12 16.7l8.5-4.5M3.5 15.9l8.5 4.5 8.5-4.5",
  },
  { place: "events", label: "Events", view: Events, icon: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01" },
  {
    place: "parked",
    label: "Parked",
    view: Parked,
    icon: "M6 4h12a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2ZM10 17V7.5h3a2.8 2.8 0 0 1 0 5.6h-3",
  },
  {
    place: "people",
    label: "People",
    view: People,
    icon: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M16 4.4a3.5 3.5 0 0 1 0 6.2M18 14.2a6.5 6.5 0 0 1 3.5 5.8",
  },
  {
    place: "ledger",
    label: "Ledger",
    view: Ledger,
    icon: "M6 3.5h11a1.5 1.5 0 0 1 1.5 1.5v14a1.5 1.5 0 0 1-1.5 1.5H6ZM6 3.5A1.5 1.5 0 0 0 4.5 5v14A1.5 1.5 0 0 0 6 20.5M9 8h6M9 12h6M9 16h3",
  },
];

export function Frame() {
  const desk = useDesk();
  const { place, way } = desk.place;
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const shown = PLACES.find((one) => one.place === place) ?? PLACES[0];
  useEffect(() => {
    document.title = `${way ? "The way of a command" : shown?.label} · Parlor console`;
    main.current?.scrollTo(0, 0);
  }, [place, way]);
  const parked = desk.overviews.reduce((sum, service) => sum + service.parked + parkedReceivers(service).size, 0);
  return html`<div class="desk">
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), main.current?.focus())}>Skip to the page</a>
    <nav class="rail" aria-label="Places">
      <${Mark} />
      ${PLACES.map(
        ({ place: one, label, icon }) =>
          html`<a key=${one} href=${`#/${one}`} class="rail-item" aria-current=${one === place ? "page" : null}>
            <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${icon} /></svg>
            <span class="rail-label">${label}</span>
            ${one === "parked" && parked > 0 && html`<span class="rail-count"><span aria-hidden="true">${parked}</span><span class="unseen">${parked} parked</span></span>`}
          </a>`,
      )}
      <a href="/" class="rail-item is-me"><svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
        <path d="M5 5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7l-5 4v-4H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2Z" /></svg>
        <span class="rail-label">Chats</span></a>
    </nav>
    <main id="main" class="counter" tabindex="0" ref=${main}>
      <${way ? Way : shown?.view} key=${way ?? place} />
    </main>
  </div>`;
}

/** Whom nothing is sent to until somebody tries again. @param {import("../../../clients/typescript/src/api.js").Overview} service */
const parkedReceivers = ({ handlers }) =>
  new Set(handlers.filter(({ state }) => state === "parked").map(({ name }) => name));

/** A place's heading, with what can be done there. */
export function Head({ title, children = undefined, note = undefined }) {
  return html`<header class="counter-head"><div><h1>${title}</h1>${note && html`<p class="soft">${note}</p>`}</div>
    <div class="counter-actions">${children}</div></header>`;
}

/** How something is: a dot and a word. */
export function State({ state, children }) {
  return html`<span class=${classes("state", `is-${state}`)}><span class="dot" aria-hidden="true"></span>${children ?? state}</span>`;
}

/** What goes wrong here is said here. */
export function Trouble({ text }) {
  return html`<p class="form-error" role="alert">${text}</p>`;
}
