// Where one is: a list (chats, search, …) and what is open beside it, in the part of the address that never leaves the browser.

export const PANES = /** @type {const} */ (["chats", "people", "search", "notices", "settings"]);

/**
 * @typedef {object} Route
 * @property {typeof PANES[number]} pane the list
 * @property {string} [conversation] that is open beside it
 * @property {string} [message] in it that is to be shown
 * @property {string} [user] who is shown beside it
 * @property {string} [section] of the settings
 */

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const [, pane = "chats", kind, id, , message] = hash.split("/");
  const known = PANES.find((one) => one === pane);
  if (!known) return { pane: "chats" };
  if (kind === "c" && id) return { pane: known, conversation: id, message };
  if (kind === "u" && id) return { pane: known, user: id };
  if (known === "settings" && kind) return { pane: known, section: kind };
  return { pane: known };
}

/** @param {Route} route */
export function address({ pane, conversation, message, user, section }) {
  if (conversation) return `#/${pane}/c/${conversation}${message ? `/m/${message}` : ""}`;
  if (user) return `#/${pane}/u/${user}`;
  return section ? `#/${pane}/${section}` : `#/${pane}`;
}
