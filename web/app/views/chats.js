import { badge, briefly, exactly } from "../format.js";
import { Icon, IconButton, classes, html, useApp, useState } from "../ui.js";
import { Avatar, Empty, PaneHead, Person, arrowKeys } from "./parts.js";

/** The conversations, the newest activity first. */
export function Chats({ onNew }) {
  const app = useApp();
  const [filter, setFilter] = useState("");
  const all = app.conversations.sorted();
  const wanted = filter.trim().toLocaleLowerCase();
  const shown = wanted ? all.filter((one) => app.conversations.name(one).toLocaleLowerCase().includes(wanted)) : all;
  const onScroll = ({ currentTarget: list }) => {
    if (list.scrollHeight - list.scrollTop - list.clientHeight < 600) void app.conversations.loadMore();
  };
  return html`<${PaneHead} title="Chats"><${IconButton} icon="plus" label="New conversation" onClick=${onNew} /><//>
    ${
      all.length > 6 &&
      html`<div class="pane-filter"><input type="search" placeholder="Filter chats"
      aria-label="Filter chats" value=${filter} onInput=${(event) => setFilter(event.currentTarget.value)} /></div>`
    }
    ${
      app.loaded &&
      all.length === 0 &&
      html`<${Empty} icon="bubble" title="No conversations yet">
      <p>Begin a conversation with somebody, or with a few at once.</p>
      <button type="button" class="button is-primary" onClick=${onNew}>New conversation</button><//>`
    }
    ${wanted && shown.length === 0 && html`<p class="pane-note">No chat is called so.</p>`}
    ${
      !app.loaded &&
      html`<div class="skeletons" aria-hidden="true">${[1, 2, 3, 4, 5, 6].map(
        (n) => html`<span
      key=${n}></span>`,
      )}</div>`
    }
    <ul class="rows" onKeyDown=${arrowKeys} onScroll=${onScroll}>
      ${shown.map((one) => html`<${Row} key=${one.id} conversation=${one} />`)}
    </ul>`;
}

function Row({ conversation }) {
  const app = useApp();
  const { id, lastMessage, unreadCount } = conversation;
  const name = app.conversations.name(conversation);
  const partner = app.conversations.partner(conversation);
  const current = app.route.conversation === id;
  const waiting = app.outbox.of(id).at(-1);
  const at = lastMessage?.createdAt ?? conversation.createdAt;
  return html`<li>
    <a href=${`#/chats/c/${id}`} data-item
      class=${classes("row", current && "is-current", unreadCount > 0 && "is-unread")}
      aria-current=${current ? "true" : null}>
      ${partner ? html`<${Person} id=${partner} />` : html`<${Avatar} id=${id} name=${name} group />`}
      <span class="row-text">
        <span class="row-top"><span class="row-name" dir="auto">${name}</span>
        <time datetime=${at} title=${exactly(at)}>${briefly(at)}</time></span>
        <span class="row-bottom">
          <span class="row-last" dir="auto">${
            waiting
              ? html`<${Icon} name=${waiting.failed ? "warn" : "clock"}
            label=${waiting.failed ? "Not sent" : "Sending"} />${waiting.content}`
              : html`<${Last}
            conversation=${conversation} />`
          }</span>
          ${
            unreadCount > 0 &&
            html`<span class="count"><span aria-hidden="true">${badge(unreadCount)}</span>
          <span class="unseen">${unreadCount} unread</span></span>`
          }
        </span>
      </span>
    </a>
  </li>`;
}

function Last({ conversation: { id, lastMessage, kind } }) {
  const app = useApp();
  const [typing] = app.transients.typing(id);
  if (typing) return html`<em class="typing">${app.people.name(typing)} is typing…</em>`;
  if (!lastMessage) return html`<em>Nothing said yet</em>`;
  const who =
    lastMessage.senderId === app.me ? "You: " : kind === "group" ? `${app.people.name(lastMessage.senderId)}: ` : "";
  return html`<span class="row-who">${who}</span>${lastMessage.content}`;
}
