import { html } from "../../app/ui.js";

const WIDE = 120;
const HIGH = 28;

/** The last minute of something as a line, scaled to its own highest. It decorates: the number stands beside it.
 * @param {{ values: number[] }} props */
export function Sparkline({ values }) {
  const most = Math.max(1, ...values);
  const step = WIDE / 58;
  const points = values.map((value, n) => [
    WIDE - (values.length - 1 - n) * step,
    HIGH - 2 - (value / most) * (HIGH - 5),
  ]);
  const line = points.map(([x, y]) => `${x?.toFixed(1)},${y?.toFixed(1)}`).join(" ");
  const [first] = points;
  return html`<svg class="sparkline" viewBox=${`0 0 ${WIDE} ${HIGH}`} preserveAspectRatio="none" aria-hidden="true">
    <line class="sparkline-base" x1="0" y1=${HIGH - 1.5} x2=${WIDE} y2=${HIGH - 1.5} />
    ${first && html`<polygon class="sparkline-area" points=${`${first[0]},${HIGH} ${line} ${WIDE},${HIGH}`} />`}
    ${first && html`<polyline class="sparkline-line" points=${line} />`}
  </svg>`;
}
