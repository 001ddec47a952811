// What the console knows: each service every second, and who looks.

/** @import { Overview } from "../../clients/typescript/src/api.js" */
import { Parlor, ParlorError, SignedOutError } from "../../clients/typescript/src/index.js";
import { device } from "../app/device.js";
import { explain } from "../app/explain.js";
import { tokens } from "../app/tokens.js";
import { Rates } from "./rates.js";
import { parse } from "./places.js";

export const SERVICES = /** @type {const} */ (["auth", "user", "chat", "notification"]);

/** How often services are asked how they are, in milliseconds. */
const EVERY = 1_000;
/** How long a passing remark stays, in milliseconds. */
const TOAST = 6_000;

export class Console {
  /** @type {Set<() => void>} */
  #listeners = new Set();
  #told = true;
  #session = new AbortController();

  constructor() {
    this.parlor = new Parlor({ store: tokens, timeout: 10_000 });
    this.place = parse(location.hash);
    /** Who looks. @type {string | undefined} */
    this.me = undefined;
    /** Whether they may; unknown until a service has answered. @type {boolean | undefined} */
    this.admitted = undefined;
    /** Each service as it was when it last answered. @type {Map<string, Overview>} */
    this.services = new Map();
    /** Why a service doesn't answer. @type {Map<string, string>} */
    this.silent = new Map();
    this.rates = new Rates();
    /** @type {{ id: number, text: string, kind: "error" | "info" }[]} */
    this.toasts = [];
    /** Read out by screen readers. */
    this.announcement = "";
    addEventListener("hashchange", () => {
      this.place = parse(location.hash);
      this.changed();
    });
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

  /** Goes on with the session that this browser has, if it has one. It is the web client's, too. */
  async start() {
    const session = await tokens.load();
    this.#session.abort();
    this.#session = new AbortController();
    this.services.clear();
    this.silent.clear();
    this.rates = new Rates();
    this.me = session?.userId;
    this.admitted = undefined;
    this.changed();
    if (this.me) void this.#watch(this.#session.signal);
  }

  /** @param {{ email: string, password: string }} credentials */
  async signIn(credentials) {
    await this.parlor.signIn({ ...credentials, device: device() });
    await this.start();
  }

  async signOut() {
    this.#session.abort();
    await this.parlor.signOut().catch(() => {});
    await this.start();
  }

  /** Asks again whether one may look, with a token that says what one is by now. */
  async askAgain() {
    await this.attempt(async () => {
      const { session } = this.parlor;
      await session.accessToken(await session.accessToken());
    });
    await this.start();
  }

  /** Asks every service, second after second, as long as somebody can see it. @param {AbortSignal} signal */
  async #watch(signal) {
    while (!signal.aborted) {
      if (!document.hidden) await Promise.all(SERVICES.map((service) => this.#ask(service, signal)));
      if (signal.aborted) return;
      this.changed();
      await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
  }

  /** @param {string} service @param {AbortSignal} signal */
  async #ask(service, signal) {
    try {
      const overview = await this.parlor.call("admin_overview", { path: { service }, signal, retries: 0 });
      if (signal.aborted) return;
      this.admitted = true;
      this.silent.delete(service);
      this.services.set(service, overview);
      this.rates.add(overview);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof SignedOutError) return void this.start();
      if (error instanceof ParlorError && error.status === 403) this.admitted = false;
      const elsewhere = error instanceof ParlorError && error.status === 421;
      this.silent.set(service, elsewhere ? "It runs in another process, to which no proxy leads." : explain(error));
      this.services.delete(service);
    }
  }

  /** What is known of the services, in their order. */
  get overviews() {
    return SERVICES.flatMap((service) => this.services.get(service) ?? []);
  }

  /** Asks each service that answers something of its own; those that don't are left out.
   * @template T @param {(service: string) => Promise<T>} ask @returns {Promise<T[]>} */
  async askEach(ask) {
    const answers = await Promise.allSettled(SERVICES.filter((service) => this.services.has(service)).map(ask));
    if (answers.length > 0 && answers.every(({ status }) => status === "rejected")) {
      throw /** @type {PromiseRejectedResult} */ (answers[0]).reason;
    }
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
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
      if (error instanceof SignedOutError) void this.start();
      else if (!(error instanceof DOMException && error.name === "AbortError")) this.toast(explain(error), "error");
      return false;
    }
  }
}
