// What every page has: a client with this browser's session, what is shown of it, and somebody to say what went wrong to.

import { Parlor, SignedOutError } from "../../clients/typescript/src/index.js";
import { device } from "./device.js";
import { explain } from "./explain.js";
import { tokens } from "./tokens.js";

/** How long a passing remark stays, in milliseconds. */
const TOAST = 6_000;

export class Page {
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #told = true;

  /** @param {import("../../clients/typescript/src/client.js").Options} [options] */
  constructor(options) {
    this.parlor = new Parlor({ store: tokens, ...options });
    /** Who is signed in. @type {string | undefined} */
    this.me = undefined;
    /** @type {{ id: number, text: string, kind: "error" | "info" }[]} */
    this.toasts = [];
    /** Read out by screen readers. */
    this.announcement = "";
  }

  /** Goes on with the session that this browser has, if it has one. @returns {Promise<void>} */
  async start() {
    this.begin((await tokens.load())?.userId);
  }

  /** From now on it is this one's page. What is of whoever was here before ends in the same turn, so that nothing of theirs
   * is ever taken for somebody else's. @param {string | undefined} me */
  begin(me) {
    this.me = me;
  }

  /** Calls whenever something changed, until the function that it gives is called. @param {() => void} listener */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Something changed: shown once for all changes of a turn. */
  changed() {
    if (!this.#told) return;
    this.#told = false;
    queueMicrotask(() => {
      this.#told = true;
      for (const listener of this.#listeners) listener();
    });
  }

  /** @param {{ email: string, password: string }} credentials */
  async signIn(credentials) {
    await this.parlor.signIn({ ...credentials, device: device() });
    await this.start();
  }

  /** Says something in passing. @param {string} text @param {"error" | "info"} [kind] */
  toast(text, kind = "info") {
    const toast = { id: Math.random(), text, kind };
    this.toasts = [...this.toasts.slice(-2), toast];
    setTimeout(() => {
      this.toasts = this.toasts.filter((one) => one !== toast);
      this.changed();
    }, TOAST);
    this.changed();
  }

  /** Does something that may be refused, and says so if it is. Gives whether it was done. @param {() => Promise<unknown>} work */
  async attempt(work) {
    try {
      await work();
      return true;
    } catch (error) {
      await this.failed(error);
      return false;
    }
  }

  /** Says what went wrong. @param {unknown} error */
  async failed(error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    if (error instanceof SignedOutError) {
      this.toast("Your session has ended. Sign in again.", "error");
      return this.start();
    }
    this.toast(explain(error), "error");
  }

  /** Has screen readers say it. @param {string} text */
  announce(text) {
    this.announcement = text;
    this.changed();
  }
}
