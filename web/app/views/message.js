import { clock, day, exactly, list } from "../format.js";
import { Icon, IconButton, classes, html, useApp, useState } from "../ui.js";
import { Person, Text } from "./parts.js";

/** A message with what stands over it: the day, where the unread ones begin. */
export function MessageRow({
  message,
  pending,
  day: newDay,
  unread,
  first,
  last,
  timeline,
  conversation,
  nth,
  of,
  focusable,
  marked,
  seen,
  read,
  onFocus,
  onReply,
  onEdit,
}) {
  const app = useApp();
  const mine = message.senderId === app.me;
  const at = message.createdAt ?? message.deletedAt;
  const name = mine ? "You" : app.people.name(message.senderId);
  const group = conversation.kind === "group";
  return html`<div data-key=${message.id} class="message-row" role="none">
    ${newDay && html`<p class="day"><span>${day(at)}</span></p>`}
    ${unread && html`<p class="unread-line"><span>New</span></p>`}
    <article class=${classes("message", mine && "is-mine", first && "is-first", last && "is-last", pending && !message.failed && "is-pending", marked && "is-marked")}
      tabindex=${focusable ? 0 : -1} aria-posinset=${nth} aria-setsize=${of} aria-label=${`${name}, ${clock(at)}`}
      onFocus=${onFocus}>
      ${
        !mine &&
        group &&
        html`<div class="message-face">${
          last &&
          html`<${Person} id=${message.senderId} size="small"
        />`
        }</div>`
      }
      <div class="message-body">
        ${
          first &&
          !mine &&
          group &&
          html`<a class="message-name" dir="auto"
          href=${`#/${app.route.pane}/u/${message.senderId}`} tabindex=${focusable ? 0 : -1}>${name}</a>`
        }
        <div class="bubble">
          ${message.replyTo && html`<${Quote} timeline=${timeline} id=${message.replyTo} focusable=${focusable} />`}
          ${
            message.deletedAt
              ? html`<p class="content is-deleted">This message was deleted</p>`
              : html`<p
            class="content" dir="auto"><${Text} text=${message.content} /></p>`
          }
          <p class="message-meta">
            ${message.editedAt && html`<span title=${exactly(message.editedAt)}>edited</span>`}
            <time datetime=${at} title=${exactly(at)}>${clock(at)}</time>
            ${mine && !message.deletedAt && html`<${State} message=${message} pending=${pending} read=${read} />`}
          </p>
        </div>
        ${
          message.failed &&
          html`<p class="failed" role="alert"><${Icon} name="warn" />Not sent. ${message.failed}
          <button type="button" class="link" onClick=${() => app.outbox.retry(message.id)}>Try again</button>
          <button type="button" class="link" onClick=${() => app.outbox.remove(message.id)}>Discard</button></p>`
        }
        ${seen && html`<p class="seen">${group ? `Read by ${list(seen.slice(0, 3).map(({ userId }) => app.people.name(userId)))}${seen.length > 3 ? ` and ${seen.length - 3} more` : ""}` : "Read"}</p>`}
      </div>
      ${
        !pending &&
        !message.deletedAt &&
        html`<${Actions} message=${message} mine=${mine} timeline=${timeline}
        focusable=${focusable} onReply=${onReply} onEdit=${onEdit} />`
      }
    </article>
  </div>`;
}

function State({ message, pending, read }) {
  const { connection } = useApp();
  if (message.failed) return html`<${Icon} name="warn" label="Not sent" />`;
  if (pending)
    return html`<span class="state"><${Icon} name="clock"
      label=${connection === "live" ? "Sending" : "Waiting for the network"} /></span>`;
  return html`<span class="state"><${Icon} name=${read ? "checks" : "check"} label=${read ? "Read" : "Sent"} /></span>`;
}

function Quote({ timeline, id, focusable }) {
  const app = useApp();
  const quoted = timeline.quoted(id);
  const name = quoted ? (quoted.senderId === app.me ? "You" : app.people.name(quoted.senderId)) : "";
  const said = quoted
    ? quoted.deletedAt
      ? "This message was deleted"
      : quoted.content
    : quoted === null
      ? "An earlier message"
      : "…";
  return html`<button type="button" class="quote" tabindex=${focusable ? 0 : -1} onClick=${() => timeline.show(id)}>
    <span class="quote-name" dir="auto"><span class="unseen">In reply to</span> ${name}</span>
    <span class="quote-text" dir="auto">${said}</span></button>`;
}

function Actions({ message, mine, timeline, focusable, onReply, onEdit }) {
  const app = useApp();
  const [sure, setSure] = useState(false);
  const may = mine || timeline.participants.get(app.me ?? "")?.role === "admin";
  const path = { id: timeline.id, messageId: message.id };
  const remove = () =>
    app.attempt(async () => {
      await app.parlor.call("delete_message", { path });
      app.hear({
        id: message.id,
        conversationId: timeline.id,
        position: message.position,
        senderId: message.senderId,
        deletedAt: new Date().toISOString(),
        createdAt: message.createdAt,
      });
    });
  const copy = () =>
    app.attempt(async () => {
      await navigator.clipboard.writeText(message.content);
      app.toast("Copied.");
    });
  const tab = { tabindex: focusable ? 0 : -1 };
  return html`<div class="actions" role="group" aria-label="Actions">
    ${
      sure
        ? html`<button type="button" class="button is-small is-danger" ...${tab}
          onClick=${remove}>Delete for everyone</button>
          <button type="button" class="button is-small" ...${tab} onClick=${() => setSure(false)}>Keep</button>`
        : html`<${IconButton} icon="reply" label="Reply" ...${tab} onClick=${() => onReply(message)} />
          <${IconButton} icon="copy" label="Copy" ...${tab} onClick=${copy} />
          ${mine && html`<${IconButton} icon="edit" label="Edit" ...${tab} onClick=${() => onEdit(message)} />`}
          ${may && html`<${IconButton} icon="trash" label="Delete" ...${tab} onClick=${() => setSure(true)} />`}`
    }
  </div>`;
}
