/** @import { NotificationCreated, Preferences, ShownNotification } from "../../../clients/typescript/src/api.js" */

/** What one was told of, and what one wants to be told of. */
export class Notices {
  /** @type {string | null | undefined} */
  #more;
  #loading = false;

  /** @param {import("../app.js").App} app */
  constructor(app) {
    this.app = app;
    /** The newest first. @type {ShownNotification[]} */
    this.items = [];
    this.unread = 0;
    /** @type {Preferences | undefined} */
    this.preferences = undefined;
  }

  async load() {
    const { parlor } = this.app;
    const [page, { count }, preferences] = await Promise.all([
      parlor.call("get_user_notifications", { query: { limit: 50 } }),
      parlor.call("get_unread_notifications_count", {}),
      parlor.call("get_notification_preferences", {}),
    ]);
    Object.assign(this, { items: page.items, unread: count, preferences });
    this.#more = page.nextCursor;
    this.app.changed();
  }

  async loadMore() {
    if (!this.#more || this.#loading) return;
    this.#loading = true;
    try {
      const page = await this.app.parlor.call("get_user_notifications", { query: { limit: 50, cursor: this.#more } });
      const known = new Set(this.items.map((one) => one.id));
      this.items = [...this.items, ...page.items.filter((one) => !known.has(one.id))];
      this.#more = page.nextCursor;
      this.app.changed();
    } catch {
      // The next scroll tries again.
    } finally {
      this.#loading = false;
    }
  }

  /** @param {NotificationCreated} data @param {string} at */
  created(data, at) {
    if (this.items.some((one) => one.id === data.id)) return;
    this.items = [{ ...data, read: false, createdAt: at }, ...this.items];
    this.unread += 1;
    this.app.push.show(data);
    this.app.changed();
  }

  /** @param {string} id */
  wasRead(id) {
    const found = this.items.find((one) => one.id === id);
    if (found?.read) return;
    if (found) this.items = this.items.map((one) => (one === found ? { ...one, read: true } : one));
    this.unread = Math.max(0, this.unread - 1);
    this.app.changed();
  }

  allWereRead() {
    this.items = this.items.map((one) => ({ ...one, read: true }));
    this.unread = 0;
    this.app.changed();
  }

  /** @param {ShownNotification} notice */
  async read(notice) {
    if (notice.read) return;
    this.wasRead(notice.id);
    await this.app.parlor.call("mark_notification_as_read", { path: { id: notice.id } });
  }

  async readAll() {
    await this.app.parlor.call("mark_all_notifications_as_read", {});
    this.allWereRead();
  }

  /** @param {Preferences} preferences */
  async savePreferences(preferences) {
    this.preferences = await this.app.parlor.call("update_notification_preferences", { body: preferences });
    this.app.changed();
  }

  /** What one wants to be told of a conversation, where that differs from others. @param {string} id */
  levelOf(id) {
    return this.preferences?.conversations?.[id];
  }

  /** @param {string} id @param {import("../../../clients/typescript/src/api.js").Level | undefined} level */
  async setLevel(id, level) {
    const { [id]: _, ...others } = this.preferences?.conversations ?? {};
    await this.savePreferences({ ...this.preferences, conversations: level ? { ...others, [id]: level } : others });
  }
}
