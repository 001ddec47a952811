import { ParlorError, SignedOutError, isUnanswered, newId } from "../../../clients/typescript/src/index.js";

/**
 * A message on its way. It has its id from the beginning: however often it is sent, by whichever tab, it is one message.
 *
 * @typedef {object} Waiting
 * @property {string} id
 * @property {string} conversationId
 * @property {string} content
 * @property {string | null} replyTo
 * @property {string} createdAt
 * @property {string} [failed] why it was refused; then it waits for somebody to decide
 */

/** How long to wait for the network before the next attempt, in milliseconds. */
const PAUSE = 2_000;

/** Messages that the server hasn't acknowledged, kept in this browser until it has. */
export class Outbox {
  /** @type {Map<string, Waiting>} */
  #waiting = new Map();
  #user = "";
  #sending = false;
  #session = new AbortController().signal;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;

  /** @param {import("../app.js").App} app */
  constructor(app) {
    this.app = app;
  }

  // An entry of its own for each message, so that tabs never write over each other's.
  #key(id = "") {
    return `parlor.outbox.${this.#user}.${id}`;
  }

  /**
   * Takes up what earlier pages left, and what other tabs add, for as long as somebody is signed in: nothing that one
   * person wrote is ever sent in the name of the next.
   *
   * @param {string} user
   * @param {AbortSignal} session
   */
  load(user, session) {
    this.#user = user;
    this.#session = session;
    session.addEventListener("abort", () => clearTimeout(this.#again));
    addEventListener("storage", (event) => this.#elsewhere(event), { signal: session });
    for (const key of Object.keys(localStorage)) {
      if (!key.startsWith(this.#key())) continue;
      try {
        const waiting = JSON.parse(localStorage.getItem(key) ?? "");
        this.#waiting.set(waiting.id, waiting);
      } catch {
        localStorage.removeItem(key);
      }
    }
    this.flush();
  }

  /** Another tab keeps a message, or needn't any more. @param {StorageEvent} event */
  #elsewhere({ key, newValue }) {
    if (!key?.startsWith(this.#key())) return;
    if (newValue) {
      const waiting = JSON.parse(newValue);
      this.#waiting.set(waiting.id, waiting);
      this.flush();
    } else {
      this.#waiting.delete(key.slice(this.#key().length));
    }
    this.app.changed();
  }

  /** What waits in a conversation, the oldest first. @param {string} conversationId */
  of(conversationId) {
    return [...this.#waiting.values()]
      .filter((one) => one.conversationId === conversationId)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @param {string} conversationId @param {string} content @param {string | null} replyTo */
  add(conversationId, content, replyTo) {
    /** @type {Waiting} */
    const waiting = { id: newId(), conversationId, content, replyTo, createdAt: new Date().toISOString() };
    this.#keep(waiting);
    this.flush();
  }

  /** @param {Waiting} waiting */
  #keep(waiting) {
    this.#waiting.set(waiting.id, waiting);
    try {
      localStorage.setItem(this.#key(waiting.id), JSON.stringify(waiting));
    } catch {
      // The store is full: it is still sent while the page is open.
    }
    this.app.changed();
  }

  /** It was acknowledged, or is no longer wanted. @param {string} id */
  remove(id) {
    if (!this.#waiting.delete(id)) return;
    localStorage.removeItem(this.#key(id));
    this.app.changed();
  }

  /** Tries a refused one again. @param {string} id */
  retry(id) {
    const waiting = this.#waiting.get(id);
    if (waiting) this.#keep({ ...waiting, failed: undefined });
    this.flush();
  }

  /** Sends what waits, one after the other, so that messages arrive in the order in which they were written. */
  flush() {
    clearTimeout(this.#again);
    if (this.#sending || this.#session.aborted) return;
    this.#sending = true;
    const work = () => this.#send();
    const done = navigator.locks ? navigator.locks.request(this.#key("lock"), work) : work();
    void Promise.resolve(done).finally(() => {
      this.#sending = false;
      if (this.#next() && !this.#session.aborted) this.#again = setTimeout(() => this.flush(), PAUSE);
    });
  }

  #next() {
    return [...this.#waiting.values()].filter((one) => !one.failed).sort((a, b) => (a.id < b.id ? -1 : 1))[0];
  }

  async #send() {
    for (let one = this.#next(); one && !this.#session.aborted; one = this.#next()) {
      try {
        const { id, conversationId, content, replyTo } = one;
        const sent = await this.app.parlor.send(conversationId, content, {
          id,
          replyTo,
          retries: 0,
          signal: this.#session,
        });
        // The feed may have told of it already, and of what became of it since.
        if (!this.app.heard.has(sent.id)) this.app.hear(sent);
        this.app.conversations.said(sent);
        this.remove(id);
      } catch (error) {
        if (this.#session.aborted) return;
        if (error instanceof SignedOutError) return void this.app.failed(error);
        if (!(error instanceof ParlorError) || error.passing) {
          if (!isUnanswered(error) && !(error instanceof ParlorError)) throw error;
          return;
        }
        this.#keep({ ...one, failed: error.message });
      }
    }
  }
}
