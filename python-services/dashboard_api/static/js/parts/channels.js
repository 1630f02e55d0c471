/** The channels on which people are told, and how that goes. */

import { h } from "../dom.js";
import { clock, count } from "../format.js";

/** @param {any[]} found */
export function channels(found) {
  return h("table", { class: "plain" },
    h("thead", {}, h("tr", {},
      h("th", { scope: "col" }, "Channel"), h("th", { scope: "col" }, "State"),
      ["Sent", "Waiting", "Kept back", "Failed"].map((label) => h("th", { scope: "col", class: "number" }, label)))),
    h("tbody", {}, found.map(({ channel, state, paused_until: paused, breaker_open_since: open, last_error: error, deliveries_24h: told }) =>
      h("tr", { "data-key": channel },
        h("th", { scope: "row" }, channel),
        h("td", {}, state === "unknown" ? "no notifier has run yet" : state, paused ? `, paused until ${clock(paused)}` : "",
          open ? h("span", { class: "bad" }, `, circuit breaker open since ${clock(open)}`) : "", error ? h("div", { class: "note" }, error) : null),
        h("td", { class: "number" }, count(told.sent)), h("td", { class: "number" }, count(told.pending)),
        h("td", { class: "number" }, count(told.withheld)),
        h("td", { class: told.failed ? "number bad" : "number" }, count(told.failed))))));
}
