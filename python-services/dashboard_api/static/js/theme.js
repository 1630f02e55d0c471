/** Light or dark: as the system has it, until somebody chooses. */

const KEY = "stacklens.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** @returns {"light" | "dark"} */
export function theme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return dark.matches ? "dark" : "light";
}

/** The other one from now on; the system's own is not stored, so that it is followed again. */
export function switchTheme() {
  const next = theme() === "dark" ? "light" : "dark";
  const isSystems = (next === "dark") === dark.matches;
  if (isSystems) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (isSystems) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // Not allowed here: until the page is loaded anew.
  }
  changed();
}

/**
 * @param {() => void} listener called whenever colours change
 * @returns {() => void} ends that
 */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** @type {Set<() => void>} */
const listeners = new Set();
const changed = () => listeners.forEach((listener) => listener());
dark.addEventListener("change", changed);

/**
 * A colour of the style sheet, for canvases.
 * @param {string} name
 */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
