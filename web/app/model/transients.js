/** How long somebody is taken to be typing after the last sign of it, in milliseconds. */
const TYPING = 6_000;
/** How often others are told that one is typing, at most. */
const TELL = 3_000;

/** @import { PresenceFrame, PresenceItem, TypingFrame } from "../../../clients/typescript/src/api.js" */
/** @typedef {Pick<PresenceItem, "status" | "lastSeenAt">} Presence */

/** Who is typing and who is there: what passes, and is known only while one is connected. */
export class Transients {
  /** Until when somebody types, by conversation and user. @type {Map<string, Map<string, number>>} */
  #typing = new Map();
  /** @type {Map<string, Presence>} */
  #presence = new Map();
  /** Of whom it was asked when they were last seen. @type {Set<string>} */
  #asked = new Set();
  /** Whether it is known who is there: whoever isn't named then is away. */
  #begun = false;
  #told = { conversation: "", at: 0 };

  /** @param {import("../app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {import("../../../clients/typescript/src/live.js").LiveFeed | undefined} */
    this.feed = undefined;
  }

  /** A connection has caught up: those who are there are named next. */
  begin() {
    this.#presence.clear();
    this.#asked.clear();
    this.#begun = true;
  }

  /** A frame without a cursor. @param {TypingFrame | PresenceFrame} frame */
  take({ type, data }) {
    if (type === "typing" && data.userId !== this.app.me) {
      const room = this.#typing.get(data.conversationId) ?? new Map();
      room.set(data.userId, Date.now() + TYPING);
      this.#typing.set(data.conversationId, room);
      setTimeout(() => this.app.changed(), TYPING + 50);
    } else if (type === "presence") {
      this.#presence.set(data.userId, data);
      if (data.status === "offline") for (const room of this.#typing.values()) room.delete(data.userId);
    }
    this.app.changed();
  }

  /** They said what they were about to. @param {string} conversation @param {string} user */
  said(conversation, user) {
    this.#typing.get(conversation)?.delete(user);
  }

  /** Who is typing. @param {string} conversation @returns {string[]} */
  typing(conversation) {
    const room = this.#typing.get(conversation);
    return room ? [...room].filter(([, until]) => until > Date.now()).map(([user]) => user) : [];
  }

  /** How somebody is: of oneself, and as long as nothing is known, as they said. @param {string} user @returns {Presence} */
  presence(user) {
    const said = this.app.people.get(user).status ?? "offline";
    if (user === this.app.me || !this.#begun) return { status: said };
    return this.#presence.get(user) ?? { status: "offline" };
  }

  /** Asks once when somebody who is away was last seen. @param {string} user */
  async look(user) {
    const { status, lastSeenAt } = this.presence(user);
    if (status !== "offline" || lastSeenAt || user === this.app.me || this.#asked.has(user)) return;
    this.#asked.add(user);
    try {
      const { items } = await this.app.parlor.call("get_presence", { query: { users: user } });
      for (const item of items) {
        // What was told meanwhile is newer.
        if (!this.#presence.has(item.userId)) this.#presence.set(item.userId, item);
      }
      this.app.changed();
    } catch {
      // It is said nowhere, then.
    }
  }

  /** Asks for somebody with whom one has just come together: whoever is there already is told of only when that changes.
   * @param {string} user */
  async meet(user) {
    this.#asked.delete(user);
    await this.look(user);
  }

  /** Tells others that one is typing. @param {string} conversation */
  tell(conversation) {
    const now = Date.now();
    if (this.#told.conversation === conversation && now - this.#told.at < TELL) return;
    this.#told = { conversation, at: now };
    void this.feed?.typing(conversation);
  }
}
