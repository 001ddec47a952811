/** @import { Operations } from "./api.js" */
/** @import { TokenStore } from "./session.js" */
/** @import { FeedOptions, Transport } from "./live.js" */
import { LiveFeed } from "./live.js";
import { operations } from "./operations.js";
import { ParlorError, SignedOutError, isUnanswered } from "./problem.js";
import { Session, memoryStore } from "./session.js";
import { sse } from "./sse.js";
import { newId } from "./uuid.js";
import { backoff, wait } from "./wait.js";

/**
 * @typedef {object} Options
 * @property {string} [baseUrl] of the server, such as `https://chat.example.org`; in a browser, where the page is from
 * @property {TokenStore} [store] where tokens are kept; in memory unless said otherwise
 * @property {typeof fetch} [fetch]
 * @property {number} [retries] how often a request is sent again at most
 * @property {number} [timeout] milliseconds that one attempt may take
 * @property {Transport} [transport] how live events travel
 */

/**
 * How one call differs from others.
 *
 * @typedef {object} CallOptions
 * @property {string} [idempotencyKey] of a command; a new one unless given, the same for all attempts
 * @property {string} [ifMatch] the version that the command is meant for
 * @property {AbortSignal} [signal]
 * @property {number} [retries]
 */

/**
 * What an operation takes: its path, query and body, as far as it has them.
 *
 * @template {keyof Operations} Name
 * @typedef {Omit<Operations[Name], "answer"> & CallOptions} Call
 */

/** Routes that are asked without a token, and whose answers name no position worth waiting for. */
const OPEN = new Set([
  "register",
  "login",
  "refresh",
  "request_password_reset",
  "confirm_password_reset",
  "verify_email",
]);

/** Parlor's API for one user. */
export class Parlor {
  /** What was written last, by the part of the API, and what the feed has told of: queries wait until they see it. @type {Map<string, string>} */
  #written = new Map();

  /** @param {Options} [options] */
  constructor(options = {}) {
    this.baseUrl = (options.baseUrl ?? globalThis.location?.origin ?? "").replace(/\/$/, "");
    this.retries = options.retries ?? 4;
    this.timeout = options.timeout ?? 20_000;
    this.fetch = options.fetch ?? ((input, init) => fetch(input, init));
    this.transport = options.transport ?? sse;
    this.session = new Session(options.store ?? memoryStore(), (refreshToken) =>
      this.call("refresh", { body: { refreshToken } }),
    );
  }

  /**
   * Carries out a command or query. Whatever may pass (no answer, 429, 503) is tried again; a command has one effect
   * nevertheless, for all attempts carry the same key.
   *
   * @template {keyof Operations} Name
   * @param {Name} name
   * @param {Call<Name>} call
   * @returns {Promise<Operations[Name]["answer"]>}
   * @throws {ParlorError} what the server refused
   * @throws {SignedOutError} if nobody is signed in
   */
  async call(name, call) {
    const [method, template] = operations[name];
    const { path = {}, query = {}, body, ...options } = /** @type {any} */ (call);
    const url = `${this.baseUrl}${filled(template, path)}${queryString(query)}`;
    const key = method === "GET" ? undefined : (options.idempotencyKey ?? newId());
    const retries = options.retries ?? this.retries;
    /** @type {string | undefined} */
    let refused;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const token = OPEN.has(name) ? undefined : await this.session.accessToken(refused);
        const headers = this.#headers({ token, key, body, ifMatch: options.ifMatch, reads: method === "GET" });
        const response = await this.#send(url, { method, headers, body }, options.signal);
        if (response.ok) return await this.#answer(name, template, response);
        const error = await ParlorError.of(response);
        if (error.status === 401 && token && refused === undefined) {
          // The session may have a newer one; if it doesn't, signing in is all that helps.
          refused = token;
          attempt -= 1;
          continue;
        }
        if (error.code === "epoch-changed") this.#written.clear();
        throw error;
      } catch (error) {
        const passing = isUnanswered(error) || (error instanceof ParlorError && error.passing);
        if (!passing || attempt >= retries || options.signal?.aborted) throw error;
        const asked = error instanceof ParlorError ? (error.retryAfter ?? 0) * 1000 : 0;
        await wait(Math.max(asked, backoff(attempt, 200, 5_000)), options.signal);
      }
    }
  }

  /** Signs in, and keeps the session. @param {{ email: string, password: string, device?: string }} credentials */
  async signIn(credentials) {
    this.#written.clear();
    return this.session.begin(await this.call("login", { body: credentials }));
  }

  /** Makes an account. @param {{ email: string, password: string, displayName: string }} account */
  register(account) {
    return this.call("register", { body: account });
  }

  /** Ends the session, here and on the server; `everywhere` all of the user's. @param {boolean} [everywhere] */
  async signOut(everywhere = false) {
    try {
      await this.call("logout", { body: { everywhere } });
    } catch (error) {
      if (!(error instanceof SignedOutError)) throw error;
    } finally {
      await this.session.forget();
      this.#written.clear();
    }
  }

  /**
   * Says something. Sent again with the same `id` it is the same message.
   *
   * @param {string} conversationId
   * @param {string} content
   * @param {{ id?: string, replyTo?: string | null, idempotencyKey?: string, retries?: number, signal?: AbortSignal }} [options]
   */
  send(conversationId, content, { id = newId(), replyTo, idempotencyKey = id, ...options } = {}) {
    const body = { id, content, ...(replyTo ? { replyTo } : {}) };
    return this.call("send_message", { path: { id: conversationId }, body, idempotencyKey, ...options });
  }

  /**
   * All items of a list, page after page.
   *
   * @template {"get_conversations" | "get_participants" | "get_user_contacts" | "find_users" | "get_user_notifications" | "search_messages" | "get_conversation_messages"} Name
   * @param {Name} name
   * @param {Call<Name>} call
   * @returns {AsyncGenerator<Operations[Name]["answer"]["items"][number], void, void>}
   */
  async *all(name, call) {
    /** @type {string | null | undefined} */
    let cursor;
    do {
      const query = { .../** @type {any} */ (call).query, ...(cursor ? { cursor } : {}) };
      const page = await this.call(name, { ...call, query });
      yield* page.items;
      cursor = page.nextCursor;
    } while (cursor);
  }

  /** From now on queries wait until they see at least this. @param {string} position what `Parlor-Position` or a feed said */
  expect(position) {
    this.#written.set("feed", position);
  }

  /** What happens, as it happens: an async iterable that resumes where it was cut. @param {FeedOptions} [options] */
  live(options = {}) {
    return new LiveFeed(this, { transport: this.transport, ...options });
  }

  /** @param {{ token?: string | undefined, key: string | undefined, body: unknown, ifMatch?: string, reads: boolean }} known */
  #headers({ token, key, body, ifMatch, reads }) {
    const headers = new Headers({ accept: "application/json" });
    if (token) headers.set("authorization", `Bearer ${token}`);
    if (body !== undefined) headers.set("content-type", "application/json");
    if (key) headers.set("idempotency-key", key);
    if (ifMatch) headers.set("if-match", ifMatch);
    if (reads && this.#written.size > 0) headers.set("parlor-min-position", [...this.#written.values()].join(","));
    return headers;
  }

  /**
   * @param {string} url
   * @param {{ method: string, headers: Headers, body: unknown }} request
   * @param {AbortSignal} [signal]
   */
  #send(url, { method, headers, body }, signal) {
    const limit = AbortSignal.timeout(this.timeout);
    return this.fetch(url, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
    });
  }

  /** @param {string} name @param {string} template @param {Response} response */
  async #answer(name, template, response) {
    const position = response.headers.get("parlor-position");
    if (position && !OPEN.has(name) && operations[/** @type {keyof Operations} */ (name)][0] !== "GET") {
      this.#written.set(part(template), position);
    }
    if (response.status === 204) return undefined;
    const text = await response.text();
    return text ? JSON.parse(text) : undefined;
  }
}

/** Which service a route belongs to: a later token of one stands for its earlier ones. @param {string} template */
function part(template) {
  const [, , first = ""] = template.split("/");
  return ["auth", "users", "notifications"].includes(first) ? first : "chat";
}

/** @param {string} template @param {Record<string, string>} path */
function filled(template, path) {
  return template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(path[name] ?? ""));
}

/** @param {Record<string, unknown>} query */
function queryString(query) {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  return set.length > 0 ? `?${new URLSearchParams(set.map(([name, value]) => [name, String(value)]))}` : "";
}
