import { Icon, html, useApp } from "../ui.js";
import { PaneHead, Person, arrowKeys } from "./parts.js";
import { Account } from "./settings-account.js";
import { Look } from "./settings-look.js";
import { Notifications } from "./settings-notifications.js";
import { OwnProfile } from "./settings-profile.js";
import { Sessions } from "./settings-sessions.js";

const SECTIONS = {
  profile: { label: "Profile and status", view: OwnProfile },
  notifications: { label: "Notifications", view: Notifications },
  look: { label: "Appearance", view: Look },
  sessions: { label: "Where you are signed in", view: Sessions },
  account: { label: "E-mail and password", view: Account },
};

/** Oneself, and how one wants things. */
export function Settings() {
  const app = useApp();
  const name = app.people.self?.displayName ?? "You";
  return html`<${PaneHead} title="You" />
    <div class="self"><${Person} id=${app.me} /><div><strong dir="auto">${name}</strong>
    <span dir="auto">${app.people.self?.email}</span></div></div>
    <ul class="rows is-sections" onKeyDown=${arrowKeys}>
      ${Object.entries(SECTIONS).map(([id, { label }]) => {
        const current = (app.route.section ?? "profile") === id;
        return html`<li key=${id}><a class=${current ? "row is-current" : "row"} data-item href=${`#/settings/${id}`}
          aria-current=${current ? "true" : null}><span class="row-name">${label}</span></a></li>`;
      })}
      <li><button type="button" class="row" data-item onClick=${() => app.signOut()}>
      <span class="row-name">Sign out</span><${Icon} name="leave" /></button></li>
    </ul>`;
}

/** @param {{ name: string }} props */
export function Section({ name }) {
  const { label, view } = SECTIONS[/** @type {keyof typeof SECTIONS} */ (name)] ?? SECTIONS.profile;
  return html`<div class="settings"><header class="conversation-head">
  <a class="icon-button only-narrow" href="#/settings" aria-label="Back"><${Icon} name="back" /></a><h1>${label}</h1>
  </header>
    <div class="settings-body"><${view} /></div></div>`;
}
