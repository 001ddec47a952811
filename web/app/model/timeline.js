/** @import { MessageAnswer, MessageItem, Participant } from "../../../clients/typescript/src/api.js" */
import { byPosition } from "../format.js";

/** How many messages are asked for at once. */
const PAGE = 60;

/** A message, or what is left of one. @typedef {Partial<MessageAnswer> & { id: string, position: string, senderId: string, deletedAt?: string }} Message */

/** A stretch of a conversation's messages without gaps, which grows at both ends. */
export class Timeline {
  /** The oldest first. @type {Message[]} */
  items = [];
  /** @type {Map<string, Message>} */
  #byId = new Map();
  /** Messages that others reply to, where they lie outside the stretch. @type {Map<string, Message | null>} */
  #quoted = new Map();
  #loading = false;

  /** @param {import("../app.js").App} app @param {string} id */
  constructor(app, id) {
    this.app = app;
    this.id = id;
    /** Whether something was read yet. */
    this.loaded = false;
    this.hasOlder = true;
    this.hasNewer = false;
    /** The first message that was new when the conversation was opened. @type {string | undefined} */
    this.firstUnread = undefined;
    /** Grows when somebody asks to be shown a message. */
    this.jump = { to: /** @type {string | undefined} */ (undefined), nth: 0 };
    /** Who is in it, as far as read. @type {Map<string, Participant>} */
    this.participants = new Map();
    /** Grows with each change. */
    this.version = 0;
    /** @type {unknown} */
    this.error = undefined;
  }

  #changed() {
    this.version += 1;
    this.app.changed();
  }

  /** @param {Record<string, unknown>} query */
  async #page(query) {
    const call = { path: { id: this.id }, query: { limit: PAGE, ...query } };
    return (await this.app.parlor.call("get_conversation_messages", call)).items;
  }

  /** Shows the newest messages. */
  async open() {
    if (this.loaded || this.#loading) return;
    await this.#load(async () => {
      const newest = await this.#page({});
      this.#replace(newest);
      this.hasOlder = newest.length === PAGE;
      this.hasNewer = false;
      this.#markUnread();
    });
    void this.loadParticipants();
  }

  /** Shows a message, and what was said around it. @param {string} message */
  async show(message) {
    if (!this.#byId.has(message)) {
      await this.#load(async () => {
        this.#replace(await this.#page({ around: message }));
        this.hasOlder = true;
        this.hasNewer = true;
      });
    }
    if (this.#byId.has(message)) this.jump = { to: message, nth: this.jump.nth + 1 };
    this.#changed();
    if (this.participants.size === 0) void this.loadParticipants();
  }

  /** Goes back to the newest messages. */
  async showNewest() {
    if (!this.hasNewer) return;
    this.loaded = false;
    await this.open();
  }

  async loadOlder() {
    const [oldest] = this.items;
    if (!oldest || !this.hasOlder) return;
    await this.#load(async () => {
      const older = await this.#page({ before: oldest.id });
      this.hasOlder = older.length === PAGE;
      this.#merge(older);
    });
  }

  async loadNewer() {
    const newest = this.items.at(-1);
    if (!newest || !this.hasNewer) return;
    await this.#load(async () => {
      const newer = await this.#page({ after: newest.id });
      this.hasNewer = newer.length === PAGE;
      this.#merge(newer);
    });
  }

  /** @param {() => Promise<void>} work */
  async #load(work) {
    if (this.#loading) return;
    this.#loading = true;
    try {
      await work();
      this.loaded = true;
      this.#addHeard();
      this.error = undefined;
    } catch (error) {
      this.error = error;
    } finally {
      this.#loading = false;
      this.#changed();
    }
  }

  /** @param {MessageItem[]} items */
  #replace(items) {
    this.items = [];
    this.#byId.clear();
    this.#merge(items);
  }

  /** @param {MessageItem[]} items */
  #merge(items) {
    for (const item of items) this.#byId.set(item.id, item);
    this.items = [...this.#byId.values()].sort((a, b) => byPosition(a.position, b.position));
    this.#changed();
  }

  /** A page is read from a view, which may not hold yet what was heard of a moment before. */
  #addHeard() {
    for (const message of this.app.heard.of(this.id)) {
      if (this.#byId.has(message.id)) this.replace(message);
      else if (!message.deletedAt) this.insert(message);
    }
  }

  /** What is new begins after as many of others' messages as aren't read. */
  #markUnread() {
    let unread = this.app.conversations.get(this.id)?.unreadCount ?? 0;
    this.firstUnread = undefined;
    for (let at = this.items.length - 1; at >= 0 && unread > 0; at -= 1) {
      const item = /** @type {Message} */ (this.items[at]);
      if (item.senderId === this.app.me || item.deletedAt) continue;
      unread -= 1;
      this.firstUnread = item.id;
    }
    // It lies further back than was read.
    if (unread > 0) this.firstUnread = undefined;
  }

  /** @param {string} id */
  get(id) {
    return this.#byId.get(id);
  }

  /** A new one, which is shown if the stretch reaches that far. @param {Message} message */
  insert(message) {
    if (!this.loaded || this.#byId.has(message.id)) return;
    const newest = this.items.at(-1);
    if (this.hasNewer && newest && byPosition(message.position, newest.position) > 0) return;
    const [oldest] = this.items;
    if (this.hasOlder && oldest && byPosition(message.position, oldest.position) < 0) return;
    this.#byId.set(message.id, message);
    if (newest && byPosition(message.position, newest.position) < 0) this.#merge([]);
    else this.items = [...this.items, message];
    this.#changed();
  }

  /** What became of one. @param {Message} message */
  replace(message) {
    if (this.#quoted.has(message.id)) this.#quoted.set(message.id, message);
    if (this.#byId.has(message.id)) {
      this.#byId.set(message.id, message);
      this.items = this.items.map((one) => (one.id === message.id ? message : one));
    }
    this.#changed();
  }

  /** A message that another replies to, if it is known; looked up otherwise. @param {string} id @returns {Message | null | undefined} */
  quoted(id) {
    const found = this.#byId.get(id) ?? this.#quoted.get(id);
    if (found !== undefined || this.#quoted.has(id)) return found;
    this.#quoted.set(id, null);
    this.#page({ around: id, limit: 1 })
      .then((items) => this.#quoted.set(id, items.find((one) => one.id === id) ?? null))
      .catch(() => this.#quoted.delete(id))
      .finally(() => this.#changed());
    return undefined;
  }

  async loadParticipants() {
    try {
      const { items } = await this.app.parlor.call("get_participants", {
        path: { id: this.id },
        query: { limit: 200 },
      });
      this.participants = new Map(items.map((one) => [one.userId, one]));
      for (const { userId, displayName } of items) if (displayName) this.app.people.learn({ id: userId, displayName });
    } catch {
      // Names and read marks come without it, too, only later.
    }
    this.#changed();
  }

  /** Somebody has read so far. @param {string} userId @param {string} position */
  readBy(userId, position) {
    const known = this.participants.get(userId);
    if (known) this.participants.set(userId, { ...known, readPosition: position });
    this.#changed();
  }

  /** Who else has read a message. @param {Message} message */
  readers(message) {
    return [...this.participants.values()].filter(
      ({ userId, readPosition }) =>
        userId !== this.app.me && readPosition && byPosition(readPosition, message.position) >= 0,
    );
  }
}
