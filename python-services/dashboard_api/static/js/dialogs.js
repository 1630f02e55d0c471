/** Small windows that ask for something. Enter does it, Escape does not. */

import { h } from "./dom.js";
import { ApiError } from "./api.js";

/**
 * @typedef {Object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} [value] what stands there first; typing replaces it
 * @property {[string, string][]} [choices] values and their labels, instead of a text
 * @property {boolean} [required]
 */

/**
 * Ask, and do `act` with what was answered; what goes wrong there is said in the window, which stays.
 * @param {{title: string, text?: string, fields: Field[], button: string, danger?: boolean}} what
 * @param {(values: Record<string, string>) => Promise<void>} act
 */
export function dialog(what, act) {
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const submit = h("button", { type: "submit", class: what.danger ? "danger" : "primary" }, what.button);
  const cancel = h("button", { type: "button" }, "Cancel");
  const form = /** @type {HTMLFormElement} */ (
    h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, what.title),
      what.text ? h("p", { class: "muted" }, what.text) : null,
      what.fields.map(shownField),
      trouble,
      h("div", { class: "buttons" }, cancel, submit))
  );
  const window = openWindow(form);
  cancel.addEventListener("click", () => window.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    submit.setAttribute("disabled", "");
    try {
      await act(values);
      window.close();
    } catch (error) {
      trouble.textContent = error instanceof ApiError ? error.message : String(error);
      trouble.hidden = false;
      submit.removeAttribute("disabled");
    }
  });
  const first = form.querySelector("[data-first]") ?? submit;
  if (first instanceof HTMLInputElement) first.select();
  if (first instanceof HTMLElement) first.focus();
}

/**
 * Show a window with this in it until it is closed.
 * @param {HTMLElement} content
 */
export function openWindow(content) {
  document.querySelector("dialog")?.remove();
  const window = /** @type {HTMLDialogElement} */ (h("dialog", { "aria-labelledby": "dialog-title" }, content));
  const before = document.activeElement;
  window.addEventListener("close", () => {
    window.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  window.addEventListener("click", (event) => {
    if (event.target === window) window.close();
  });
  document.body.append(window);
  window.showModal();
  return window;
}

/**
 * @param {Field} field
 * @param {number} place
 */
function shownField({ name, label, value, choices, required }, place) {
  if (choices) {
    const options = choices.map(([each, words]) =>
      h("label", { class: "choice" },
        h("input", { type: "radio", name, value: each, checked: each === value }), h("span", {}, words)));
    return h("fieldset", {}, h("legend", {}, label), h("div", { class: "choices" }, options));
  }
  const id = `field-${place}`;
  return h("div", { class: "field" },
    h("label", { for: id }, label),
    h("input", { id, name, value: value ?? "", required, maxlength: 2000, autocomplete: "off", "data-first": true }));
}
