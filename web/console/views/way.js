// The way of one command, drawn: what was asked, what happened, who has heard of it, and what that set off in turn.

import { explain } from "../../app/explain.js";
import { Empty } from "../../app/views/parts.js";
import { classes, html, useEffect, useState } from "../../app/ui.js";
import { actor, exactly, short, span } from "../figures.js";
import { eventsOf } from "../places.js";
import { useDesk } from "../use.js";
import { commandsOf, heardBy } from "../ways.js";
import { EventFacts } from "./events.js";
import { Head, State, Trouble } from "./frame.js";
import { classOf } from "./kinds.js";

/** How often the rest of a way is looked for, and for how long after one came to look, in milliseconds. */
const LOOK = 1_500;
const FOR = 15_000;

export function Way() {
  const desk = useDesk();
  const { way: id = "", at } = desk.place;
  const [ways, setWays] = useState(/** @type {import("../ways.js").Ways | undefined} */ (undefined));
  const [error, setError] = useState("");
  const answering = desk.services.size;

  useEffect(() => {
    let [over, since] = [false, Date.now()];
    const look = async () => {
      try {
        const query = at ? { at } : {};
        const ask = (/** @type {string} */ correlation) =>
          desk.askEach((service) => desk.parlor.call("admin_way", { path: { service, id: correlation }, query }));
        let found = await ask(id);
        // An event's id is known to its own service alone, which says what it belongs to.
        const named = found.find(({ correlation }) => correlation !== id)?.correlation;
        if (named) found = await ask(named);
        if (over) return;
        setWays(found);
        setError("");
      } catch (problem) {
        if (!over) setError(explain(problem));
      }
      if (!over && Date.now() - since < FOR) timer = setTimeout(look, LOOK);
    };
    let timer = setTimeout(look, 0);
    return () => ((over = true), clearTimeout(timer));
  }, [id, at, answering]);

  const { roots, events } = ways ? commandsOf(ways) : { roots: [], events: 0 };
  const correlation = ways?.find(({ events: [first] }) => first)?.correlation ?? id;
  const notified = ways
    ?.find(({ service }) => service === "notification")
    ?.events.filter(({ type }) => type === "notification.created");
  return html`<${Head} title="The way of a command" note=${html`Correlation <code>${correlation}</code>`}>
      <a class="button" href=${eventsOf({})}>All events</a><//>
    ${error && html`<${Trouble} text=${error} />`}
    ${!ways && !error && html`<div class="skeletons"><span></span><span></span></div>`}
    ${
      ways &&
      events === 0 &&
      html`<section class="card"><${Empty} icon="search" title="Nothing found">
      <p>No event of this id or correlation was found where it could be${ways.every(({ complete }) => complete) ? "" : ", among the 5,000 events that are looked at"}.</p><//></section>`
    }
    ${
      events > 0 &&
      ways?.some(({ complete }) => !complete) &&
      html`<p class="hint way-part">5,000 events are looked at, and the log of ${list.format(ways.filter(({ complete }) => !complete).map(({ service }) => service))} goes on beyond them: there may be more to this way.</p>`
    }
    ${
      events > 0 &&
      html`<p class="way-sum" role="status">${plural(events, "event")} in ${plural(new Set(ways?.filter((way) => way.events.length > 0).map(({ service }) => service)).size, "service")}, ${plural(notified?.length ?? 0, "notification")}</p>
      <section class="card way" aria-label="The way" tabindex="0"><ol class="way-steps">${roots.map((command, n) => html`<${CommandStep} key=${n} command=${command} />`)}</ol></section>`
    }`;
}

const list = new Intl.ListFormat("en", { type: "conjunction" });

/** @param {number} n @param {string} what */
const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

/** @param {{ command: import("../ways.js").Command }} props */
function CommandStep({ command: { service, names, actor: who, at, tookMs, end, events, reaction } }) {
  return html`<li class="way-step">
    <div class="way-card is-command">
      <p class="way-kind">${reaction ? "reaction" : "command"} · ${service}</p>
      <h2>${names.length > 0 ? names.join(", ") : "A command"}</h2>
      <p>${actor(who)}${who.kind === "user" && html` <a href=${`#/people/${who.id}`}>who?</a>`}</p>
      <p class="soft"><time datetime=${at}>${exactly(at)}</time>${tookMs !== undefined && html`, took ${span(tookMs)}`}</p>
      ${end && end !== "done" && html`<${State} state="stuck">${end}<//>`}
    </div>
    ${events.length > 0 && html`<ol>${events.map((event) => html`<${EventStep} key=${event.event.id} step=${event} service=${service} />`)}</ol>`}
  </li>`;
}

/** @param {{ step: import("../ways.js").Step, service: string }} props */
function EventStep({ step: { event, reactions }, service }) {
  const desk = useDesk();
  const heard = heardBy(desk.overviews, service, event.position);
  return html`<li class="way-step">
    <div class="way-event">
      <details class=${classes("way-card", "is-event", event.type === "notification.created" && "is-notification")}>
        <summary><span class="way-kind">${event.type === "notification.created" ? "notification" : `event · ${service}`} ${event.position}</span>
        <b>${event.type}</b><span class="soft">${event.category} ${short(event.stream)}</span></summary>
        <${EventFacts} service=${service} event=${event} />
      </details>
      <ul class="way-heard" aria-label=${`Who has taken in ${event.type}`}>${heard.map(
        ({ key, name, kind, of, passed }) =>
          html`<li key=${key} class=${classes(classOf(kind), passed ? "has-passed" : "is-waiting")}><span class="tick" aria-hidden="true">${passed ? "✓" : "…"}</span>
          <span>${name}</span> <span class="soft">${kind === name ? "" : kind}${of === service ? "" : ` of ${of}`}</span><span class="unseen">${passed ? ", has it" : ", not yet"}</span></li>`,
      )}</ul>
    </div>
    ${reactions.length > 0 && html`<ol>${reactions.map((command, n) => html`<${CommandStep} key=${n} command=${command} />`)}</ol>`}
  </li>`;
}
