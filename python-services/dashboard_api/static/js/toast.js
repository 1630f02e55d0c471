/** Short messages at the foot of the page, with a way back where there is one. */

import { h, one } from "./dom.js";

const SHOWN_MS = 8000;
let timer = 0;

/**
 * @param {string} text
 * @param {{label: string, act: () => void}} [undo]
 */
export function toast(text, undo) {
  clearTimeout(timer);
  const place = one("#toasts");
  const shown = h("div", { class: "toast" }, h("span", {}, text));
  if (undo) {
    const button = h("button", { type: "button", class: "link" }, undo.label);
    button.addEventListener("click", () => {
      place.replaceChildren();
      undo.act();
    });
    shown.append(button);
  }
  place.replaceChildren(shown);
  timer = setTimeout(() => place.replaceChildren(), SHOWN_MS);
}
