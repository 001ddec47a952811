// Views and whoever else follows events: where each is, and making a view anew.

/** @import { HandlerState, RebuildProgress } from "../../../clients/typescript/src/api.js" */
import { explain } from "../../app/explain.js";
import { classes, html, useEffect, useState } from "../../app/ui.js";
import { count, lag, rate, span } from "../figures.js";
import { keyOf } from "../rates.js";
import { useDesk } from "../use.js";
import { Head, State, Trouble } from "./frame.js";
import { classOf } from "./kinds.js";

/** How often a rebuild is asked how far it is, in milliseconds. */
const LOOK = 250;

export function Views() {
  const desk = useDesk();
  return html`<${Head} title="Views" note="Whoever follows events, and how far each has come. A view can be made anew from all events, while it goes on answering." />
    ${desk.overviews.map(
      (service) =>
        html`<section class="card" key=${service.service} aria-labelledby=${`views-${service.service}`}>
        <h2 id=${`views-${service.service}`}>${service.service}</h2>
        <ul class="handlers">${service.handlers.map(
          (handler, n) =>
            html`<${Handler} key=${keyOf(service.service, handler)} service=${service.service} handler=${handler}
              first=${service.handlers.findIndex(({ name }) => name === handler.name) === n} />`,
        )}</ul></section>`,
    )}`;
}

/** @param {{ service: string, handler: HandlerState, first: boolean }} props */
function Handler({ service, handler, first }) {
  const desk = useDesk();
  const { name, kind, source, position, newest, state, error, runs, holder } = handler;
  const share = Number(newest) === 0 ? 1 : Math.min(1, Number(position) / Number(newest));
  return html`<li class="handler">
    <div class="handler-name"><span class=${classes("kind", classOf(kind))}>${kind}</span><b>${name}</b><span class="soft">from ${source}</span></div>
    <div class="handler-place">
      <${Tape} share=${share} state=${state} />
      <span class="figures">${count(position)} of ${count(newest)}</span>
    </div>
    <div class="handler-state"><${State} state=${state}>${state === "live" ? lag(handler) : state}<//>
      <span class="soft">${rate(desk.rates.now(keyOf(service, handler)))}</span>
      ${runs !== "here" && html`<span class="tag" title=${holder ?? ""}>runs ${runs}</span>`}</div>
    <div class="handler-do">${kind === "view" && first && html`<${Rebuild} service=${service} view=${name} />`}</div>
    ${error && html`<p class="field-error" dir="auto">${error}</p>`}
  </li>`;
}

/** How much of a log is taken in. */
function Tape({ share, state }) {
  return html`<svg class=${classes("tape", `is-${state}`)} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
    <rect class="tape-all" width="100" height="6" /><rect class="tape-done" width=${(share * 100).toFixed(2)} height="6" /></svg>`;
}

/** Makes a view anew, and shows how far that is. @param {{ service: string, view: string }} props */
function Rebuild({ service, view }) {
  const desk = useDesk();
  const [progress, setProgress] = useState(/** @type {RebuildProgress | undefined} */ (undefined));
  const [error, setError] = useState("");
  const path = { service, view };
  const running = progress?.state === "running";
  // Somebody else may have begun one, here or on the command line.
  const rebuilding = desk.services
    .get(service)
    ?.handlers.some(({ name, state }) => name === view && state === "rebuilding");

  useEffect(() => {
    if (!running && !rebuilding) return undefined;
    const asking = new AbortController();
    const timer = setInterval(() => {
      desk.parlor
        .call("admin_rebuild_progress", { path, signal: asking.signal, retries: 0 })
        .then((heard) => setProgress((shown) => later(shown, heard)))
        .catch(() => {});
    }, LOOK);
    return () => (clearInterval(timer), asking.abort());
  }, [running, rebuilding]);

  const begin = async () => {
    if (running) return;
    setError("");
    try {
      setProgress(await desk.parlor.call("admin_rebuild_view", { path }));
    } catch (problem) {
      setError(explain(problem));
    }
  };
  return html`${progress && html`<${Progress} progress=${progress} />`}
    <button type="button" class="button is-small" aria-disabled=${running} onClick=${begin}
      aria-label=${`Rebuild ${view}`}>${running ? "Rebuilding…" : "Rebuild"}</button>
    ${error && html`<${Trouble} text=${error} />`}`;
}

/**
 * What is known after an answer. Where a service runs in several processes, each knows of its own rebuilds: one that tells of
 * an earlier rebuild than what is shown is another process, and the next answer may come from the right one.
 *
 * @param {RebuildProgress | undefined} shown @param {RebuildProgress} heard
 */
const later = (shown, heard) => (shown && Date.parse(heard.beganAt) < Date.parse(shown.beganAt) ? shown : heard);

/** @param {{ progress: RebuildProgress }} props */
function Progress({ progress: { view, state, done, total, beganAt, endedAt, error } }) {
  if (state === "failed") return html`<p class="field-error" role="status" dir="auto">${error}</p>`;
  if (state === "done") {
    const took = Date.parse(endedAt ?? beganAt) - Date.parse(beganAt);
    return html`<p class="rebuilt" role="status">Made anew in ${span(took)}</p>`;
  }
  // Until the first events are in, nobody knows how many there are.
  const known = total > 0;
  return html`<div class="rebuilding"><progress aria-label=${`Rebuilding ${view}`} max=${known ? total : 1} value=${known ? done : 0}></progress>
    <span class="figures">${known ? `${count(done)} of ${count(total)}` : "begins"}</span></div>`;
}
