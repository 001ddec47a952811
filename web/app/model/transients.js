/** How long somebody is taken to be typing after the last sign of it, in milliseconds. */
const TYPING = 6_000;
/** How often others are told that one is typing, at most. */
const TELL = 3_000;

/**
 * Who is typing and who is there: known from transports that go both ways. Without one nobody is told, and what people said
 * of their own availability is all there is to show.
 */
export class Transients {
  /** Until when somebody types, by conversation and user. @type {Map<string, Map<string, number>>} */
  #typing = new Map();
  /** @type {Map<string, { online: boolean, lastSeen?: string }>} */
  #presence = new Map();
  #told = { conversation: "", at: 0 };

  /** @param {import("../app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {import("../../../clients/typescript/src/live.js").LiveFeed | undefined} */
    this.feed = undefined;
  }

  /** A frame without a cursor. @param {{ type: string, data?: any }} frame */
  take({ type, data }) {
    if (type === "typing" && data?.userId !== this.app.me) {
      const room = this.#typing.get(data.conversationId) ?? new Map();
      room.set(data.userId, Date.now() + TYPING);
      this.#typing.set(data.conversationId, room);
      setTimeout(() => this.app.changed(), TYPING + 50);
    } else if (type === "presence" && data) {
      this.#presence.set(data.userId, data);
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

  /** Whether somebody is connected, if that is known. @param {string} user */
  presence(user) {
    return this.#presence.get(user);
  }

  /** Tells others that one is typing. @param {string} conversation */
  tell(conversation) {
    const now = Date.now();
    if (this.#told.conversation === conversation && now - this.#told.at < TELL) return;
    this.#told = { conversation, at: now };
    this.feed?.send({ type: "typing", conversationId: conversation });
  }
}
