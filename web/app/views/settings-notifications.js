import { html, useApp, useState } from "../ui.js";
import { Field } from "./parts.js";

const KINDS = [
  ["direct", "Messages to me alone"],
  ["group", "Messages in groups"],
  ["addedToGroup", "Being added to a group"],
  ["newSignIn", "A sign-in on a new device"],
];
const LEVELS = [
  ["all", "All"],
  ["mentions", "Mentions"],
  ["none", "None"],
];
/** Kinds that name one, or don't: nothing lies between all and none. */
const ALL_OR_NONE = new Set(["addedToGroup", "newSignIn"]);

/** A time as a field for times takes it, in the zone of who looks. @param {string | null | undefined} at */
function local(at) {
  if (!at || Date.parse(at) < Date.now()) return "";
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** What is said beside the switch of this browser. */
const ON_THIS_DEVICE = {
  on: "You are told here, too, when no page of Parlor is open.",
  off: "Be told here, too, when no page of Parlor is open. Your browser asks first.",
  denied: "This browser has been told to show no notifications of this page. Allow them in its settings first.",
  impossible: "This browser can't be sent notifications, or the page didn't come over https.",
};

export function Notifications() {
  const { notices } = useApp();
  return html`<${ThisDevice} />${notices.preferences && html`<${Filled} preferences=${notices.preferences} />`}`;
}

function ThisDevice() {
  const app = useApp();
  const [busy, setBusy] = useState(false);
  const { state } = app.push;
  const turn = async () => {
    setBusy(true);
    await app.attempt(() => (state === "on" ? app.push.turnOff() : app.push.turnOn()));
    setBusy(false);
  };
  return html`<section class="part" aria-label="On this device">
    <label class="check"><input type="checkbox" role="switch" checked=${state === "on"}
      disabled=${busy || state === "denied" || state === "impossible"} aria-describedby="on-this-device"
      onChange=${turn} />Notify me on this device</label>
    <p class="hint" id="on-this-device">${ON_THIS_DEVICE[state]}</p>
  </section>`;
}

function Filled({ preferences }) {
  const app = useApp();
  const [kinds, setKinds] = useState(preferences.kinds ?? {});
  const [mute, setMute] = useState(local(preferences.muteUntil));
  const [quiet, setQuiet] = useState(Boolean(preferences.quietHours));
  const [hours, setHours] = useState(
    preferences.quietHours ?? {
      from: "22:00",
      to: "07:00",
      timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    },
  );
  const save = async (event) => {
    event.preventDefault();
    const wanted = {
      ...preferences,
      kinds,
      muteUntil: mute ? new Date(mute).toISOString() : null,
      quietHours: quiet ? hours : null,
    };
    if (await app.attempt(() => app.notices.savePreferences(wanted))) app.toast("Your preferences are saved.");
  };
  return html`<form class="part" onSubmit=${save}>
    ${KINDS.map(
      ([kind, label]) => html`<fieldset key=${kind} class="choices is-row"><legend>${label}</legend>
      ${LEVELS.filter(([level]) => level !== "mentions" || !ALL_OR_NONE.has(kind)).map(
        ([level, word]) => html`<label
        key=${level} class="check"><input type="radio" name=${kind} checked=${(kinds[kind] ?? "all") === level}
          onChange=${() => setKinds({ ...kinds, [kind]: level })} />${word}</label>`,
      )}
    </fieldset>`,
    )}
    <${Field} label="Mute everything until" type="datetime-local" value=${mute}
      onInput=${(event) => setMute(event.currentTarget.value)} />
    <label class="check"><input type="checkbox" checked=${quiet} onChange=${() => setQuiet(!quiet)}
      />Quiet hours, every day</label>
    ${
      quiet &&
      html`<div class="pair">
      <${Field} label="From" type="time" required value=${hours.from}
        onInput=${(event) => setHours({ ...hours, from: event.currentTarget.value })} />
      <${Field} label="To" type="time" required value=${hours.to}
        onInput=${(event) => setHours({ ...hours, to: event.currentTarget.value })} />
    </div><p class="hint">By the clock of ${hours.timeZone}.</p>`
    }
    <button class="button is-primary" type="submit">Save preferences</button>
  </form>`;
}
