import { html, useApp, useState } from "../ui.js";
import { AVAILABILITY, Field } from "./parts.js";

export function OwnProfile() {
  const { people } = useApp();
  // The fields are filled in once there is something to fill in.
  return people.self ? html`<${Status} self=${people.self} /><${Words} self=${people.self} />` : null;
}

function Status({ self }) {
  const app = useApp();
  const [status, setStatus] = useState(self.status);
  const [text, setText] = useState(self.statusText ?? "");
  const save = async (event) => {
    event.preventDefault();
    if (await app.attempt(() => app.people.setStatus(status, text.trim()))) app.toast("Your status is set.");
  };
  return html`<form class="part" onSubmit=${save}><h2>Status</h2>
    <fieldset class="choices is-row"><legend class="unseen">Availability</legend>
      ${Object.entries(AVAILABILITY).map(
        ([value, label]) => html`<label key=${value} class="check">
      <input type="radio" name="status" value=${value} checked=${status === value} onChange=${() => setStatus(value)}
        /><span class=${`presence is-${value}`}></span>${label}</label>`,
      )}
    </fieldset>
    <${Field} label="In your own words" value=${text} maxlength=${140} dir="auto"
      placeholder="In a meeting until four" onInput=${(event) => setText(event.currentTarget.value)} />
    <button class="button is-primary" type="submit">Set status</button>
  </form>`;
}

function Words({ self }) {
  const app = useApp();
  const [name, setName] = useState(self.displayName);
  const [bio, setBio] = useState(self.bio ?? "");
  const save = async (event) => {
    event.preventDefault();
    const changes = { displayName: name.trim(), bio: bio.trim() || null };
    if (await app.attempt(() => app.people.updateProfile(changes))) app.toast("Your profile is saved.");
  };
  return html`<form class="part" onSubmit=${save}><h2>Profile</h2>
    <${Field} label="Name" value=${name} required maxlength=${100} dir="auto"
      onInput=${(event) => setName(event.currentTarget.value)} />
    <${Field} label="About you" rows="3" value=${bio} maxlength=${500} dir="auto"
      onInput=${(event) => setBio(event.currentTarget.value)} />
    <button class="button is-primary" type="submit">Save profile</button>
  </form>`;
}
