// Before one is signed in: register, sign in, choose a new password, confirm an address.

import { html, useApp, useState } from "../ui.js";
import { Form } from "./form.js";
import { Field, Mark } from "./parts.js";

/** A link in a mail: what it is for, and its token, which no server gets to see in an address. */
function fromMail() {
  const token = /[#&]token=([^&]+)/.exec(location.hash)?.[1];
  if (!token) return undefined;
  const purpose = { "/reset-password": "reset", "/verify-email": "verify" }[location.pathname];
  return purpose && { purpose, token };
}

/** Away from a link of a mail, whose token is good once. */
const leaveMail = () => history.replaceState(null, "", "/");

export function Welcome() {
  const [mail] = useState(fromMail);
  const [view, setView] = useState(mail?.purpose ?? "sign-in");
  const [note, setNote] = useState("");
  const go = (to, text = "") => {
    if (mail) leaveMail();
    setNote(text);
    setView(to);
  };
  const views = { "sign-in": SignIn, register: Register, forgotten: Forgotten, reset: Reset, verify: Verify };
  return html`<main class="welcome">
    <section class="welcome-wall" aria-hidden="true"><div><${Mark} /><p>A room<br />of your own<br />to talk in.</p>
    </div></section>
    <section class="welcome-form">
      <div class="welcome-card">
        <p class="wordmark"><${Mark} />Parlor</p>
        ${note && html`<p class="note" role="status">${note}</p>`}
        <${views[view]} go=${go} token=${mail?.token} />
      </div>
      <footer><a href="/docs">API guide</a><a href="/docs/api/">Routes</a><a href="/health/ready">Health</a></footer>
    </section>
  </main>`;
}

const email = {
  label: "E-mail",
  name: "email",
  type: "email",
  autocomplete: "username",
  required: true,
  maxlength: 254,
};
const chosen = {
  type: "password",
  autocomplete: "new-password",
  required: true,
  minlength: 8,
  maxlength: 128,
  hint: "At least 8 characters. A few words are easy to remember and hard to guess.",
};

function SignIn({ go }) {
  const app = useApp();
  return html`<${Form} title="Welcome" action="Sign in" submit=${(filled) => app.signIn(filled)} after=${html`
      <button type="button" class="link" onClick=${() => go("register")}>New here? Create an account</button>
      <button type="button" class="link" onClick=${() => go("forgotten")}>Forgot your password?</button>`}>
    <${Field} ...${email} />
    <${Field} label="Password" name="password" type="password" autocomplete="current-password" required
      maxlength=${128} />
  <//>`;
}

function Register({ go }) {
  const app = useApp();
  const submit = async ({ email: address, password, displayName }) => {
    const made = await app.parlor.register({ email: address, password, displayName });
    if (!made) return go("sign-in", "Almost there: follow the link in the mail that we sent you, then sign in.");
    await app.signIn({ email: address, password });
  };
  return html`<${Form} title="Come on in" action="Create account" submit=${submit} after=${html`
      <button type="button" class="link" onClick=${() => go("sign-in")}>I have an account</button>`}>
    <${Field} label="Your name" name="displayName" autocomplete="name" required maxlength=${100}
      hint="What others see. You can change it later." />
    <${Field} ...${email} />
    <${Field} label="Password" name="password" ...${chosen} />
  <//>`;
}

function Forgotten({ go }) {
  const app = useApp();
  const submit = async (filled) => {
    await app.parlor.call("request_password_reset", { body: { email: filled.email } });
    go("sign-in", "If there is such an account, a mail with a link to choose a new password is on its way.");
  };
  return html`<${Form} title="A new password" action="Send me a link" submit=${submit} after=${html`
      <button type="button" class="link" onClick=${() => go("sign-in")}>Back to signing in</button>`}>
    <${Field} ...${email} />
  <//>`;
}

function Reset({ go, token }) {
  const app = useApp();
  const submit = async ({ password }) => {
    await app.parlor.call("confirm_password_reset", { body: { token, newPassword: password } });
    go("sign-in", "Your new password is set. Sign in with it.");
  };
  return html`<${Form} title="Choose a new password" action="Set password" submit=${submit}>
    <${Field} label="New password" name="password" ...${chosen} />
  <//>`;
}

function Verify({ go, token }) {
  const app = useApp();
  const submit = async () => {
    await app.parlor.call("verify_email", { body: { token } });
    go("sign-in", "Your address is confirmed. Welcome!");
  };
  return html`<${Form} title="Confirm your address" action="Confirm" submit=${submit}>
  <p>This shows that mail to you arrives.</p><//>`;
}
