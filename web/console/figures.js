// Numbers, times and ids as operators read them.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const rough = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const moment = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** @param {string | number} count */
export const count = (count) => whole.format(Number(count));

/** Events in a second. @param {number} perSecond */
export const rate = (perSecond) => `${perSecond > 0 && perSecond < 10 ? rough.format(perSecond) : count(perSecond)}/s`;

/** @param {number} milliseconds */
export function span(milliseconds) {
  if (milliseconds < 1_000) return `${fine.format(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${rough.format(milliseconds / 1_000)} s`;
  if (milliseconds < 3_600_000) return `${count(milliseconds / 60_000)} min`;
  return `${rough.format(milliseconds / 3_600_000)} h`;
}

/** To the millisecond. @param {string} at */
export const exactly = (at) => moment.format(new Date(at));

/** @param {string} at */
export const when = (at) => day.format(new Date(at));

/** The end of an id, which tells ids apart sooner than its beginning: that is the time. @param {string} id */
export const short = (id) => `…${id.slice(-8)}`;

/** What a handler lags behind, in words. @param {{ behind: number, behindMs?: number | null }} handler */
export const lag = ({ behind, behindMs }) =>
  behind === 0 ? "up to date" : `${count(behind)} behind${behindMs == null ? "" : `, ${span(behindMs)}`}`;

/** Who issued a command. @param {{ kind: string, id?: string | null }} actor */
export const actor = ({ kind, id }) =>
  ({ anonymous: "somebody", system: "Parlor itself", user: `user ${short(id ?? "")}`, service: "an application" })[
    kind
  ] ?? kind;
