import { IconButton, Icon, html, useApp, useEffect, useState } from "../ui.js";
import { Dialog, Field, Person } from "./parts.js";
import { Picker, useChoice } from "./picker.js";

const LEVELS = [
  ["", "As I want it for all"],
  ["all", "Every message"],
  ["mentions", "When I am mentioned"],
  ["none", "Nothing"],
];

/** Who is in a conversation, what it is called, and what one is told of it. */
export function Details({ conversation, timeline, onClose }) {
  const app = useApp();
  const [adding, setAdding] = useState(false);
  const { id, kind } = conversation;
  useEffect(() => void timeline.loadParticipants(), []);
  const participants = [...timeline.participants.values()];
  const admin = timeline.participants.get(app.me ?? "")?.role === "admin";
  const group = kind === "group";
  return html`<${Dialog} title=${group ? "Group" : "Conversation"} kind="drawer" onClose=${onClose}>
    ${group && html`<${Title} conversation=${conversation} may=${admin} />`}
    <section class="part">
      <h3>${conversation.participantCount} ${conversation.participantCount === 1 ? "person" : "people"}</h3>
      <ul class="plain">${participants.map(
        (one) => html`<${Member} key=${one.userId} member=${one} id=${id}
        timeline=${timeline} may=${admin && group} onClose=${onClose} />`,
      )}</ul>
      ${
        group &&
        admin &&
        !adding &&
        html`<button type="button" class="button" onClick=${() => setAdding(true)}>
      <${Icon} name="plus" />Add people</button>`
      }
      ${adding && html`<${Add} id=${id} timeline=${timeline} onDone=${() => setAdding(false)} />`}
    </section>
    <section class="part">
      <${Field} label="Notify me of">
        ${(control) => html`<select ...${control} value=${app.notices.levelOf(id) ?? ""}
          onChange=${(event) => app.attempt(() => app.notices.setLevel(id, event.currentTarget.value || undefined))}>
          ${LEVELS.map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}</select>`}
      <//>
      ${group && html`<p class="hint">${conversation.history === "all" ? "Whoever joins sees everything said before." : "Whoever joins sees what is said from then on."}</p>`}
    </section>
    ${group && html`<${Leave} id=${id} onClose=${onClose} />`}
  <//>`;
}

function Title({ conversation, may }) {
  const app = useApp();
  const [title, setTitle] = useState(conversation.title ?? "");
  const changed = title.trim() !== (conversation.title ?? "");
  const save = (event) => {
    event.preventDefault();
    void app.attempt(async () => {
      const renamed = await app.parlor.call("rename_conversation", {
        path: { id: conversation.id },
        body: { title: title.trim() || null },
      });
      app.conversations.update(conversation.id, { title: renamed.title });
    });
  };
  return html`<form class="part" onSubmit=${save}>
    <${Field} label="Called" value=${title} maxlength=${200} readonly=${!may} dir="auto"
      onInput=${(event) => setTitle(event.currentTarget.value)} />
    ${may && changed && html`<button class="button is-primary" type="submit">Rename</button>`}
  </form>`;
}

function Member({ member, id, timeline, may, onClose }) {
  const app = useApp();
  const { userId, role } = member;
  const me = userId === app.me;
  const path = { id, userId };
  const change = (work) =>
    app.attempt(async () => {
      await work();
      await timeline.loadParticipants();
      await app.conversations.refresh(id);
    });
  return html`<li class="member">
    <${Person} id=${userId} size="small" />
    <a class="member-name" dir="auto" href=${`#/chats/u/${userId}`}
      onClick=${onClose}>${me ? "You" : app.people.name(userId)}</a>
    ${role === "admin" && html`<span class="tag">Admin</span>`}
    ${
      may &&
      !me &&
      html`
      <button type="button" class="button is-small"
        onClick=${() => change(() => app.parlor.call("add_participant", { path, body: { role: role === "admin" ? "member" : "admin" } }))}>${role === "admin" ? "Make member" : "Make admin"}</button>
      <${IconButton} icon="close" label=${`Remove ${app.people.name(userId)}`}
        onClick=${() => change(() => app.parlor.call("remove_participant", { path }))} />`
    }
  </li>`;
}

function Add({ id, timeline, onDone }) {
  const app = useApp();
  const [chosen, toggle] = useChoice();
  const add = () =>
    app.attempt(async () => {
      for (const userId of chosen) await app.parlor.call("add_participant", { path: { id, userId }, body: {} });
      await timeline.loadParticipants();
      await app.conversations.refresh(id);
      onDone();
    });
  return html`<div class="stack">
    <${Picker} label="Search people" chosen=${chosen} onToggle=${toggle}
      without=${new Set(timeline.participants.keys())} />
    <button type="button" class="button is-primary" aria-disabled=${chosen.size === 0}
      onClick=${add}>Add ${chosen.size || ""}</button>
  </div>`;
}

function Leave({ id, onClose }) {
  const app = useApp();
  const [sure, setSure] = useState(false);
  const leave = async () => {
    const left = await app.attempt(() => app.parlor.call("remove_participant", { path: { id, userId: app.me ?? "" } }));
    if (!left) return;
    onClose();
    app.conversations.left(id);
    app.go({ pane: "chats" });
  };
  return html`<section class="part">
    ${
      sure
        ? html`<p>You won’t see this group any more, nor what was said in it.</p>
          <button type="button" class="button is-danger" onClick=${leave}>Leave group</button>
          <button type="button" class="button" onClick=${() => setSure(false)}>Stay</button>`
        : html`<button type="button" class="button" onClick=${() => setSure(true)}>
        <${Icon} name="leave" />Leave group…</button>`
    }
  </section>`;
}
