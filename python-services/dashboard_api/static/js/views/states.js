/** In place of a view: what it may not show, or could not load. */

import { ApiError } from "../api.js";
import { h } from "../dom.js";

/** @param {import("../headline.js").Head | null} head */
export function denied(head) {
  return [h("div", { class: "empty" },
    h("h1", {}, "Not for your role"),
    h("p", {}, head ? `You are logged in as ${head.you.name}, with the role ${head.you.role}. ` : "", "This view needs the role admin."),
    h("p", {}, h("a", { href: "#/" }, "Back to all services")))];
}

/** @param {unknown} error */
export function failed(error) {
  const isGone = error instanceof ApiError && error.status === 404;
  return [h("div", { class: "empty" },
    h("h1", {}, isGone ? "Not there" : "Nothing to show yet"),
    h("p", {}, error instanceof Error ? error.message : String(error)),
    isGone
      ? h("p", {}, h("a", { href: "#/" }, "Back to all services"))
      : h("button", { type: "button", "data-do": "retry" }, "Try again now"))];
}

/** @param {number} lines */
export function skeleton(lines) {
  return [h("div", { class: "skeleton", "aria-label": "Loading" }, Array.from({ length: lines }, () => h("div")))];
}
