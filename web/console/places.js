// Where one is in the console, in the part of the address that never leaves the browser.

export const PLACES = /** @type {const} */ (["overview", "views", "events", "parked", "people", "ledger"]);

/**
 * @typedef {object} Place
 * @property {typeof PLACES[number]} place
 * @property {string} [way] of which command: its correlation
 * @property {string} [at] when that was
 * @property {string} [person] who is shown
 * @property {URLSearchParams} filters of the events
 */

/** @param {string} hash @returns {Place} */
export function parse(hash) {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name, kind, id] = path.split("/");
  const filters = new URLSearchParams(query);
  const place = PLACES.find((one) => one === name) ?? "overview";
  if (place === "events" && kind === "way" && id)
    return { place, way: id, at: filters.get("at") ?? undefined, filters };
  if (place === "people" && kind) return { place, person: kind, filters };
  return { place, filters };
}

/** The way of a command. @param {{ correlation: string, at: string }} event */
export const wayOf = ({ correlation, at }) => `#/events/way/${correlation}?at=${encodeURIComponent(at)}`;

/** Events that these filters let through. @param {Record<string, string>} filters */
export const eventsOf = (filters) => `#/events?${new URLSearchParams(filters)}`;
