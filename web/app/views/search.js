import { briefly, exactly } from "../format.js";
import { html, useApp, useEffect, useRef, useState } from "../ui.js";
import { Empty, Highlighted, PaneHead, arrowKeys } from "./parts.js";

/** What was searched for last stays, while one looks at what was found. */
const last = { text: "", here: "", user: /** @type {string | undefined} */ (undefined) };

/** Has the next search begin in one conversation. @param {string} id @param {string | undefined} me */
export function searchIn(id, me) {
  Object.assign(last, { text: "", here: id, user: me });
}

/** Words in everything that one may read. */
export function Search() {
  const app = useApp();
  // Another user's search is nobody's business.
  if (last.user !== app.me) Object.assign(last, { text: "", here: "", user: app.me });
  const [text, setText] = useState(last.text);
  const [here, setHere] = useState(last.here);
  const [result, setResult] = useState(
    /** @type {{ items: any[], nextCursor?: string | null, query: string } | undefined} */ (undefined),
  );
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const run = useRef(0);
  const query = text.trim();

  const search = async (cursor, before = []) => {
    const nth = (run.current += 1);
    const asked = { q: query, limit: 30, ...(here ? { conversationId: here } : {}), ...(cursor ? { cursor } : {}) };
    try {
      const page = await app.parlor.call("search_messages", { query: asked });
      if (nth === run.current) setResult({ items: [...before, ...page.items], nextCursor: page.nextCursor, query });
    } catch (error) {
      if (nth === run.current) void app.failed(error);
    }
  };
  useEffect(() => input.current?.focus(), []);
  useEffect(() => {
    Object.assign(last, { text, here });
    if (!query) return setResult(undefined);
    const timer = setTimeout(() => void search(undefined), 200);
    return () => clearTimeout(timer);
  }, [query, here]);

  return html`<${PaneHead} title="Search" />
    <div class="pane-filter">
      <input ref=${input} type="search" placeholder="Words, in any language" aria-label="Search messages"
        value=${text} onInput=${(event) => setText(event.currentTarget.value)} />
      <select aria-label="Where" value=${here} onChange=${(event) => setHere(event.currentTarget.value)}>
        <option value="">In all chats</option>
        ${app.conversations.sorted().map(
          (one) => html`<option key=${one.id}
          value=${one.id}>${app.conversations.name(one)}</option>`,
        )}
      </select>
    </div>
    ${
      !query &&
      html`<${Empty} icon="search" title="What was that again?">
    <p>Finds words and parts of words in everything you can read.</p><//>`
    }
    <p class="unseen" role="status">${result && `${result.items.length} found`}</p>
    ${result && result.items.length === 0 && !result.nextCursor && html`<p class="pane-note">Nobody said that.</p>`}
    <ul class="rows" onKeyDown=${arrowKeys}>
      ${result?.items.map((found) => html`<${Found} key=${found.id} found=${found} />`)}
      ${
        result?.nextCursor &&
        html`<li><button type="button" data-item class="button is-wide"
        onClick=${() => search(result.nextCursor, result.items)}>More</button></li>`
      }
    </ul>`;
}

/** How much of a long message stands before what was found in it. */
const BEFORE = 40;

function Found({ found }) {
  const app = useApp();
  const { id, conversationId, senderId, content, createdAt } = found;
  const conversation = app.conversations.get(conversationId);
  const cut = Math.max(0, (found.highlights[0]?.start ?? 0) - BEFORE);
  // Between the halves of a character nothing is cut.
  const from = /[\uDC00-\uDFFF]/.test(content.charAt(cut)) ? cut - 1 : cut;
  const highlights = found.highlights.map(({ start, end }) => ({ start: start - from, end: end - from }));
  const current = app.route.message === id;
  return html`<li><a class=${current ? "row is-found is-current" : "row is-found"} data-item
    href=${`#/search/c/${conversationId}/m/${id}`} aria-current=${current ? "true" : null}>
    <span class="row-text">
      <span class="row-top"><span class="row-name"
        dir="auto">${senderId === app.me ? "You" : app.people.name(senderId)}</span>
        <time datetime=${createdAt} title=${exactly(createdAt)}>${briefly(createdAt)}</time></span>
      <span class="row-hit" dir="auto">${from > 0 && "…"}<${Highlighted} text=${content.slice(from)}
        highlights=${highlights} /></span>
      <span class="row-where" dir="auto">${conversation ? app.conversations.name(conversation) : ""}</span>
    </span>
  </a></li>`;
}
