// A conversation: who is in it, what is said, and where to say something.

import { explain } from "../explain.js";
import { list } from "../format.js";
import { Icon, IconButton, html, useApp, useEffect, useState } from "../ui.js";
import { Composer } from "./composer.js";
import { Details } from "./details.js";
import { Messages } from "./messages.js";
import { Avatar, Empty, Person, Standing } from "./parts.js";
import { searchIn } from "./search.js";

export function Conversation({ id }) {
  const app = useApp();
  const timeline = app.timeline(id);
  const conversation = app.conversations.get(id);
  const [details, setDetails] = useState(false);
  const [about, setAbout] = useState(/** @type {{ kind: "reply" | "edit", message: any } | null} */ (null));
  const { message } = app.route;

  useEffect(() => {
    if (app.loaded && !conversation) app.conversations.refresh(id).catch((error) => app.failed(error));
  }, [id, app.loaded]);
  useEffect(() => {
    if (!app.loaded) return;
    if (message) void timeline.show(message);
    else void timeline.open();
  }, [timeline, app.loaded, message]);

  if (!conversation) {
    return (
      app.loaded &&
      html`<div class="wall"><${Empty} icon="bubble" title="Nothing to see here">
      <p>There is no such conversation, or you aren’t in it.</p><//></div>`
    );
  }
  const name = app.conversations.name(conversation);
  const partner = app.conversations.partner(conversation);
  return html`<section class="conversation" aria-label=${name}>
    <header class="conversation-head">
      <a class="icon-button only-narrow" href=${`#/${app.route.pane}`} aria-label="Back" title="Back">
      <${Icon} name="back" /></a>
      ${partner ? html`<${Person} id=${partner} />` : html`<${Avatar} id=${id} name=${name} group />`}
      <div class="conversation-title">
        <h1 dir="auto">${name}</h1>
        <p dir="auto"><${Subtitle} conversation=${conversation} partner=${partner} /></p>
      </div>
      <a class="icon-button" href="#/search" aria-label="Search in this conversation"
        title="Search in this conversation" onClick=${() => searchIn(id, app.me)}><${Icon} name="search" /></a>
      <${IconButton} icon="info" label="Details" onClick=${() => setDetails(true)} aria-haspopup="dialog" />
    </header>
    ${
      timeline.error && !timeline.loaded
        ? html`<div class="wall"><${Empty} icon="warn" title="The messages didn’t come">
        <p>${explain(timeline.error)}</p>
          <button type="button" class="button" onClick=${() => timeline.open()}>Try again</button><//></div>`
        : html`<${Messages} timeline=${timeline} conversation=${conversation}
          onReply=${(one) => setAbout({ kind: "reply", message: one })}
          onEdit=${(one) => setAbout({ kind: "edit", message: one })} />`
    }
    <${Typing} id=${id} />
    <${Composer} timeline=${timeline} about=${about} onAbout=${setAbout} name=${name} />
    ${
      details &&
      html`<${Details} conversation=${conversation} timeline=${timeline} onClose=${() => setDetails(false)}
      />`
    }
  </section>`;
}

function Subtitle({ conversation, partner }) {
  if (partner) return html`<${Standing} id=${partner} />`;
  const { participantCount } = conversation;
  return `${participantCount} ${participantCount === 1 ? "person" : "people"}`;
}

function Typing({ id }) {
  const app = useApp();
  const typing = app.transients.typing(id).map((user) => app.people.name(user));
  return html`<p class="typing-line"
    aria-live="polite">${typing.length > 0 && `${list(typing)} ${typing.length === 1 ? "is" : "are"} typing…`}</p>`;
}
