/** What is around every view: navigation, the sentence that says it all, and what does not work. */

import { ApiError } from "./api.js";
import { h, one, s } from "./dom.js";
import { duration } from "./format.js";
import { ageOf, sentence } from "./headline.js";
import { linkTo } from "./router.js";

/** @typedef {import("./headline.js").Head} Head */

const PLACES = [
  { name: "services", label: "Services", path: [] },
  { name: "alerts", label: "Alerts", path: ["alerts"] },
  { name: "dead-letters", label: "Dead letters", path: ["dead-letters"] },
  { name: "system", label: "System", path: ["system"] },
];

/** Build it, once. */
export function buildShell() {
  const skip = h("button", { type: "button", class: "skip" }, "Skip to content");
  skip.addEventListener("click", () => one("#main").focus());
  one("#app").replaceChildren(
    skip,
    h("header", { class: "bar" },
      h("a", { class: "brand", href: "#/", "aria-label": "StackLens, all services" }, "StackLens"),
      h("nav", { "aria-label": "Views" },
        PLACES.map(({ name, label, path }) =>
          h("a", { href: linkTo(path), "data-place": name }, label, h("span", { class: "badge", hidden: true })))),
      h("div", { class: "tools" },
        h("button", { type: "button", "data-do": "theme", "aria-label": "Switch between light and dark" },
          s("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
            s("circle", { cx: 8, cy: 8, r: 6, fill: "none", stroke: "currentcolor", "stroke-width": 1.5 }),
            s("path", { d: "M8 2a6 6 0 0 1 0 12Z", fill: "currentcolor" }))),
        h("button", { type: "button", "data-do": "help", "aria-label": "Keyboard shortcuts" }, "?"),
        h("span", { id: "you", class: "muted" }),
        h("button", { type: "button", "data-do": "log-out", hidden: true }, "Log out"))),
    h("div", { class: "headline" },
      h("p", { id: "sentence" }),
      h("p", { id: "age", class: "age" })),
    h("div", { id: "notice", role: "alert" }),
    h("main", { id: "main", tabindex: -1 }),
    h("div", { id: "toasts", role: "status" }),
    h("div", { id: "announce", class: "unseen", "aria-live": "polite" }),
  );
}

/**
 * @param {string} name of the view
 * @param {string} title
 */
export function markPlace(name, title) {
  document.title = `${title} \u00b7 StackLens`;
  for (const link of document.querySelectorAll("[data-place]")) {
    if (link.getAttribute("data-place") === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/**
 * The sentence, who is logged in, and how many alerts wait.
 * @param {Head} head
 */
export function showHead(head) {
  const said = sentence(head);
  setText("#sentence", said.text);
  one("#sentence").dataset.tone = said.tone;
  setText("#announce", said.brief);
  setText("#you", head.you.name);
  one("[data-do=log-out]").hidden = false;
  const waiting = Object.values(head.alerts).reduce((sum, { active }) => sum + active, 0);
  const badge = one("[data-place=alerts] .badge");
  badge.hidden = waiting === 0;
  badge.textContent = String(waiting);
}

/**
 * How old the data are, and what is being done about it.
 * @param {Head | null} head
 * @param {string | null} doing
 */
export function showAge(head, doing) {
  const { text, tone } = ageOf(head, doing);
  setText("#age", text);
  one("#age").dataset.tone = tone;
}

/**
 * What failed, while the last figures stay; null: all is well.
 * @param {unknown} error
 * @param {boolean} hasData
 */
export function showTrouble(error, hasData) {
  const place = one("#notice");
  if (!error) {
    if (place.firstChild) place.replaceChildren();
    return;
  }
  const detail = error instanceof Error ? error.message : String(error);
  const kept = hasData ? " These are the last figures that came." : "";
  const waits = error instanceof ApiError && error.waitS ? ` It asks to wait ${duration(error.waitS)}.` : "";
  const text = `${detail}${waits}${kept}`;
  if (place.firstElementChild?.textContent === text) return;
  place.replaceChildren(
    h("span", {}, text),
    h("button", { type: "button", "data-do": "retry" }, "Try again now"));
}

/**
 * @param {string} selector
 * @param {string} text
 */
function setText(selector, text) {
  const place = one(selector);
  if (place.textContent !== text) place.textContent = text;
}
