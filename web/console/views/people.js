// Users, their accounts and their sessions.

/** @import { ListedUser, Page_ListedUser, UserAuthInfo } from "../../../clients/typescript/src/api.js" */
import { explain } from "../../app/explain.js";
import { Avatar, Dialog, Empty, Field } from "../../app/views/parts.js";
import { classes, html, useEffect, useState } from "../../app/ui.js";
import { when } from "../figures.js";
import { useDesk } from "../use.js";
import { Head, State, Trouble } from "./frame.js";

const STATES = { active: "live", disabled: "stuck", deleted: "off" };

export function People() {
  const desk = useDesk();
  const { person } = desk.place;
  const [search, setSearch] = useState("");
  const [found, setFound] = useState(/** @type {Page_ListedUser | undefined} */ (undefined));
  const [error, setError] = useState("");

  const read = async (/** @type {string | undefined} */ cursor, /** @type {AbortSignal | undefined} */ signal) => {
    const query = { ...(search.trim() ? { search: search.trim() } : {}), ...(cursor ? { cursor } : {}) };
    try {
      const page = await desk.parlor.call("admin_users", { query, ...(signal ? { signal } : {}) });
      setFound((before) => (cursor && before ? { ...page, items: [...before.items, ...page.items] } : page));
      setError("");
    } catch (problem) {
      if (!signal?.aborted) setError(explain(problem));
    }
  };
  useEffect(() => {
    const asking = new AbortController();
    const timer = setTimeout(() => void read(undefined, asking.signal), search ? 200 : 0);
    return () => (clearTimeout(timer), asking.abort());
  }, [search]);

  return html`<${Head} title="People" note="Everybody with an account, the newest first." />
    <div class=${classes("people", person && "has-person")}>
      <section class="card is-list people-list" aria-label="Users">
        <${Field} label="Find by name or e-mail" type="search" value=${search} onInput=${(event) => setSearch(event.currentTarget.value)} />
        ${error && html`<${Trouble} text=${error} />`}
        ${found?.items.length === 0 && html`<${Empty} icon="people" title="Nobody is called so"><p>Names are found by any part, addresses as a whole.</p><//>`}
        <ul>${found?.items.map(
          (user) =>
            html`<li key=${user.id}><a class=${classes("person", user.id === person && "is-current")} href=${`#/people/${user.id}`} aria-current=${user.id === person ? "true" : null}>
              <${Avatar} id=${user.id} name=${user.displayName} />
              <span class="person-name"><b dir="auto">${user.displayName}</b><span class="soft" dir="auto">${user.email ?? user.externalId ?? ""}</span></span>
              ${user.state !== "active" && html`<${State} state=${STATES[user.state]}>${user.state}<//>`}</a></li>`,
        )}</ul>
        ${found?.nextCursor && html`<button type="button" class="button more" onClick=${() => read(found.nextCursor ?? undefined, undefined)}>More</button>`}
      </section>
      ${
        person
          ? html`<${Account} key=${person} id=${person} listed=${found?.items.find(({ id }) => id === person)} onChange=${() => read(undefined, undefined)} />`
          : html`<section class="card people-nobody"><${Empty} icon="people" title="Whom is it about?"><p>Choose somebody to see their account and sessions.</p><//></section>`
      }
    </div>`;
}

/** @param {{ id: string, listed: ListedUser | undefined, onChange: () => Promise<void> }} props */
function Account({ id, listed, onChange }) {
  const desk = useDesk();
  const [account, setAccount] = useState(/** @type {UserAuthInfo | undefined} */ (undefined));
  const [card, setCard] = useState(/** @type {{ displayName: string, state: string } | undefined} */ (listed));
  const [error, setError] = useState("");
  const [asking, setAsking] = useState(false);
  const read = async () => {
    const [user, known] = await Promise.allSettled([
      desk.parlor.call("get_user_by_id", { path: { id } }),
      desk.parlor.call("admin_account", { path: { id } }),
    ]);
    if (user.status === "fulfilled") setCard(user.value);
    if (known.status === "fulfilled") setAccount(known.value);
    setError(known.status === "rejected" ? explain(known.reason) : "");
  };
  useEffect(() => void read(), [id]);

  const end = async (/** @type {string} */ session) => {
    const ended = () => desk.parlor.call("admin_end_session", { path: { id, session } });
    if (await desk.attempt(ended)) desk.toast("The session has ended.");
    await read();
  };
  const disabled = card?.state === "disabled";
  const turn = async () => {
    setAsking(false);
    const done = () => desk.parlor.call(disabled ? "enable_user" : "disable_user", { path: { id } });
    if (await desk.attempt(done))
      desk.toast(disabled ? "They may sign in again." : "They are shut out, and their sessions end.");
    await Promise.all([read(), onChange()]);
  };
  const name = card?.displayName ?? "…";
  const me = id === desk.me;
  return html`<section class="card person-account" aria-label=${name}>
    <a class="link only-narrow-link" href="#/people">All people</a>
    <header class="person-head"><${Avatar} id=${id} name=${name} size="large" />
      <div><h2 dir="auto">${name}</h2><p class="soft" dir="auto">${account?.email ?? ""}</p>
      <p>${card && html`<${State} state=${STATES[card.state] ?? "off"}>${card.state}<//>`} ${account?.roles.map((role) => html`<span key=${role} class="tag">${role}</span>`)}</p></div></header>
    ${error && html`<${Trouble} text=${error} />`}
    <dl class="facts"><dt>User</dt><dd>${id}</dd>
      ${account && html`<dt>Since</dt><dd>${when(account.createdAt)}</dd>`}
      ${account?.passwordChangedAt && html`<dt>Password set</dt><dd>${when(account.passwordChangedAt)}</dd>`}
      ${account?.email && html`<dt>Address</dt><dd>${account.emailVerified ? "confirmed" : "not confirmed"}</dd>`}</dl>
    <h3>Sessions</h3>
    ${account?.sessions.length === 0 && html`<p class="soft">Nobody is signed in.</p>`}
    <ul class="sessions">${account?.sessions.map(
      (session) =>
        html`<li key=${session.id} class="session"><div><b dir="auto">${session.device ?? "An unnamed device"}</b>${session.current && html` <span class="tag">this one</span>`}
          <p class="soft">${session.address ?? "unknown address"}, last used ${when(session.lastUsedAt)}</p></div>
          <button type="button" class="button is-small" onClick=${() => end(session.id)} aria-label=${`End the session of ${session.device ?? "an unnamed device"}`}>End</button></li>`,
    )}</ul>
    ${
      card &&
      card.state !== "deleted" &&
      !me &&
      html`<div><button type="button" class=${classes("button", !disabled && "is-danger")} onClick=${() => (disabled ? turn() : setAsking(true))}>${disabled ? "Let in again" : "Shut out"}</button></div>`
    }
    ${
      asking &&
      html`<${Dialog} title="Shut them out?" onClose=${() => setAsking(false)}>
        <p><b dir="auto">${name}</b> is signed out everywhere and can't sign in until let in again. What they wrote stays.</p>
        <div class="form-links"><button type="button" class="button is-danger" onClick=${turn}>Shut out</button>
        <button type="button" class="button" onClick=${() => setAsking(false)}>Leave it</button></div><//>`
    }
  </section>`;
}
