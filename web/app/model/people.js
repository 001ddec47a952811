/** @import { UserCard } from "../../../clients/typescript/src/api.js" */

/** How many people are looked up at the same time. */
const AT_ONCE = 6;

/** Whoever is mentioned anywhere, looked up when first shown; and who of them are contacts. */
export class People {
  /** @type {Map<string, Partial<UserCard> & { id: string }>} */
  #known = new Map();
  /** @type {string[]} */
  #wanted = [];
  #looking = 0;

  /** @param {import("../app.js").App} app */
  constructor(app) {
    this.app = app;
    /** @type {Set<string>} */
    this.contacts = new Set();
    /** One's own account. @type {import("../../../clients/typescript/src/api.js").Profile | undefined} */
    this.self = undefined;
  }

  /** Somebody, as far as they are known by now. @param {string} id */
  get(id) {
    const known = this.#known.get(id);
    if (known) return known;
    const unknown = { id };
    this.#known.set(id, unknown);
    this.#wanted.push(id);
    void this.#look();
    return unknown;
  }

  /** What somebody is called. @param {string} id */
  name(id) {
    return this.get(id).displayName ?? "…";
  }

  /** @param {Partial<UserCard> & { id: string }} card */
  learn(card) {
    this.#known.set(card.id, { ...this.#known.get(card.id), ...card });
    this.app.changed();
  }

  async #look() {
    if (this.#looking >= AT_ONCE) return;
    this.#looking += 1;
    for (let id = this.#wanted.shift(); id; id = this.#wanted.shift()) {
      try {
        this.learn(await this.app.parlor.call("get_user_by_id", { path: { id } }));
      } catch (error) {
        if (/** @type {any} */ (error).status === 404) this.learn({ id, displayName: "Somebody" });
        // Asked again when next shown.
        else this.#known.delete(id);
      }
    }
    this.#looking -= 1;
  }

  async load() {
    const { parlor } = this.app;
    this.self = await parlor.call("get_own_profile", {});
    this.learn(this.self);
    /** @type {Set<string>} */
    const contacts = new Set();
    for await (const card of parlor.all("get_user_contacts", { query: { limit: 200 } })) {
      this.learn(card);
      contacts.add(card.id);
    }
    this.contacts = contacts;
    this.app.changed();
  }

  /** Contacts by name. */
  sorted() {
    return [...this.contacts]
      .map((id) => this.get(id))
      .sort((a, b) => (a.displayName ?? "").localeCompare(b.displayName ?? ""));
  }

  /** @param {string} text */
  async search(text) {
    const { items } = await this.app.parlor.call("find_users", { query: { search: text, limit: 30 } });
    for (const card of items) this.learn(card);
    return items.filter((card) => card.id !== this.app.me && card.state === "active").map((card) => card.id);
  }

  /** @param {string} userId @param {boolean} wanted */
  async setContact(userId, wanted) {
    await this.app.parlor.call(wanted ? "add_user_contact" : "remove_user_contact", { path: { userId } });
    if (wanted) this.contacts.add(userId);
    else this.contacts.delete(userId);
    this.app.changed();
  }

  /** @param {import("../../../clients/typescript/src/api.js").UpdateUserProfile} changes */
  async updateProfile(changes) {
    this.self = await this.app.parlor.call("update_user_profile", { body: changes });
    this.learn(this.self);
  }

  /** @param {import("../../../clients/typescript/src/api.js").Availability} status @param {string} text */
  async setStatus(status, text) {
    await this.app.parlor.call("change_user_status", { body: { status, text: text || null } });
    if (this.self) this.self = { ...this.self, status, statusText: text || null };
    this.learn({ id: this.app.me ?? "", status, statusText: text || null });
  }
}
