import { explain } from "../explain.js";
import { html, useApp, useState } from "../ui.js";
import { Field } from "./parts.js";

/** A form of fields that are empty again once it was sent. */
function Form({ title, action, danger = false, submit, children }) {
  const [said, setSaid] = useState({ text: "", error: false });
  const onSubmit = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    try {
      setSaid({ text: await submit(Object.fromEntries(new FormData(form))), error: false });
      form.reset();
    } catch (error) {
      setSaid({ text: explain(error), error: true });
    }
  };
  return html`<form class="part" onSubmit=${onSubmit}><h2>${title}</h2>${children}
    <p role="status" class=${said.error ? "field-error" : "hint"}>${said.text}</p>
    <button class=${danger ? "button is-danger" : "button is-primary"} type="submit">${action}</button></form>`;
}

const current = {
  label: "Your password now",
  name: "currentPassword",
  type: "password",
  autocomplete: "current-password",
  required: true,
  maxlength: 128,
};

export function Account() {
  const app = useApp();
  const password = async ({ currentPassword, newPassword }) => {
    await app.parlor.call("change_password", { body: { currentPassword, newPassword } });
    return "Your new password is set. Your other sessions have ended.";
  };
  const email = async ({ currentPassword, address }) => {
    await app.parlor.call("change_email", { body: { currentPassword, email: address } });
    return "A mail to the new address is on its way. Follow the link in it.";
  };
  const remove = async ({ sure }) => {
    if (sure !== "on") throw new Error("Say that you are sure.");
    await app.parlor.call("delete_user", {});
    await app.signOut();
    return "";
  };
  return html`<${Form} title="Password" action="Change password" submit=${password}>
      <${Field} ...${current} />
      <${Field} label="New password" name="newPassword" type="password" autocomplete="new-password" required
        minlength=${8} maxlength=${128} hint="At least 8 characters." />
    <//>
    <${Form} title="E-mail" action="Change e-mail" submit=${email}>
      <${Field} label="New e-mail" name="address" type="email" autocomplete="email" required maxlength=${254} />
      <${Field} ...${current} />
    <//>
    <${Form} title="Delete account" action="Delete my account" danger submit=${remove}>
      <p class="hint">Your sessions end. Your name and what you said stay with those you talked to.</p>
      <label class="check"><input type="checkbox" name="sure" />I am sure</label>
    <//>`;
}
