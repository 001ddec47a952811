// Before one is let in: sign in, or hear why one isn't.

import { Form } from "../../app/views/form.js";
import { Field, Mark } from "../../app/views/parts.js";
import { html } from "../../app/ui.js";
import { useDesk } from "../use.js";

export function Door() {
  const desk = useDesk();
  const view = !desk.me ? SignIn : desk.admitted === false ? NotForYou : NobodyAnswers;
  return html`<main class="welcome">
    <section class="welcome-wall" aria-hidden="true"><div><${Mark} /><p>Behind<br />the<br />counter.</p></div></section>
    <section class="welcome-form">
      <div class="welcome-card">
        <p class="wordmark"><${Mark} />Parlor console</p>
        <${view} />
      </div>
      <footer><a href="/">Conversations</a><a href="/docs">API guide</a><a href="/health/ready">Health</a></footer>
    </section>
  </main>`;
}

/** How somebody becomes an administrator. */
function Promotion() {
  return html`<section class="promotion" aria-labelledby="promotion">
    <h2 id="promotion">Who may come in?</h2>
    <p>Administrators. Whoever has the server's command line makes one of any account:</p>
    <pre tabindex="0"><code>parlor user promote you@example.org</code></pre>
    <p class="hint">No account yet? <a href="/">Create one</a> first, as everybody does.</p>
  </section>`;
}

function SignIn() {
  const desk = useDesk();
  return html`<${Form} title="Sign in" action="Sign in" submit=${(filled) => desk.signIn(filled)}>
      <${Field} label="E-mail" name="email" type="email" autocomplete="username" required maxlength=${254} />
      <${Field} label="Password" name="password" type="password" autocomplete="current-password" required
        maxlength=${128} />
    <//>
    <${Promotion} />`;
}

function NotForYou() {
  const desk = useDesk();
  return html`<div class="stack">
      <h1>This room is for administrators</h1>
      <p>You are signed in, and your account isn't an administrator's. If you have just been made one, look again.</p>
      <div class="form-links">
        <button type="button" class="button is-primary" onClick=${() => desk.askAgain()}>Look again</button>
        <button type="button" class="button" onClick=${() => desk.signOut()}>Sign in as somebody else</button>
      </div>
    </div>
    <${Promotion} />`;
}

function NobodyAnswers() {
  const desk = useDesk();
  return html`<div class="stack" role="status">
    <h1>No service answers</h1>
    <ul class="plain">${[...desk.silent].map(([service, why]) => html`<li key=${service}><b>${service}</b>: ${why}</li>`)}</ul>
    <p>They are asked again every second.</p>
  </div>`;
}
