// The ledger: what came of commands that were sent twice.

/** @import { Ledger as Kept } from "../../../clients/typescript/src/api.js" */
import { explain } from "../../app/explain.js";
import { html, useEffect, useState } from "../../app/ui.js";
import { count, span, when } from "../figures.js";
import { useDesk } from "../use.js";
import { Head, Trouble } from "./frame.js";

/** How often it is read again, in milliseconds: a ledger is counted. */
const LOOK = 5_000;
const ENDS = /** @type {const} */ (["done", "replayed", "refused", "failed"]);

export function Ledger() {
  const desk = useDesk();
  const [ledgers, setLedgers] = useState(/** @type {Kept[] | undefined} */ (undefined));
  const [error, setError] = useState("");
  const answering = desk.services.size;
  useEffect(() => {
    const read = async () => {
      try {
        setLedgers(await desk.askEach((service) => desk.parlor.call("admin_ledger", { path: { service } })));
        setError("");
      } catch (problem) {
        setError(explain(problem));
      }
    };
    void read();
    const timer = setInterval(() => void (document.hidden || read()), LOOK);
    return () => clearInterval(timer);
  }, [answering]);
  return html`<${Head} title="Ledger" note="Answers to commands that came with an idempotency key. Whoever repeats one gets the same answer, and no second effect. Counted since the process began." />
    ${error && html`<${Trouble} text=${error} />`}
    ${ledgers?.map(({ service, keys, oldestAt, commands }) => {
      const replayed = commands.reduce((sum, command) => sum + command.replayed, 0);
      return html`<section class="card" key=${service} aria-labelledby=${`ledger-${service}`}>
        <h2 id=${`ledger-${service}`}>${service}</h2>
        <div class="ledger-sums"><p class="figure">${count(keys)}<span> answers kept</span></p>
          <p class="figure">${count(replayed)}<span> replayed</span></p>
          <p class="soft">${oldestAt ? `since ${when(oldestAt)}` : "none yet"}</p></div>
        ${
          commands.length > 0 &&
          html`<div class="table" tabindex="0" role="region" aria-label=${`Commands of ${service}`}><table>
          <thead><tr><th scope="col">Command</th><th scope="col" class="bar-column">Came to</th>${ENDS.map((end) => html`<th key=${end} scope="col" class="number">${end}</th>`)}<th scope="col" class="number">took</th></tr></thead>
          <tbody>${commands.map(
            (command) =>
              html`<tr key=${command.name}><th scope="row">${command.name}</th><td class="bar-column"><${Shares} command=${command} /></td>
              ${ENDS.map((end) => html`<td key=${end} class="number">${count(command[end])}</td>`)}<td class="number">${span(command.averageMs)}</td></tr>`,
          )}</tbody></table></div>`
        }</section>`;
    })}`;
}

/** Of how a command's kind ended, in shares. @param {{ command: Kept["commands"][number] }} props */
function Shares({ command }) {
  const all = ENDS.reduce((sum, end) => sum + command[end], 0) || 1;
  let x = 0;
  return html`<svg class="shares" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">${ENDS.map(
    (end) => {
      const wide = (command[end] / all) * 100;
      const part = html`<rect key=${end} class=${`share-${end}`} x=${x.toFixed(2)} width=${wide.toFixed(2)} height="8" />`;
      x += wide;
      return part;
    },
  )}</svg>`;
}
