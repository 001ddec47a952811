// What the console knows: each service every second, and who looks.

/** @import { Overview } from "../../clients/typescript/src/api.js" */
import { ParlorError, SignedOutError } from "../../clients/typescript/src/index.js";
import { explain } from "../app/explain.js";
import { Page } from "../app/page.js";
import { Rates } from "./rates.js";
import { parse } from "./places.js";

export const SERVICES = /** @type {const} */ (["auth", "user", "chat", "notification"]);

/** How often services are asked how they are, in milliseconds. */
const EVERY = 1_000;

export class Console extends Page {
  #session = new AbortController();

  constructor() {
    super({ timeout: 10_000 });
    this.place = parse(location.hash);
    /** Whether they may; unknown until a service has answered. @type {boolean | undefined} */
    this.admitted = undefined;
    /** Each service as it was when it last answered. @type {Map<string, Overview>} */
    this.services = new Map();
    /** Why a service doesn't answer. @type {Map<string, string>} */
    this.silent = new Map();
    this.rates = new Rates();
    addEventListener("hashchange", () => {
      this.place = parse(location.hash);
      this.changed();
    });
  }

  /** The session is the web client's, too. @param {string | undefined} me */
  begin(me) {
    this.#session.abort();
    this.#session = new AbortController();
    super.begin(me);
    this.services.clear();
    this.silent.clear();
    this.rates = new Rates();
    this.admitted = undefined;
    this.changed();
    if (this.me) void this.#watch(this.#session.signal);
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
}
