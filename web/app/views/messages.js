// The messages of a conversation, of which only those near what is visible are in the page.
//
// Heights are estimated until a message was shown once, then measured. What is on the screen stays where it is when anything
// above it turns out to be higher, or comes later: the first visible message is the anchor, unless one is at the end.

import { sameDay } from "../format.js";
import { Icon, html, useApp, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../ui.js";
import { MessageRow } from "./message.js";
import { Empty } from "./parts.js";

/** How far beyond what is visible messages are in the page, in pixels. */
const MARGIN = 800;
/** So far from an end, more is read, in pixels. */
const AHEAD = 1_500;
/** From the end at most so far counts as being there. */
const NEAR = 48;
/** Messages of one sender within so many milliseconds belong together. */
const TOGETHER = 5 * 60_000;

/** What is shown, a row each. @param {import("../model/timeline.js").Timeline} timeline @param {any[]} waiting @param {string} me */
function rowsOf(timeline, waiting, me) {
  const rows = [];
  let before;
  const add = (message, pending) => {
    const newDay = !before || !sameDay(before.createdAt ?? before.deletedAt, message.createdAt ?? message.deletedAt);
    const unread = message.id === timeline.firstUnread;
    const at = Date.parse(message.createdAt ?? message.deletedAt);
    const follows =
      !newDay &&
      !unread &&
      before.senderId === message.senderId &&
      at - Date.parse(before.createdAt ?? before.deletedAt) < TOGETHER &&
      !before.deletedAt === !message.deletedAt;
    if (follows) rows[rows.length - 1].last = false;
    rows.push({ key: message.id, message, pending, day: newDay, unread, first: !follows, last: true });
    before = message;
  };
  for (const item of timeline.items) add(item, false);
  if (!timeline.hasNewer) for (const one of waiting) if (!timeline.get(one.id)) add({ ...one, senderId: me }, true);
  return rows;
}

/** @param {{ message: { content?: string }, first: boolean, day: boolean }} row @param {number} width */
function estimate({ message, first, day }, width) {
  const perLine = Math.max(20, Math.min(width * 0.72, 600) / 8);
  const lines = Math.ceil((message.content?.length ?? 20) / perLine);
  return 20 + lines * 22 + (first ? 28 : 4) + (day ? 44 : 0);
}

export function Messages({ timeline, conversation, onReply, onEdit }) {
  const app = useApp();
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const slice = useRef(/** @type {HTMLElement | null} */ (null));
  // What belongs to the scrolling and not to what is shown.
  const at = useRef({
    heights: new Map(),
    anchor: undefined,
    offset: 0,
    end: true,
    width: 600,
    jumped: 0,
    top: 0,
    view: 800,
  }).current;
  const [, again] = useState(0);
  const [focus, setFocus] = useState(/** @type {string | undefined} */ (undefined));

  const waiting = app.outbox.of(timeline.id);
  const known = [timeline, timeline.version, app.me, waiting.map((one) => one.id + (one.failed ?? "")).join()];
  const rows = useMemo(() => rowsOf(timeline, waiting, app.me ?? ""), known);
  const lastRead = useMemo(
    () =>
      rows.findLastIndex(
        ({ message, pending }) =>
          message.senderId === app.me && !pending && !message.deletedAt && timeline.readers(message).length > 0,
      ),
    known,
  );
  const tops = new Float64Array(rows.length + 1);
  rows.forEach((row, n) => (tops[n + 1] = tops[n] + (at.heights.get(row.key) ?? estimate(row, at.width))));
  const total = tops[rows.length];

  // Where the scroller is going to be: at the end, or where the anchor is.
  const anchored = at.anchor === undefined ? -1 : rows.findIndex((row) => row.key === at.anchor);
  const top = at.end ? Math.max(0, total - at.view) : anchored >= 0 ? tops[anchored] + at.offset : at.top;
  let from = 0;
  while (from < rows.length - 1 && tops[from + 1] < top - MARGIN) from += 1;
  let to = from;
  while (to < rows.length && tops[to] < top + at.view + MARGIN) to += 1;

  const anchor = () => {
    const { scrollTop } = /** @type {HTMLElement} */ (scroller.current);
    let n = 0;
    while (n < rows.length - 1 && tops[n + 1] <= scrollTop) n += 1;
    at.anchor = rows[n]?.key;
    at.offset = scrollTop - tops[n];
    at.top = scrollTop;
  };

  const onScroll = () => {
    const box = /** @type {HTMLElement} */ (scroller.current);
    at.end = !timeline.hasNewer && box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    anchor();
    timeline.error = undefined;
    again((n) => n + 1);
  };

  // Measures what is in the page, and keeps what is on the screen where it is.
  useLayoutEffect(() => {
    const box = /** @type {HTMLElement} */ (scroller.current);
    at.view = box.clientHeight;
    if (at.width !== box.clientWidth) {
      at.width = box.clientWidth;
      at.heights.clear();
    }
    let changed = false;
    for (const element of /** @type {HTMLElement} */ (slice.current).children) {
      const key = element instanceof HTMLElement ? element.dataset.key : undefined;
      const { height } = element.getBoundingClientRect();
      if (key && height > 0 && at.heights.get(key) !== height) {
        at.heights.set(key, height);
        changed = true;
      }
    }
    if (changed) return void again((n) => n + 1);
    const { to: wanted, nth } = timeline.jump;
    const found = wanted && nth !== at.jumped ? rows.findIndex((row) => row.key === wanted) : -1;
    if (found >= 0) {
      at.jumped = nth;
      at.end = false;
      at.anchor = wanted;
      at.offset = -box.clientHeight / 3;
      setFocus(wanted);
      return void again((n) => n + 1);
    }
    const last = box.scrollHeight - box.clientHeight;
    const goal = at.end ? last : Math.max(0, Math.min(top, last));
    if (Math.abs(box.scrollTop - goal) > 1) box.scrollTop = goal;
  });

  // Reads on where the page comes near an end of what was read; what failed waits for the next scrolling.
  useEffect(() => {
    const box = /** @type {HTMLElement} */ (scroller.current);
    if (!timeline.loaded || timeline.error) return;
    if (box.scrollTop < AHEAD) void timeline.loadOlder();
    if (box.scrollHeight - box.scrollTop - box.clientHeight < AHEAD) void timeline.loadNewer();
  });

  // A first unread message is better than the end, if it is out of sight.
  useEffect(() => {
    if (!timeline.loaded || !timeline.firstUnread || timeline.jump.nth > 0) return;
    const n = rows.findIndex((row) => row.key === timeline.firstUnread);
    if (n < 0 || total - tops[n] < at.view - 80) return;
    Object.assign(at, { end: false, anchor: timeline.firstUnread, offset: -60 });
    again((m) => m + 1);
  }, [timeline.loaded]);

  useEffect(() => {
    const box = /** @type {HTMLElement} */ (scroller.current);
    const observer = new ResizeObserver(() => again((n) => n + 1));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const wanted = focus && slice.current?.querySelector(`[data-key="${CSS.escape(focus)}"] article`);
    if (wanted instanceof HTMLElement && !wanted.contains(document.activeElement))
      wanted.focus({ preventScroll: true });
  }, [focus, timeline.jump.nth]);

  useReading(timeline, conversation, rows, at);

  const onKeyDown = (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || event.target.closest("textarea, input, [role=menu]")) return;
    event.preventDefault();
    const now = rows.findIndex((row) => row.key === focus);
    const next = now < 0 ? rows.length - 1 : Math.max(0, Math.min(rows.length - 1, now + step));
    const row = rows[next];
    if (!row) return;
    const box = /** @type {HTMLElement} */ (scroller.current);
    if (tops[next] < box.scrollTop) Object.assign(at, { end: false, anchor: row.key, offset: -40 });
    else if (tops[next + 1] > box.scrollTop + box.clientHeight) {
      Object.assign(at, {
        end: next === rows.length - 1,
        anchor: row.key,
        offset: tops[next + 1] - tops[next] - box.clientHeight + 20,
      });
    }
    setFocus(row.key);
  };

  const toEnd = async () => {
    await timeline.showNewest();
    at.end = true;
    again((n) => n + 1);
  };

  const readBy = rows[lastRead]?.key;
  const shown = rows.slice(from, to);
  const roving = shown.some((row) => row.key === focus) ? focus : shown.at(-1)?.key;
  return html`<div class="messages-place">
    <div ref=${scroller} class="messages" role="feed" aria-label="Messages" aria-busy=${!timeline.loaded}
      tabindex=${rows.length > 0 ? -1 : 0} onScroll=${onScroll} onKeyDown=${onKeyDown}>
      ${
        timeline.loaded &&
        rows.length === 0 &&
        html`<${Empty} icon="bubble" title="Say the first word">
      <p>Nothing has been said here yet.</p><//>`
      }
      <div class="messages-all" style=${{ height: `${total}px` }} role="none">
        <div ref=${slice} class="messages-slice" style=${{ transform: `translateY(${tops[from]}px)` }} role="none">
          ${shown.map(
            (row, n) => html`<${MessageRow} key=${row.key} ...${row} timeline=${timeline} conversation=${conversation}
            nth=${from + n + 1} of=${timeline.hasOlder || timeline.hasNewer ? -1 : rows.length}
              focusable=${row.key === roving} marked=${row.key === timeline.jump.to}
            seen=${row.key === readBy ? timeline.readers(row.message) : undefined} read=${from + n <= lastRead}
              onFocus=${() => setFocus(row.key)} onReply=${onReply} onEdit=${onEdit} />`,
          )}
        </div>
      </div>
    </div>
    ${
      (!at.end || timeline.hasNewer) &&
      rows.length > 0 &&
      html`<button type="button" class="to-end" onClick=${toEnd}>
      <${Icon} name="down" />${conversation.unreadCount > 0 ? `${conversation.unreadCount} new` : "Newest"}</button>`
    }
  </div>`;
}

/** Marks as read what somebody sees, while they look. */
function useReading(timeline, conversation, rows, at) {
  const app = useApp();
  const told = useRef("");
  const [, look] = useState(0);
  useEffect(() => {
    const again = () => look((n) => n + 1);
    addEventListener("focus", again);
    document.addEventListener("visibilitychange", again);
    return () => {
      removeEventListener("focus", again);
      document.removeEventListener("visibilitychange", again);
    };
  }, []);
  const newest = rows.findLast((row) => !row.pending)?.key;
  useEffect(() => {
    if (!newest || !at.end || timeline.hasNewer || conversation.unreadCount === 0 || told.current === newest) return;
    if (document.visibilityState !== "visible" || !document.hasFocus()) return;
    const timer = setTimeout(() => {
      told.current = newest;
      app.conversations.update(timeline.id, { unreadCount: 0 });
      app.parlor
        .call("mark_messages_as_read", { path: { id: timeline.id }, body: { upTo: newest } })
        .catch(() => (told.current = ""));
    }, 300);
    return () => clearTimeout(timer);
  });
}
