import { Icon, html, useApp, useEffect, useState } from "../ui.js";
import { AVAILABILITY, Avatar, Empty, PaneHead, Person, Standing, arrowKeys } from "./parts.js";

/** One's contacts, and whoever else is here. */
export function People() {
  const app = useApp();
  const [text, setText] = useState("");
  const [found, setFound] = useState(/** @type {string[] | undefined} */ (undefined));
  useEffect(() => {
    if (text.trim() === "") return setFound(undefined);
    let current = true;
    const timer = setTimeout(
      () =>
        app.people.search(text.trim()).then(
          (ids) => current && setFound(ids),
          (error) => app.failed(error),
        ),
      150,
    );
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [text]);
  const contacts = app.people.sorted().map(({ id }) => id);
  const shown = found ?? contacts;
  return html`<${PaneHead} title="People" />
    <div class="pane-filter"><input type="search" placeholder="Search people by name"
      aria-label="Search people by name" value=${text} onInput=${(event) => setText(event.currentTarget.value)} /></div>
    ${
      !found &&
      contacts.length === 0 &&
      html`<${Empty} icon="people" title="No contacts yet">
    <p>Search for somebody by name, and keep them at hand here.</p><//>`
    }
    ${found?.length === 0 && html`<p class="pane-note">Nobody is called so.</p>`}
    <ul class="rows" onKeyDown=${arrowKeys}>${shown.map((id) => html`<${Row} key=${id} id=${id} />`)}</ul>`;
}

function Row({ id }) {
  const app = useApp();
  const { statusText } = app.people.get(id);
  const { status } = app.transients.presence(id);
  const current = app.route.user === id;
  return html`<li><a class=${current ? "row is-current" : "row"} data-item href=${`#/people/u/${id}`}
    aria-current=${current ? "true" : null}>
    <${Person} id=${id} stranger=${!app.people.contacts.has(id)} />
    <span class="row-text"><span class="row-top"><span class="row-name" dir="auto">${app.people.name(id)}</span>
      ${app.people.contacts.has(id) && html`<${Icon} name="star" label="Contact" />`}</span>
    <span class="row-bottom"><span class="row-last"
      dir="auto">${[AVAILABILITY[status], statusText].filter(Boolean).join(" · ")}</span></span></span>
  </a></li>`;
}

/** Somebody. */
export function Profile({ id }) {
  const app = useApp();
  const [profile, setProfile] = useState(/** @type {any} */ (undefined));
  useEffect(() => {
    app.parlor.call("get_user_profile", { path: { id } }).then(
      (found) => (app.people.learn(found), setProfile(found)),
      (error) => app.failed(error),
    );
  }, [id]);
  const person = app.people.get(id);
  const contact = app.people.contacts.has(id);
  const name = person.displayName ?? "…";
  const talk = () =>
    app.attempt(async () => app.go({ pane: "chats", conversation: (await app.conversations.openWith(id)).id }));
  return html`<div class="wall"><article class="profile">
    <a class="icon-button only-narrow" href=${`#/${app.route.pane}`} aria-label="Back"><${Icon} name="back" /></a>
    <${Avatar} id=${id} name=${name} size="large" status=${app.transients.presence(id).status} />
    <h1 dir="auto">${name}</h1>
    <p class="profile-status" dir="auto"><${Standing} id=${id} /></p>
    ${profile?.bio && html`<p class="profile-bio" dir="auto">${profile.bio}</p>`}
    ${
      id !== app.me &&
      html`<div class="profile-actions">
      <button type="button" class="button is-primary" onClick=${talk}><${Icon} name="bubble" />Message</button>
      <button type="button" class="button" aria-pressed=${contact}
        onClick=${() => app.attempt(() => app.people.setContact(id, !contact))}>
        <${Icon} name="star" />${contact ? "Remove from contacts" : "Add to contacts"}</button>
    </div>`
    }
  </article></div>`;
}
