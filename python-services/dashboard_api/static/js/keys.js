/** The keyboard: everything that matters without a mouse. */

import { openWindow } from "./dialogs.js";
import { h } from "./dom.js";

const KEYS = [
  ["/", "filter"],
  ["j, k", "next, previous"],
  ["Enter", "open"],
  ["a", "acknowledge the alert"],
  ["s", "silence it"],
  ["Escape", "close, or leave the filter"],
  ["?", "this help"],
];

/** @param {(name: string, row: HTMLElement | null) => void} act does `acknowledge` or `silence` about a row */
export function listenToKeys(act) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog")) return;
    const { target } = event;
    if (target instanceof HTMLElement && target.matches("input, select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const keys = {
      "/": filter,
      j: () => move(1),
      k: () => move(-1),
      a: () => act("acknowledge", row()),
      s: () => act("silence", row()),
      "?": help,
    };
    const does = Object.hasOwn(keys, event.key) ? keys[/** @type {keyof typeof keys} */ (event.key)] : null;
    if (!does) return;
    event.preventDefault();
    does();
  });
}

export function help() {
  openWindow(
    h("div", {},
      h("h2", { id: "dialog-title" }, "Keyboard"),
      h("dl", { class: "keys" },
        KEYS.map(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)]).flat()),
      h("form", { method: "dialog", class: "buttons" }, h("button", { type: "submit" }, "Close"))));
}

function filter() {
  const field = document.querySelector("#filter");
  if (field instanceof HTMLElement) field.focus();
}

/** @returns {HTMLElement[]} */
function rows() {
  return [...document.querySelectorAll("main [data-row]")].filter((each) => each instanceof HTMLElement);
}

/** The row that has the focus, or the first one, or else what the whole view is about. */
function row() {
  const focused = document.activeElement?.closest("[data-row]");
  const found = focused ?? rows()[0] ?? document.querySelector("main [data-subject]");
  return found instanceof HTMLElement ? found : null;
}

/** @param {1 | -1} step */
function move(step) {
  const all = rows();
  const focused = document.activeElement?.closest("[data-row]");
  const at = focused instanceof HTMLElement ? all.indexOf(focused) : -1;
  const next = all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)];
  if (!next) return;
  const link = next.querySelector("a, button, summary");
  if (link instanceof HTMLElement) link.focus();
  next.scrollIntoView({ block: "nearest" });
}
