import { SignedOutError } from "../../../clients/typescript/src/index.js";

/** @import { NotificationCreated, Preferences, ShownNotification } from "../../../clients/typescript/src/api.js" */

/** What one was told of, and what one wants to be told of. */
export class Notices {
  /** @type {string | null | undefined} */
  #more;
  #loading = false;
  /** What was heard while they are being read, to be done again on what was read. @type {(() => void)[] | undefined} */
  #heard;
  /** Stands for who loads them in time: who came last. @type {object | undefined} */
  #turn;

  /** @param {import("../app.js").App} app */
  constructor(app) {
    this.app = app;
    /** The newest first. @type {ShownNotification[]} */
    this.items = [];
    this.unread = 0;
    /** @type {Preferences | undefined} */
    this.preferences = undefined;
    /** Whether they were read. */
    this.loaded = false;
  }

  async load() {
    const { parlor } = this.app;
    /** @type {(() => void)[]} */
    const heard = [];
    this.#heard = heard;
    const [page, { count }, preferences] = await Promise.all([
      parlor.call("get_user_notifications", { query: { limit: 50 } }),
      parlor.call("get_unread_notifications_count", {}),
      parlor.call("get_notification_preferences", {}),
    ]);
    // Who began to read later knows more.
    if (this.#heard !== heard) return;
    this.#heard = undefined;
    Object.assign(this, { items: page.items, unread: count, preferences, loaded: true });
    this.#more = page.nextCursor;
    for (const again of heard) again();
    this.app.changed();
  }

  /** Loads them, however long it takes: they follow from messages, and may be behind. @param {AbortSignal} signal */
  async loadInTime(signal) {
    const turn = {};
    this.#turn = turn;
    while (!signal.aborted && this.#turn === turn) {
      try {
        return await this.load();
      } catch (error) {
        if (error instanceof SignedOutError) return void this.app.failed(error);
        await new Promise((resolve) => setTimeout(resolve, 2_000));
      }
    }
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
    if (!this.#add(data, at)) return;
    this.#heard?.push(() => this.#add(data, at));
    this.app.push.show(data);
    this.app.changed();
  }

  /** Adds one, unless it is there. @param {NotificationCreated} data @param {string} at */
  #add(data, at) {
    if (this.items.some((one) => one.id === data.id)) return false;
    this.items = [{ ...data, read: false, createdAt: at }, ...this.items];
    this.unread += 1;
    return true;
  }

  /** @param {string} id */
  wasRead(id) {
    this.#heard?.push(() => this.items.some((one) => one.id === id) && this.#markRead(id));
    this.#markRead(id);
  }

  /** @param {string} id */
  #markRead(id) {
    const found = this.items.find((one) => one.id === id);
    if (found?.read) return;
    if (found) this.items = this.items.map((one) => (one === found ? { ...one, read: true } : one));
    this.unread = Math.max(0, this.unread - 1);
    this.app.changed();
  }

  allWereRead() {
    this.#heard?.push(() => this.#markAllRead());
    this.#markAllRead();
  }

  #markAllRead() {
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
