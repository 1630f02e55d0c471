/** Logging in. */

import { ApiError, ask } from "../api.js";
import { h, one } from "../dom.js";
import { duration } from "../format.js";
import { basic, keep } from "../session.js";

/** @param {() => void} entered */
export function showLogin(entered) {
  const trouble = h("p", { class: "trouble", role: "alert", hidden: true });
  const button = h("button", { type: "submit", class: "primary" }, "Log in");
  const form = /** @type {HTMLFormElement} */ (
    h("form", { class: "login" },
      h("h1", {}, "StackLens"),
      h("div", { class: "field" },
        h("label", { for: "user" }, "User"),
        h("input", { id: "user", name: "user", autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" })),
      h("div", { class: "field" },
        h("label", { for: "password" }, "Password"),
        h("input", { id: "password", name: "password", type: "password", autocomplete: "current-password", required: true })),
      trouble,
      button)
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = new FormData(form);
    const credential = basic(String(given.get("user")), String(given.get("password")));
    button.setAttribute("disabled", "");
    try {
      await ask("overview", { as: credential });
      keep(credential);
      entered();
    } catch (error) {
      trouble.textContent = words(error);
      trouble.hidden = false;
      button.removeAttribute("disabled");
      const password = one("#password", form);
      if (password instanceof HTMLInputElement) password.select();
    }
  });
  document.title = "Log in \u00b7 StackLens";
  one("#app").replaceChildren(h("main", { id: "main", class: "entrance", tabindex: -1 }, form));
  one("#user").focus();
}

/** @param {unknown} error */
function words(error) {
  if (!(error instanceof ApiError)) return String(error);
  if (error.status === 401) return "This user and password do not match.";
  if (error.status === 429) return `Too many tries from here: wait ${duration(error.waitS)}.`;
  return error.message;
}
