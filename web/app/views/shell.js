import { badge } from "../format.js";
import { Icon, classes, html, useApp, useEffect, useState } from "../ui.js";
import { Chats } from "./chats.js";
import { Conversation } from "./conversation.js";
import { NewConversation } from "./new-conversation.js";
import { Notices } from "./notices.js";
import { Empty, Mark, Person } from "./parts.js";
import { People, Profile } from "./people.js";
import { Search } from "./search.js";
import { Section, Settings } from "./settings.js";

const PLACES = [
  { pane: "chats", icon: "chats", label: "Chats", view: Chats },
  { pane: "people", icon: "people", label: "People", view: People },
  { pane: "search", icon: "search", label: "Search", view: Search },
  { pane: "notices", icon: "bell", label: "Notifications", view: Notices },
];

/** The frame: where to go on the side, a list, and what is open of it. */
export function Shell() {
  const app = useApp();
  const { route } = app;
  const [creating, setCreating] = useState(false);
  const open = route.conversation ?? route.user ?? route.section;
  const view = PLACES.find((place) => place.pane === route.pane)?.view ?? Settings;

  useEffect(() => {
    const onKey = (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        app.go({ pane: "search" });
      } else if (event.key === "Escape" && !event.defaultPrevented && open) {
        app.go({ pane: app.route.pane });
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [open]);

  return html`<div class=${classes("shell", open && "has-open")}>
    <a class="skip" href="#main"
      onClick=${(event) => (event.preventDefault(), document.getElementById("main")?.focus())}>Skip to the conversation</a>
    <${Rail} />
    <main class="rooms">
    <section class="pane" aria-label=${PLACES.find((place) => place.pane === route.pane)?.label ?? "Settings"}>
      <${Connection} />
      <${view} onNew=${() => setCreating(true)} />
    </section>
    <div class="main" id="main" tabindex="-1"><${Open} onNew=${() => setCreating(true)} /></div>
    </main>
    ${creating && html`<${NewConversation} onClose=${() => setCreating(false)} />`}
  </div>`;
}

function Rail() {
  const app = useApp();
  const counts = { chats: app.conversations.unread, notices: app.notices.unread };
  const current = (pane) => (app.route.pane === pane ? "page" : null);
  return html`<nav class="rail" aria-label="Places">
    <${Mark} />
    ${PLACES.map(({ pane, icon, label }) => {
      const count = counts[pane] ?? 0;
      return html`<a key=${pane} href=${`#/${pane}`} aria-current=${current(pane)} class="rail-item">
        <${Icon} name=${icon} /><span class="rail-label">${label}</span>
        ${
          count > 0 &&
          html`<span class="rail-count"><span aria-hidden="true">${badge(count)}</span>
        <span class="unseen">${count} unread</span></span>`
        }
      </a>`;
    })}
    <a href="#/settings" aria-current=${current("settings")} class="rail-item is-me">
    <${Person} id=${app.me} size="small" /><span class="rail-label">You</span></a>
  </nav>`;
}

/** Said only while something is amiss. */
function Connection() {
  const { connection } = useApp();
  const [late, setLate] = useState(false);
  const amiss = connection !== "live";
  useEffect(() => {
    if (!amiss) return setLate(false);
    // A connection that is back at once is nobody's business.
    const timer = setTimeout(() => setLate(true), 1_200);
    return () => clearTimeout(timer);
  }, [amiss]);
  return html`<div role="status" class="connection-place">
    ${
      amiss &&
      late &&
      html`<p class="connection"><${Icon} name="offline"
      />Not connected. What you write is kept, and sent once you are.</p>`
    }
  </div>`;
}

function Open({ onNew }) {
  const app = useApp();
  const { conversation, user, section, pane } = app.route;
  if (conversation) return html`<${Conversation} key=${conversation} id=${conversation} />`;
  if (user) return html`<${Profile} key=${user} id=${user} />`;
  if (pane === "settings") return html`<${Section} name=${section ?? "profile"} />`;
  return html`<div class="wall"><${Empty} icon="bubble" title="Pull up a chair">
    <p>Choose a conversation, or begin a new one.</p>
    <button type="button" class="button is-primary" onClick=${onNew}><${Icon} name="plus" />New conversation</button>
  <//></div>`;
}
