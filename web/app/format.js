// Times and names as people read them.

const time = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "long" });
const fullDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const shortDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const DAY = 86_400_000;

/** Days from then to now, by the calendar. @param {Date} then @param {Date} now */
function daysAgo(then, now) {
  const midnight = (/** @type {Date} */ date) =>
    new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  return Math.round((midnight(now) - midnight(then)) / DAY);
}

/** @param {string} text */
const capital = (text) => text.charAt(0).toLocaleUpperCase() + text.slice(1);

/** The hour. @param {string} at */
export const clock = (at) => time.format(new Date(at));

/** All of it. @param {string} at */
export const exactly = (at) => exact.format(new Date(at));

/** A day, as a heading over what happened on it. @param {string} at @param {Date} [now] */
export function day(at, now = new Date()) {
  const then = new Date(at);
  const ago = daysAgo(then, now);
  if (ago === 0 || ago === 1) return capital(relative.format(-ago, "day"));
  return (then.getFullYear() === now.getFullYear() ? dayOfYear : fullDay).format(then);
}

/** As short as a list needs it. @param {string} at @param {Date} [now] */
export function briefly(at, now = new Date()) {
  const then = new Date(at);
  const ago = daysAgo(then, now);
  if (ago === 0) return time.format(then);
  if (ago < 7) return ago === 1 ? capital(relative.format(-1, "day")) : weekday.format(then);
  return (then.getFullYear() === now.getFullYear() ? shortDay : fullDay).format(then);
}

/** When somebody was there. @param {string} at @param {Date} [now] */
export function lastSeen(at, now = new Date()) {
  const then = new Date(at);
  const ago = daysAgo(then, now);
  if (ago === 0) return `Last seen at ${time.format(then)}`;
  if (ago === 1) return "Last seen yesterday";
  if (ago < 7) return `Last seen on ${weekday.format(then)}`;
  return `Last seen on ${(then.getFullYear() === now.getFullYear() ? shortDay : fullDay).format(then)}`;
}

/** Whether two times are on the same day. @param {string} one @param {string} other */
export const sameDay = (one, other) => new Date(one).toDateString() === new Date(other).toDateString();

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const first = (/** @type {string} */ word) => graphemes.segment(word)[Symbol.iterator]().next().value?.segment ?? "";

/** One or two letters that stand for a name. @param {string} name */
export function initials(name) {
  const words = name
    .trim()
    .split(/\s+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  const [one = name.trim(), ...rest] = words;
  const last = rest.at(-1);
  return (first(one) + (last ? first(last) : "")).toLocaleUpperCase() || "?";
}

/** Which of so many colours somebody has, always the same. @param {string} id @param {number} [of] */
export function hue(id, of = 8) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + char.charCodeAt(0)) % 9973;
  return sum % of;
}

/** A list of names. @param {string[]} names */
export const list = (names) => new Intl.ListFormat(undefined, { type: "conjunction" }).format(names);

/** A count as a badge has room for it. @param {number} count */
export const badge = (count) => (count > 99 ? "99+" : String(count));

/** Orders messages by the decimal strings that positions are. @param {string} one @param {string} other */
export const byPosition = (one, other) => one.length - other.length || (one < other ? -1 : one > other ? 1 : 0);
