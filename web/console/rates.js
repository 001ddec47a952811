// How fast logs grow and handlers follow: what changed between answers of the last minute.

/** @import { Overview } from "../../clients/typescript/src/api.js" */

/** How many answers are kept: a minute of them. */
const KEPT = 60;
/** Over how many of them a rate is taken. */
const OVER = 5;

/** @typedef {{ at: number, position: number }} Sample */

/** What a handler is called among all: services may have handlers of one name, and one may follow several logs.
 * @param {string} service @param {{ name: string, source: string }} handler */
export const keyOf = (service, { name, source }) => `${service}/${name}/${source}`;

export class Rates {
  /** @type {Map<string, Sample[]>} */
  #samples = new Map();

  /** @param {Overview} overview */
  add({ service, at, log, handlers }) {
    const when = Date.parse(at);
    this.#push(service, { at: when, position: Number(log.newest) });
    for (const handler of handlers) {
      this.#push(keyOf(service, handler), { at: when, position: Number(handler.position) });
    }
  }

  /** @param {string} key @param {Sample} sample */
  #push(key, sample) {
    const samples = this.#samples.get(key) ?? [];
    // Another process of the service may answer, with a clock or a place a little behind.
    if (samples.length > 0 && sample.at <= /** @type {Sample} */ (samples.at(-1)).at) return;
    samples.push(sample);
    if (samples.length > KEPT) samples.shift();
    this.#samples.set(key, samples);
  }

  /** Events in each second, of the last few. @param {string} key */
  now(key) {
    const samples = (this.#samples.get(key) ?? []).slice(-OVER - 1);
    const [first] = samples;
    const last = samples.at(-1);
    if (!first || !last || last.at === first.at) return 0;
    return Math.max(0, ((last.position - first.position) * 1000) / (last.at - first.at));
  }

  /** Events in each second of the last minute, one after the other. @param {string} key @returns {number[]} */
  history(key) {
    const samples = this.#samples.get(key) ?? [];
    return samples.slice(1).map((sample, n) => {
      const before = /** @type {Sample} */ (samples[n]);
      return Math.max(0, ((sample.position - before.position) * 1000) / (sample.at - before.at));
    });
  }
}
