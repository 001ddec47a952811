// The picture of the overview: logs on the left, whoever follows them on the right, and what passes between.

/** @import { Overview, HandlerState } from "../../../clients/typescript/src/api.js" */
import { classes, html } from "../../app/ui.js";
import { count, lag, rate } from "../figures.js";
import { keyOf } from "../rates.js";
import { classOf } from "./kinds.js";

const WIDE = 1060;
/** Where logs end and followers begin. */
const LOG = { x: 0, wide: 236, high: 104 };
const ROW = { x: 600, wide: 460, high: 36 };
const GAP = 30;

/** A handler once, with all that it follows. @typedef {{ service: string, name: string, kind: string, state: string, follows: HandlerState[] }} Node */

/** @param {Overview[]} overviews */
function layout(overviews) {
  /** @type {{ service: string, y: number, rows: (Node & { y: number })[] }[]} */
  const groups = [];
  let y = 24;
  for (const { service, handlers } of overviews) {
    /** @type {Map<string, Node>} */
    const nodes = new Map();
    for (const handler of handlers) {
      const node = nodes.get(handler.name) ?? {
        service,
        name: handler.name,
        kind: handler.kind,
        state: "live",
        follows: [],
      };
      node.follows.push(handler);
      if (handler.state !== "live") node.state = handler.state;
      nodes.set(handler.name, node);
    }
    const rows = [...nodes.values()].map((node, n) => ({ ...node, y: y + n * ROW.high }));
    groups.push({ service, y, rows });
    y += Math.max(LOG.high, rows.length * ROW.high) + GAP;
  }
  return { groups, high: y - GAP + 8 };
}

/** Whoever is furthest behind says how a handler is. @param {HandlerState[]} follows */
const worst = (follows) =>
  follows.reduce((one, other) => ((other.behindMs ?? other.behind) > (one.behindMs ?? one.behind) ? other : one));

/** @param {{ overviews: Overview[], rates: import("../rates.js").Rates }} props */
export function FlowMap({ overviews, rates }) {
  const { groups, high } = layout(overviews);
  const logs = new Map(
    groups.map(({ service, y, rows }) => [service, y + Math.max(0, (rows.length * ROW.high - LOG.high) / 2) - 4]),
  );
  return html`<svg class="map" viewBox=${`0 0 ${WIDE} ${high}`} aria-hidden="true">
    ${groups.flatMap(({ service, rows }) =>
      rows.flatMap((row) =>
        row.follows.map((handler) => {
          const from = logs.get(handler.follows);
          if (from === undefined) return null;
          const flows = rates.now(keyOf(service, handler)) > 0;
          return html`<path key=${keyOf(service, handler)} class=${classes("edge", handler.follows === service && "is-own", flows && "is-flowing", `is-${handler.state}`)}
            d=${curve(from + LOG.high / 2, row.y + (ROW.high - 4) / 2)} />`;
        }),
      ),
    )}
    ${overviews.map((overview) => html`<${Log} key=${overview.service} overview=${overview} y=${logs.get(overview.service)} rates=${rates} />`)}
    ${groups.map(
      ({ service, y, rows }) =>
        html`<g key=${service}><text class="map-group" x=${ROW.x} y=${y - 9}>${service}</text>
          ${rows.map((row) => html`<${Follower} key=${row.name} row=${row} rates=${rates} />`)}</g>`,
    )}
  </svg>`;
}

/** @param {number} from @param {number} to */
function curve(from, to) {
  const [start, end] = [LOG.x + LOG.wide, ROW.x];
  const bend = (end - start) * 0.55;
  return `M${start},${from} C${start + bend},${from} ${end - bend},${to} ${end},${to}`;
}

function Log({ overview: { service, log }, y, rates }) {
  const history = rates.history(service);
  const most = Math.max(1, ...history);
  const step = (LOG.wide - 32) / 58;
  const points = history.map((value, n) => {
    const x = LOG.x + LOG.wide - 16 - (history.length - 1 - n) * step;
    return `${x.toFixed(1)},${(y + 94 - (value / most) * 22).toFixed(1)}`;
  });
  return html`<g class="map-log">
    <rect x=${LOG.x + 1} y=${y} width=${LOG.wide - 2} height=${LOG.high} rx="16" />
    <text class="map-name" x=${LOG.x + 18} y=${y + 28}>${service}</text>
    <text class="map-rate" x=${LOG.x + LOG.wide - 18} y=${y + 28} text-anchor="end">${rate(rates.now(service))}</text>
    <text class="map-figure" x=${LOG.x + 18} y=${y + 60}>${count(log.newest)}</text>
    <line class="sparkline-base" x1=${LOG.x + 16} x2=${LOG.x + LOG.wide - 16} y1=${y + 94} y2=${y + 94} />
    ${points.length > 1 && html`<polyline class="sparkline-line" points=${points.join(" ")} />`}
    <circle class="map-port" cx=${LOG.x + LOG.wide - 1} cy=${y + LOG.high / 2} r="5" />
  </g>`;
}

function Follower({ row, rates }) {
  const { service, name, kind, state, follows, y } = row;
  const last = worst(follows);
  const pace = follows.reduce((sum, handler) => sum + rates.now(keyOf(service, handler)), 0);
  const middle = y + 20;
  return html`<g class=${classes("map-row", `is-${state}`, classOf(kind))}>
    <rect class="map-row-back" x=${ROW.x} y=${y} width=${ROW.wide} height=${ROW.high - 5} rx="10" />
    <circle class="map-dot" cx=${ROW.x + 16} cy=${y + 15.5} r="4.5" />
    <text class="map-row-name" x=${ROW.x + 30} y=${middle}>${name}</text>
    <text class="map-kind" x=${ROW.x + 206} y=${middle}>${kind}</text>
    <text class="map-lag" x=${ROW.x + 382} y=${middle} text-anchor="end">${state === "live" ? lag(last) : state}</text>
    <text class="map-rate" x=${ROW.x + ROW.wide - 12} y=${middle} text-anchor="end">${rate(pace)}</text>
  </g>`;
}
