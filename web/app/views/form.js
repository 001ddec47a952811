import { explain } from "../explain.js";
import { html, useEffect, useRef, useState } from "../ui.js";

/** A form that does one thing: takes what was filled in, waits, and says what went wrong. */
export function Form({ title, action, submit, children, after = undefined }) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  useEffect(() => form.current?.querySelector("input")?.focus(), []);
  const onSubmit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError("");
    try {
      await submit(Object.fromEntries(new FormData(event.currentTarget)));
    } catch (problem) {
      setError(explain(problem));
      setBusy(false);
    }
  };
  return html`<form ref=${form} onSubmit=${onSubmit}>
    <h1>${title}</h1>
    ${children}
    <p class="form-error" role="alert">${error}</p>
    <button class="button is-primary is-wide" type="submit"
      aria-disabled=${busy}>${busy ? "One moment…" : action}</button>
    <div class="form-links">${after}</div>
  </form>`;
}
