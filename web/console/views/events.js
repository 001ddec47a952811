// What the logs hold: found by stream, type, time and correlation.

/** @import { EventsPage, LoggedEvent } from "../../../clients/typescript/src/api.js" */
import { explain } from "../../app/explain.js";
import { Empty, Field } from "../../app/views/parts.js";
import { html, useEffect, useState } from "../../app/ui.js";
import { SERVICES } from "../console.js";
import { actor, count, exactly, short } from "../figures.js";
import { eventsOf, wayOf } from "../places.js";
import { useDesk } from "../use.js";
import { Head, Trouble } from "./frame.js";

const FILTERS = ["type", "stream", "correlation", "from", "to"];

export function Events() {
  const desk = useDesk();
  const { filters } = desk.place;
  const [service, asked] = [filters.get("service") ?? "chat", filters.toString()];
  const [found, setFound] = useState(/** @type {EventsPage | undefined} */ (undefined));
  const [error, setError] = useState("");

  const read = async (
    /** @type {string | null | undefined} */ cursor,
    /** @type {AbortSignal | undefined} */ signal,
  ) => {
    const query = Object.fromEntries(FILTERS.flatMap((name) => (filters.get(name) ? [[name, filters.get(name)]] : [])));
    for (const name of ["from", "to"])
      if (query[name]) query[name] = new Date(/** @type {string} */ (query[name])).toISOString();
    if (cursor) query.cursor = cursor;
    try {
      const page = await desk.parlor.call("admin_events", { path: { service }, query, ...(signal ? { signal } : {}) });
      setFound((before) => (cursor && before ? { ...page, items: [...before.items, ...page.items] } : page));
      setError("");
      desk.announcement = `${page.items.length} events`;
    } catch (problem) {
      if (!signal?.aborted) setError(explain(problem));
    }
  };
  useEffect(() => {
    const asking = new AbortController();
    setFound(undefined);
    void read(null, asking.signal);
    return () => asking.abort();
  }, [asked]);

  const submit = (event) => {
    event.preventDefault();
    const filled = [...new FormData(event.currentTarget)].map(([name, value]) => [name, String(value).trim()]);
    const to = eventsOf(Object.fromEntries(filled.filter(([, value]) => value)));
    // The same question once more is one for what is new.
    if (location.hash === to) void read(null, undefined);
    else location.hash = to;
  };
  return html`<${Head} title="Events" note="What happened, the newest first. What is personal is sealed, and stays so: it reads •••." />
    <form class="card filters" key=${asked} onSubmit=${submit} aria-label="Which events">
      <${Field} label="Service" name="service">${(control) => html`<select ...${control}>${SERVICES.map((name) => html`<option key=${name} value=${name} selected=${name === service}>${name}</option>`)}</select>`}<//>
      <${Field} label="Type" name="type" defaultValue=${filters.get("type") ?? ""} placeholder="message.sent or message.*" />
      <${Field} label="Stream" name="stream" defaultValue=${filters.get("stream") ?? ""} placeholder="category/id" />
      <${Field} label="Correlation" name="correlation" defaultValue=${filters.get("correlation") ?? ""} placeholder="id" />
      <${Field} label="From" name="from" type="datetime-local" step="1" defaultValue=${filters.get("from") ?? ""} />
      <${Field} label="To" name="to" type="datetime-local" step="1" defaultValue=${filters.get("to") ?? ""} />
      <div class="filters-do"><button class="button is-primary" type="submit">Find</button>
        <a class="button" href=${eventsOf({ service })}>Clear</a></div>
    </form>
    ${error && html`<${Trouble} text=${error} />`}
    <section class="card is-list" aria-label="Events" aria-busy=${!found}>
      ${!found && !error && html`<div class="skeletons"><span></span><span></span><span></span></div>`}
      ${
        found?.items.length === 0 &&
        html`<${Empty} icon="search" title="Nothing found">
        <p>${found.nextCursor ? `Nothing among the events down to ${count(found.readTo ?? 0)}; there are older ones.` : "No event is like that."}</p><//>`
      }
      ${found && found.items.length > 0 && html`<ol class="events">${found.items.map((event) => html`<${Logged} key=${event.position} service=${service} event=${event} />`)}</ol>`}
      ${found?.nextCursor && html`<button type="button" class="button more" onClick=${() => read(found.nextCursor, undefined)}>Older events</button>`}
    </section>`;
}

/** @param {{ service: string, event: LoggedEvent }} props */
function Logged({ service, event }) {
  const stream = `${event.category}/${event.stream}`;
  return html`<li class="event">
    <details>
      <summary><span class="event-position">${count(event.position)}</span><b class="event-type">${event.type}</b>
        <time datetime=${event.at}>${exactly(event.at)}</time><span class="soft">${actor(event.actor)}</span></summary>
      <${EventFacts} service=${service} event=${event} stream=${stream} />
    </details>
    <a class="button is-small" href=${wayOf(event)} aria-label=${`The way of ${event.type} at ${event.position}`}>Way</a>
  </li>`;
}

/** All that is known of an event. @param {{ service: string, event: LoggedEvent, stream?: string }} props */
export function EventFacts({ service, event, stream = `${event.category}/${event.stream}` }) {
  return html`<div class="event-facts">
    <dl>
      <dt>Stream</dt><dd><a href=${eventsOf({ service, stream })}>${event.category} ${short(event.stream)}</a>, event ${count(event.version)} of it</dd>
      <dt>Correlation</dt><dd><a href=${eventsOf({ service, correlation: event.correlation })}>${event.correlation}</a></dd>
      <dt>Caused by</dt><dd>${event.causation ?? "the command itself"}</dd>
      <dt>Event</dt><dd>${event.id}</dd>
      <dt>Actor</dt><dd>${event.actor.kind === "user" ? html`<a href=${`#/people/${event.actor.id}`}>${event.actor.id}</a>` : actor(event.actor)}</dd>
    </dl>
    <pre tabindex="0" aria-label="Data" dir="auto">${JSON.stringify(event.data, null, 2)}</pre>
    ${event.hidden > 0 && html`<p class="hint">${event.hidden === 1 ? "One field is" : `${event.hidden} fields are`} hidden: sealed with the key of whom it is about, or made of a secret.</p>`}
  </div>`;
}
