/** @import { ConversationAnswer, LastMessage } from "../../../clients/typescript/src/api.js" */
import { byPosition } from "../format.js";

const PAGE = 100;

/** The conversations that one is in, the newest activity first. */
export class Conversations {
  /** @type {Map<string, ConversationAnswer>} */
  #known = new Map();
  /** The newest message of each that was counted: what comes twice counts once. @type {Map<string, string>} */
  #counted = new Map();
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

  /** @param {ConversationAnswer} conversation */
  learn(conversation) {
    this.#known.set(conversation.id, conversation);
    this.#beyond.delete(conversation.id);
    const { lastMessage } = conversation;
    if (lastMessage && this.#isNew(conversation.id, lastMessage.position)) {
      this.#counted.set(conversation.id, lastMessage.position);
    }
    this.#changed();
    return conversation;
  }

  /** Reads one anew. @param {string} id */
  async refresh(id) {
    try {
      return this.learn(await this.app.parlor.call("get_conversation", { path: { id } }));
    } catch (error) {
      if (/** @type {any} */ (error).status === 404) this.forget(id);
      else throw error;
    }
  }

  /** @param {string} id @param {Partial<ConversationAnswer>} changes */
  update(id, changes) {
    const known = this.#known.get(id);
    if (known) this.#known.set(id, { ...known, ...changes });
    this.#changed();
  }

  /** One isn't in it any more. @param {string} id */
  forget(id) {
    this.#known.delete(id);
    this.#beyond.delete(id);
    this.#changed();
  }

  /** Something was said. @param {LastMessage & { conversationId: string }} message */
  said(message) {
    const known = this.#known.get(message.conversationId);
    if (!known) {
      // What is read of it may be from a moment before.
      const again = (/** @type {unknown} */ found) => void (found && this.said(message));
      return void this.refresh(message.conversationId).then(again, () => {});
    }
    if (!this.#isNew(known.id, message.position)) return;
    this.#counted.set(known.id, message.position);
    const unread = message.senderId === this.app.me ? 0 : 1;
    this.update(known.id, {
      lastMessage: message,
      updatedAt: message.createdAt,
      unreadCount: known.unreadCount + unread,
    });
  }

  /** @param {string} id @param {string} position */
  #isNew(id, position) {
    const counted = this.#counted.get(id);
    return counted === undefined || byPosition(position, counted) > 0;
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
