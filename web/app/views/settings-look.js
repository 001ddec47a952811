import { applyTheme, theme } from "../theme.js";
import { html, useState } from "../ui.js";

const THEMES = /** @type {const} */ ([
  ["system", "As the system has it"],
  ["light", "Light"],
  ["dark", "Dark"],
]);

export function Look() {
  const [now, setNow] = useState(theme());
  return html`<fieldset class="choices"><legend>Light or dark</legend>
    ${THEMES.map(
      ([value, label]) => html`<label key=${value} class="check">
    <input type="radio" name="theme" value=${value} checked=${now === value}
      onChange=${() => (applyTheme(value), setNow(value))} />${label}</label>`,
    )}
  </fieldset>
  <section class="part"><h2>Keys</h2><dl class="keys">
    <dt><kbd>Ctrl</kbd> <kbd>K</kbd></dt><dd>Search</dd>
    <dt><kbd>↑</kbd> <kbd>↓</kbd></dt><dd>Through a list, or through messages</dd>
    <dt><kbd>Enter</kbd></dt><dd>Send; with <kbd>Shift</kbd> a new line</dd>
    <dt><kbd>↑</kbd> in an empty field</dt><dd>Edit what you said last</dd>
    <dt><kbd>Esc</kbd></dt><dd>Close what is open</dd>
  </dl></section>`;
}
