// From what the services tell of one correlation to one picture: commands, their events, and what those set off.

/** @import { Way, WayCommand, LoggedEvent, EventActor, Overview } from "../../clients/typescript/src/api.js" */
import { keyOf } from "./rates.js";

/** @typedef {Way[]} Ways */
/** @typedef {{ event: LoggedEvent, reactions: Command[] }} Step */
/**
 * @typedef {object} Command
 * @property {string} service
 * @property {string[]} names none where no process remembers it
 * @property {EventActor} actor
 * @property {string} at
 * @property {number} [tookMs]
 * @property {string} [end]
 * @property {boolean} reaction whether an event set it off
 * @property {Step[]} events
 */

/** What was carried out in one service for one cause is one step.
 * @param {Ways} ways @returns {{ roots: Command[], events: number }} */
export function commandsOf(ways) {
  /** @type {Map<string, { service: string, causation: string | null, commands: WayCommand[], events: LoggedEvent[] }>} */
  const groups = new Map();
  const group = (/** @type {string} */ service, /** @type {string | null | undefined} */ cause) => {
    const causation = cause ?? null;
    const key = `${service} ${causation}`;
    const known = groups.get(key) ?? { service, causation, commands: [], events: [] };
    groups.set(key, known);
    return known;
  };
  for (const { service, commands, events } of ways) {
    for (const event of events) group(service, event.causation).events.push(event);
    for (const command of commands) group(service, command.causation).commands.push(command);
  }
  /** What causes are called: an event by its own id in its service, and by its public one elsewhere. */
  const known = new Set(ways.flatMap(({ events }) => events.flatMap(({ id, publicId }) => [id, publicId])));
  const made = [...groups.values()];
  const build = (/** @type {(typeof made)[number]} */ { service, causation, commands, events }) => {
    const [first] = commands;
    const [event] = events;
    const names = new Map();
    for (const { name } of commands) names.set(name, (names.get(name) ?? 0) + 1);
    return /** @type {Command} */ ({
      service,
      names: [...names].map(([name, times]) => (times > 1 ? `${name} ×${times}` : name)),
      actor: first?.actor ?? event?.actor ?? { kind: "system", id: null },
      at: first?.at ?? event?.at ?? "",
      tookMs: first ? commands.reduce((sum, { tookMs }) => sum + tookMs, 0) : undefined,
      end: commands.find(({ end }) => end !== "done")?.end ?? first?.end,
      reaction: causation !== null,
      events: events.map((event) => ({
        event,
        reactions: made
          .filter((other) => other.causation && (other.causation === event.publicId || other.causation === event.id))
          .map(build),
      })),
    });
  };
  // What was set off by something that wasn't found stands for itself.
  const roots = made.filter(({ causation }) => !causation || !known.has(causation)).map(build);
  roots.sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
  return { roots, events: ways.reduce((sum, { events }) => sum + events.length, 0) };
}

/** Who follows a service's log, and whether they have come as far as an event.
 * @param {Overview[]} overviews @param {string} service @param {string} position */
export function heardBy(overviews, service, position) {
  return overviews.flatMap(({ service: of, handlers }) =>
    handlers
      .filter(({ follows }) => follows === service)
      .map((handler) => ({
        key: keyOf(of, handler),
        name: handler.name,
        kind: handler.kind,
        of,
        passed: BigInt(handler.position) >= BigInt(position),
      })),
  );
}
