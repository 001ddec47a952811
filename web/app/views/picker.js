import { html, useApp, useEffect, useRef, useState } from "../ui.js";
import { Person, arrowKeys } from "./parts.js";

/** People by name: contacts first, and whoever else the search finds. */
export function Picker({ label, chosen, onToggle, without = new Set() }) {
  const app = useApp();
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  // A dialog gives its first button the focus; what one came for is to type a name.
  useEffect(() => input.current?.focus(), []);
  const [text, setText] = useState("");
  const [found, setFound] = useState(/** @type {string[] | undefined} */ (undefined));
  useEffect(() => {
    if (text.trim() === "") return setFound(undefined);
    let current = true;
    // As fast as people type would be more often than anybody can read.
    const timer = setTimeout(
      () =>
        app.people.search(text.trim()).then(
          (ids) => current && setFound(ids),
          () => current && setFound([]),
        ),
      150,
    );
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [text]);
  const shown = (found ?? app.people.sorted().map(({ id }) => id)).filter((id) => !without.has(id));
  return html`<div class="picker">
    <input ref=${input} type="search" aria-label=${label} placeholder=${label} value=${text}
      onInput=${(event) => setText(event.currentTarget.value)} autocomplete="off" />
    <ul class="picker-list" onKeyDown=${arrowKeys}>
      ${shown.map(
        (id) => html`<li key=${id}><label class="picker-row">
        <input type="checkbox" data-item checked=${chosen.has(id)} onChange=${() => onToggle(id)} />
        <${Person} id=${id} size="small" stranger /><span dir="auto">${app.people.name(id)}</span></label></li>`,
      )}
      ${
        shown.length === 0 &&
        html`<li class="pane-note">${found ? "Nobody is called so." : "Whom do you want to talk to? Type a name."}</li>`
      }
    </ul>
  </div>`;
}

/** A set of ids that a component keeps. @returns {[Set<string>, (id: string) => void]} */
export function useChoice() {
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  const toggle = (/** @type {string} */ id) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  return [chosen, toggle];
}
