// Everything at a glance: what each service has logged, and who has taken it in.

import { html } from "../../app/ui.js";
import { SERVICES } from "../console.js";
import { count, lag, rate } from "../figures.js";
import { keyOf } from "../rates.js";
import { useDesk } from "../use.js";
import { Head, State } from "./frame.js";
import { FlowMap } from "./map.js";
import { Sparkline } from "./sparkline.js";

/** @param {import("../../../clients/typescript/src/api.js").Overview} service */
function health({ handlers }) {
  for (const wrong of ["stuck", "parked"]) {
    // Whoever follows several logs is one all the same.
    const names = new Set(handlers.filter(({ state }) => state === wrong).map(({ name }) => name));
    if (names.size > 0) return { state: "stuck", text: `${names.size} ${wrong}` };
  }
  const rebuilding = handlers.filter(({ state }) => state === "rebuilding").length;
  if (rebuilding > 0) return { state: "rebuilding", text: "rebuilding" };
  return { state: "live", text: "live" };
}

/** Whether its events go to receivers outside. @param {string} kind */
const leaves = (kind) => kind === "webhook" || kind === "push";

export function Overview() {
  const desk = useDesk();
  const stuck = desk.overviews.flatMap((service) =>
    service.handlers
      // What sends out follows several logs, and stands still as one.
      .filter(
        ({ state, name }, n, all) =>
          state === "stuck" && all.findIndex((one) => one.name === name && one.state === state) === n,
      )
      .map((handler) => ({ ...handler, service: service.service })),
  );
  return html`<${Head} title="Overview" note="Every service, second by second." />
    <ul class="tiles">${SERVICES.map((name) => html`<${Tile} key=${name} name=${name} />`)}</ul>
    ${
      stuck.length > 0 &&
      html`<section class="card is-alarm" aria-labelledby="stuck"><h2 id="stuck">Standing still</h2>
        <ul class="stack">${stuck.map(
          ({ service, name, kind, source, error }) =>
            // What sends out stands still for all logs at once.
            html`<li key=${`${service}${name}${source}`}><b dir="auto">${name}</b> of ${service}${leaves(kind) ? "" : `, before an event of ${source}`}: <span dir="auto">${error}</span></li>`,
        )}</ul><p class="hint">It is tried again by itself, and the others go on.</p></section>`
    }
    <section class="card" aria-labelledby="flow">
      <h2 id="flow">From logs to views</h2>
      <p class="soft map-hint">Each log on the left, each follower on the right, and what leaves for receivers outside last. A line moves while events pass along it.</p>
      <${FlowMap} overviews=${desk.overviews} rates=${desk.rates} />
      <${FlowList} />
    </section>`;
}

function Tile({ name }) {
  const desk = useDesk();
  const service = desk.services.get(name);
  if (!service) {
    return html`<li class="tile is-silent"><div class="tile-head"><h2>${name}</h2><${State} state="off">no answer<//></div>
      <p class="soft">${desk.silent.get(name) ?? "One moment…"}</p></li>`;
  }
  const { state, text } = health(service);
  return html`<li class="tile">
    <div class="tile-head"><h2>${name}</h2><${State} state=${state}>${text}<//></div>
    <p class="figure">${count(service.log.newest)}<span> events</span></p>
    <${Sparkline} values=${desk.rates.history(name)} />
    <p class="soft tile-foot"><span>${rate(desk.rates.now(name))}</span><span>${service.store}</span></p>
  </li>`;
}

/** The same as the map, in words: for narrow screens, and for those who hear it. */
function FlowList() {
  const desk = useDesk();
  return html`<div class="flow-list">${desk.overviews.map(
    (service) =>
      html`<section key=${service.service} aria-label=${`Followers of ${service.service}`}>
        <h3>${service.service}</h3>
        <ul>${service.handlers.map(
          (handler) =>
            html`<li key=${keyOf(service.service, handler)}><span><b>${handler.name}</b> <span class="soft">${handler.kind}, from ${handler.source}</span></span>
              <${State} state=${handler.state}>${handler.state === "live" ? lag(handler) : handler.state}<//></li>`,
        )}</ul></section>`,
  )}</div>`;
}
