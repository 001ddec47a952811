// Light or dark: as the system has it, unless somebody chose.

const KEY = "parlor.theme";

/** @typedef {"system" | "light" | "dark"} Theme */

/** @returns {Theme} */
export function theme() {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** @param {Theme} [choice] */
export function applyTheme(choice) {
  if (choice) localStorage.setItem(KEY, choice);
  const now = theme();
  if (now === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = now;
}
