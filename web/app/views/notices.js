import { briefly, exactly } from "../format.js";
import { Icon, IconButton, classes, html, useApp } from "../ui.js";
import { Empty, PaneHead, arrowKeys } from "./parts.js";

const ICONS = { message: "bubble", mention: "bubble", "added-to-group": "people", "new-sign-in": "info" };

/** What one was told of. */
export function Notices() {
  const app = useApp();
  const { items, unread } = app.notices;
  const onScroll = ({ currentTarget: list }) => {
    if (list.scrollHeight - list.scrollTop - list.clientHeight < 600) void app.notices.loadMore();
  };
  return html`<${PaneHead} title="Notifications">
      ${
        unread > 0 &&
        html`<${IconButton} icon="checks" label="Mark all as read"
        onClick=${() => app.attempt(() => app.notices.readAll())} />`
      }
      <a class="icon-button" href="#/settings/notifications" aria-label="What to be notified of"
        title="What to be notified of"><${Icon} name="settings" /></a>
    <//>
    ${
      app.notices.loaded &&
      items.length === 0 &&
      html`<${Empty} icon="bell" title="All quiet">
    <p>What you want to be told of appears here.</p><//>`
    }
    <ul class="rows" onKeyDown=${arrowKeys} onScroll=${onScroll}>${items.map(
      (one) => html`<${Row} key=${one.id}
      notice=${one} />`,
    )}</ul>`;
}

function Row({ notice }) {
  const app = useApp();
  const { kind, title, body, createdAt, read, conversationId, messageId } = notice;
  const open = () => {
    void app.attempt(() => app.notices.read(notice));
    if (conversationId)
      app.go({ pane: "notices", conversation: conversationId, ...(messageId ? { message: messageId } : {}) });
    else if (kind === "new-sign-in") app.go({ pane: "settings", section: "sessions" });
  };
  return html`<li><button type="button" data-item
    class=${classes("row", !read && "is-unread", conversationId && app.route.message === messageId && "is-current")}
    onClick=${open}>
    <span class="notice-mark"><${Icon} name=${ICONS[kind] ?? "bell"} /></span>
    <span class="row-text">
      <span class="row-top"><span class="row-name" dir="auto">${title}</span>
      <time datetime=${createdAt} title=${exactly(createdAt)}>${briefly(createdAt)}</time></span>
      <span class="row-hit" dir="auto">${body}</span>
    </span>
    ${!read && html`<span class="dot"><span class="unseen">Unread</span></span>`}
  </button></li>`;
}
