/** @import { LiveFrame } from "./api.js" */
/** @import { Transport } from "./live.js" */
import { ParlorError } from "./problem.js";

/** Milliseconds without a sign of life, after which a connection is given up unless said otherwise. */
const SILENCE = 40_000;

/**
 * Live events as server-sent events over `fetch`, which unlike `EventSource` can send the `Authorization` header: no token
 * ever stands in a URL.
 *
 * @type {Transport}
 */
export async function* sse({ parlor, token, cursor, signal, silence: patience = SILENCE }) {
  const silence = new AbortController();
  const headers = new Headers({ accept: "text/event-stream", authorization: `Bearer ${token}` });
  if (cursor) headers.set("last-event-id", cursor);
  let timer = setTimeout(() => silence.abort(new TypeError("no sign of life")), patience);
  try {
    const response = await parlor.fetch(`${parlor.baseUrl}/v1/stream`, {
      headers,
      signal: AbortSignal.any([signal, silence.signal]),
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
    });
    if (!response.ok || !response.body) throw await ParlorError.of(response);
    const lines = new Lines();
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(new TypeError("no sign of life")), patience);
        for (const data of lines.add(value)) yield /** @type {LiveFrame} */ (JSON.parse(data));
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Cuts bytes into events, and gives the data of each (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export class Lines {
  #decoder = new TextDecoder();
  #rest = "";
  /** @type {string[]} */
  #data = [];

  /** @param {Uint8Array} bytes @returns {Generator<string, void, void>} */
  *add(bytes) {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    let from = 0;
    for (;;) {
      const end = this.#rest.slice(from).search(/\r|\n/);
      if (end < 0) break;
      const at = from + end;
      // A carriage return at the very end may be half of a line's end.
      if (this.#rest[at] === "\r" && at + 1 === this.#rest.length) break;
      const line = this.#rest.slice(from, at);
      from = at + (this.#rest.startsWith("\r\n", at) ? 2 : 1);
      if (line !== "") {
        const [, field, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
        if (field === "data") this.#data.push(value ?? "");
      } else if (this.#data.length > 0) {
        yield this.#data.join("\n");
        this.#data = [];
      }
    }
    this.#rest = this.#rest.slice(from);
  }
}
