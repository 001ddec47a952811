// What was set aside because it couldn't be handled: try it again, or give it up.

/** @import { ParkedEvent, ShownWebhook } from "../../../clients/typescript/src/api.js" */
import { explain } from "../../app/explain.js";
import { Dialog, Empty } from "../../app/views/parts.js";
import { html, useEffect, useState } from "../../app/ui.js";
import { count, when } from "../figures.js";
import { useDesk } from "../use.js";
import { Head, State, Trouble } from "./frame.js";

/** How often the list is read again, in milliseconds: what is tried again leaves it by itself. */
const LOOK = 2_000;

export function Parked() {
  const desk = useDesk();
  const [parked, setParked] = useState(/** @type {(ParkedEvent & { service: string })[] | undefined} */ (undefined));
  const [webhooks, setWebhooks] = useState(/** @type {ShownWebhook[]} */ ([]));
  const [more, setMore] = useState(false);
  const [error, setError] = useState("");
  const [dropping, setDropping] = useState(/** @type {(ParkedEvent & { service: string }) | undefined} */ (undefined));
  const answering = desk.services.size;

  const read = async () => {
    try {
      const pages = await desk.askEach(async (service) => {
        const page = await desk.parlor.call("admin_parked", { path: { service }, query: { limit: 200 } });
        return { ...page, items: page.items.map((item) => ({ ...item, service })) };
      });
      const receivers = desk.services.has("notification")
        ? await desk.parlor.call("get_webhooks", { query: { limit: 100 } })
        : { items: [] };
      setWebhooks(receivers.items.filter(({ state }) => state === "parked" || state === "gone"));
      setParked(pages.flatMap(({ items }) => items));
      setMore(pages.some(({ nextCursor }) => nextCursor));
      setError("");
    } catch (problem) {
      setError(explain(problem));
    }
  };
  useEffect(() => {
    void read();
    const timer = setInterval(() => void (document.hidden || read()), LOOK);
    return () => clearInterval(timer);
  }, [answering]);

  const act = async (/** @type {() => Promise<unknown>} */ work, /** @type {string} */ done) => {
    if (await desk.attempt(work)) desk.toast(done);
    await read();
  };
  const retry = ({ service, id }) =>
    act(() => desk.parlor.call("admin_retry_parked", { path: { service, id } }), "It is being tried again.");
  const drop = ({ service, id }) => {
    setDropping(undefined);
    return act(
      () => desk.parlor.call("admin_drop_parked", { path: { service, id } }),
      "It is given up; what waited behind it is tried now.",
    );
  };
  const again = ({ id }) =>
    act(() => desk.parlor.call("retry_webhook", { path: { id } }), "It goes on with the message that wasn't taken.");
  const pause = async ({ id }) => {
    const body = { enabled: false };
    await act(() => desk.parlor.call("update_webhook", { path: { id }, body }), "It is paused; nothing is lost.");
  };
  return html`<${Head} title="Parked" note="What couldn't be handled is set aside with all that must come after it, so that the rest goes on." />
    ${error && html`<${Trouble} text=${error} />`}
    ${
      webhooks.length > 0 &&
      html`<ul class="stack">${webhooks.map(
        (webhook) =>
          html`<li key=${webhook.id} class="card parked">
          <div class="parked-head"><h2 dir="auto">${new URL(webhook.url).host}</h2><${State} state="stuck">${webhook.state}<//></div>
          <p class="soft">A webhook${webhook.description && html`, <span dir="auto">${webhook.description}</span>`}, to <span dir="auto" class="parked-url">${webhook.url}</span>. It is ${count(webhook.lag)} events behind${webhook.failingSince ? `, it failed first on ${when(webhook.failingSince)}` : ""}.</p>
          ${webhook.problem && html`<p dir="auto" class="parked-reason">${webhook.problem}</p>`}
          <div class="form-links">
            <button type="button" class="button is-primary is-small" onClick=${() => again(webhook)}>Try again</button>
            <button type="button" class="button is-small" onClick=${() => pause(webhook)}>Pause it</button>
          </div></li>`,
      )}</ul>`
    }
    ${parked?.length === 0 && webhooks.length === 0 && html`<section class="card"><${Empty} icon="check" title="Nothing is parked"><p>Every event was handled.</p><//></section>`}
    ${
      parked &&
      parked.length > 0 &&
      html`<ul class="stack">${parked.map(
        (item) =>
          html`<li key=${`${item.service}-${item.id}`} class="card parked">
          <div class="parked-head"><h2 dir="auto">${item.name}</h2>${item.retry ? html`<${State} state="rebuilding">to be tried again<//>` : html`<${State} state="stuck">parked<//>`}</div>
          <p class="soft">${item.reactor ?? "no event"} of ${item.service}, from <span dir="auto">${item.source}</span> at ${count(item.position)}</p>
          <p dir="auto" class="parked-reason">${item.reason}</p>
          <div class="form-links">
            ${item.reactor && html`<button type="button" class="button is-primary is-small" onClick=${() => retry(item)}>Try again</button>`}
            <button type="button" class="button is-danger is-small" onClick=${() => setDropping(item)}>Give up</button>
          </div></li>`,
      )}</ul>`
    }
    ${more && html`<p class="soft">There are more; these come first.</p>`}
    ${
      dropping &&
      html`<${Dialog} title="Give it up?" onClose=${() => setDropping(undefined)}>
        <p><b dir="auto">${dropping.name}</b> will not be handled, now or later. What waits behind it is tried then.</p>
        <div class="form-links"><button type="button" class="button is-danger" onClick=${() => drop(dropping)}>Give up for good</button>
        <button type="button" class="button" onClick=${() => setDropping(undefined)}>Keep it</button></div><//>`
    }`;
}
