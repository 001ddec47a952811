/** @import { Message } from "./timeline.js" */

/** How many messages are remembered: far more than are said before any view has them. */
const KEPT = 500;

/** The newest messages, as the feed and the answers to one's own sending told of them, before every view holds them. */
export class Heard {
  /** @type {Map<string, Message & { conversationId: string }>} */
  #messages = new Map();

  /** A message, or what became of it. @param {Message & { conversationId: string }} message */
  take(message) {
    // What is told last of a message is what it is; it also stays longest.
    this.#messages.delete(message.id);
    this.#messages.set(message.id, message);
    if (this.#messages.size > KEPT) this.#messages.delete([...this.#messages.keys()][0] ?? "");
  }

  /** @param {string} id */
  has(id) {
    return this.#messages.has(id);
  }

  /** @param {string} id */
  get(id) {
    return this.#messages.get(id);
  }

  /** What was heard of a conversation's messages, the latest last. @param {string} conversationId */
  of(conversationId) {
    return [...this.#messages.values()].filter((message) => message.conversationId === conversationId);
  }
}
