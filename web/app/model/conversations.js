/** @import { ConversationAnswer, LastMessage } from "../../../clients/typescript/src/api.js" */
import { byPosition } from "../format.js";

const PAGE = 100;
/** For how many milliseconds what was heard is held against answers: the views that are asked follow the feed, far sooner. */
const FRESH = 30_000;
/** How long to wait, in milliseconds, for a view that doesn't know yet what the feed has told of, time after time. */
const PAUSES = [150, 300, 600, 1_200, 2_400];

/** The conversations that one is in, the newest activity first. */
export class Conversations {
  /** @type {Map<string, ConversationAnswer>} */
  #known = new Map();
  /** The newest message of each that was counted: what comes twice counts once. @type {Map<string, string>} */
  #counted = new Map();
  /** What was heard of each lately: done again after an answer, which may be from before. @type {Map<string, { at: number, change: () => void }[]>} */
  #recent = new Map();
  /** When one left which lately. @type {Map<string, number>} */
  #left = new Map();
  /** Those that are read because something was said in them. @type {Set<string>} */
  #reading = new Set();
  /** How many messages wait in those that aren't loaded. @type {Map<string, number>} */
  #beyond = new Map();
  /** @type {ConversationAnswer[] | undefined} */
  #sorted;
  /** @type {string | null | undefined} */
  #more;
  #loading = false;

  /** @param {import("../app.js").App} app */
  constructor(app) {
    this.app = app;
  }

  /** @param {string} id */
  get(id) {
    return this.#known.get(id);
  }

  /** Whether messages wait in one that isn't loaded. @param {string} id */
  waits(id) {
    return this.#beyond.has(id);
  }

  /** All that are known. */
  sorted() {
    const at = (/** @type {ConversationAnswer} */ one) => one.lastMessage?.createdAt ?? one.createdAt;
    this.#sorted ??= [...this.#known.values()].sort((a, b) => (at(a) < at(b) ? 1 : -1));
    return this.#sorted;
  }

  /** How many messages wait to be read. */
  get unread() {
    let sum = 0;
    for (const one of this.#known.values()) sum += one.unreadCount;
    for (const count of this.#beyond.values()) sum += count;
    return sum;
  }

  async load() {
    const { parlor } = this.app;
    const [page, waiting] = await Promise.all([
      parlor.call("get_conversations", { query: { limit: PAGE } }),
      parlor.call("get_unread_messages_counts", {}),
    ]);
    this.#known.clear();
    this.#counted.clear();
    this.#beyond = new Map(Object.entries(waiting.conversations));
    for (const one of page.items) this.learn(one);
    this.#more = page.nextCursor;
  }

  /** Reads on, where the list goes on. */
  async loadMore() {
    if (!this.#more || this.#loading) return;
    this.#loading = true;
    try {
      const page = await this.app.parlor.call("get_conversations", { query: { limit: PAGE, cursor: this.#more } });
      for (const one of page.items) if (!this.#known.has(one.id)) this.learn(one);
      this.#more = page.nextCursor;
    } catch {
      // The next scroll tries again.
    } finally {
      this.#loading = false;
    }
  }

  /** Takes an answer, and on it what was heard that it may not hold. @param {ConversationAnswer} conversation */
  learn(conversation) {
    const { id, lastMessage } = conversation;
    if (this.#hasLeft(id)) return conversation;
    this.#known.set(id, conversation);
    this.#beyond.delete(id);
    if (lastMessage) this.#counted.set(id, lastMessage.position);
    else this.#counted.delete(id);
    for (const { change } of this.#recentOf(id)) change();
    this.#changed();
    return conversation;
  }

  /** Reads one anew. @param {string} id @returns {Promise<ConversationAnswer | undefined>} */
  async refresh(id) {
    for (let attempt = 0; ; attempt += 1) {
      const found = await this.#ask(id);
      // The view doesn't know yet what the feed has told of.
      const behind = found ? this.#isDeleted(found.lastMessage) : this.#isBehind(id);
      const pause = PAUSES[attempt];
      if (!behind || pause === undefined) return found ? this.learn(found) : this.#forget(id);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** @param {string} id */
  async #ask(id) {
    try {
      return await this.app.parlor.call("get_conversation", { path: { id } });
    } catch (error) {
      if (/** @type {any} */ (error).status !== 404) throw error;
    }
  }

  /** @param {{ id: string } | null | undefined} message */
  #isDeleted(message) {
    return Boolean(message && this.app.heard.get(message.id)?.deletedAt);
  }

  /** Whether a view that knows nothing of it is behind. @param {string} id */
  #isBehind(id) {
    return this.#recentOf(id).length > 0 && !this.#hasLeft(id);
  }

  /** One is in it from now on. @param {string} id */
  joined(id) {
    this.#left.delete(id);
    this.#hear(id, () => {});
  }

  /** One isn't in it any more, whatever an answer says that was on its way. @param {string} id */
  left(id) {
    this.#left.set(id, Date.now());
    this.#recent.delete(id);
    this.#forget(id);
  }

  /** @param {string} id */
  #hasLeft(id) {
    return Date.now() - (this.#left.get(id) ?? 0) < FRESH;
  }

  /** @param {string} id @returns {undefined} */
  #forget(id) {
    this.#known.delete(id);
    this.#beyond.delete(id);
    this.#changed();
  }

  /** Something was said. @param {LastMessage & { conversationId: string }} message */
  said(message) {
    const id = message.conversationId;
    this.#hear(id, () => {
      const known = this.#known.get(id);
      const counted = this.#counted.get(id);
      if (!known || (counted !== undefined && byPosition(message.position, counted) <= 0)) return;
      if (this.#isDeleted(message)) return;
      this.#counted.set(id, message.position);
      const unreadCount = known.unreadCount + (message.senderId === this.app.me ? 0 : 1);
      this.update(id, { lastMessage: message, updatedAt: message.createdAt, unreadCount });
    });
    if (this.#known.has(id) || this.#reading.has(id)) return;
    this.#reading.add(id);
    const done = () => void this.#reading.delete(id);
    this.refresh(id).then(done, done);
  }

  /** A message has another content. @param {{ id: string, conversationId: string, content: string }} message */
  edited({ id, conversationId, content }) {
    this.#hear(conversationId, () => {
      const last = this.#known.get(conversationId)?.lastMessage;
      if (last?.id === id) this.update(conversationId, { lastMessage: { ...last, content } });
    });
  }

  /** One has read all up to a message. @param {string} id @param {string} position the message's */
  read(id, position) {
    this.#hear(id, () => {
      const last = this.#known.get(id)?.lastMessage;
      if (last && byPosition(last.position, position) <= 0) this.update(id, { unreadCount: 0 });
    });
  }

  /** One is called something else. @param {string} id @param {string | null | undefined} title */
  renamed(id, title) {
    this.#hear(id, () => this.update(id, { title }));
  }

  /** Holds nothing of what was heard against what is read from now on. */
  forgetHeard() {
    this.#recent.clear();
    this.#left.clear();
  }

  /** @param {string} id @param {() => void} change */
  #hear(id, change) {
    const recent = this.#recentOf(id);
    recent.push({ at: Date.now(), change });
    this.#recent.set(id, recent);
    change();
  }

  /** @param {string} id */
  #recentOf(id) {
    const since = Date.now() - FRESH;
    const recent = (this.#recent.get(id) ?? []).filter(({ at }) => at >= since);
    if (recent.length === 0) this.#recent.delete(id);
    return recent;
  }

  /** Shows it so until something else is heard of it. @param {string} id @param {Partial<ConversationAnswer>} changes */
  update(id, changes) {
    const known = this.#known.get(id);
    if (known) this.#known.set(id, { ...known, ...changes });
    this.#changed();
  }

  #changed() {
    this.#sorted = undefined;
    this.app.changed();
  }

  /** What a conversation is called: its title, or who else is in it. @param {ConversationAnswer} conversation */
  name(conversation) {
    if (conversation.title) return conversation.title;
    const others = conversation.participants.filter((id) => id !== this.app.me).slice(0, 4);
    if (others.length === 0) return "Only you";
    return others.map((id) => this.app.people.name(id)).join(", ");
  }

  /** Who the other one is in a direct conversation. @param {ConversationAnswer} conversation */
  partner(conversation) {
    return conversation.kind === "direct" ? conversation.participants.find((id) => id !== this.app.me) : undefined;
  }

  /** Opens the conversation with somebody, which begins if there was none. @param {string} userId */
  async openWith(userId) {
    return this.learn(
      await this.app.parlor.call("create_conversation", { body: { kind: "direct", participants: [userId] } }),
    );
  }
}
