/** Messages that broke a rule: why, where from, what they were; and sending them again. */

import { h } from "../dom.js";
import { clock, count } from "../format.js";
import { denied, skeleton } from "./states.js";

const STATUSES = ["pending", "replayed", "discarded", "all"];

export const deadLetters = {
  name: "dead-letters",
  title: () => "Dead letters",
  path: (/** @type {import("../router.js").Route} */ { params }) => {
    const status = params.get("status") ?? "";
    const query = new URLSearchParams({ status: STATUSES.includes(status) ? status : "pending" });
    const before = params.get("before") ?? "";
    if (/^\d{1,19}$/.test(before)) query.set("cursor", before);
    return `overview/dead-letters?${query}`;
  },
  skeleton: () => skeleton(6),

  /**
   * @param {{dead_letters: any[] | null, next_cursor: string | null}} data
   * @param {import("../router.js").Route} route
   * @param {import("../headline.js").Head | null} head
   */
  render({ dead_letters: letters, next_cursor: next }, { params }, head) {
    if (letters === null) return denied(head);
    const status = params.get("status") ?? "pending";
    return [
      h("div", { class: "row-tools" },
        h("h1", {}, "Dead letters"),
        h("label", { class: "inline" }, "Status ",
          h("select", { name: "status" }, STATUSES.map((each) => h("option", { value: each, selected: each === status }, each))))),
      letters.length
        ? h("ul", { class: "letters wide" }, letters.map(letter))
        : h("div", { class: "empty" }, h("h2", {}, "None"),
          h("p", { class: "muted" }, "Messages that break a rule are kept here with their reason and their original bytes; one bad event never holds up the good ones.")),
      h("div", { class: "buttons start" },
        params.get("before") ? h("button", { type: "button", "data-do": "set", "data-name": "before", "data-value": "" }, "Newest") : null,
        next ? h("button", { type: "button", "data-do": "set", "data-name": "before", "data-value": next }, "Older") : null),
    ];
  },
};

/** @param {any} each */
function letter(each) {
  const canReplay = each.status !== "replayed" && !each.replay_requested_at;
  return h("li", { "data-key": each.id, "data-row": true },
    h("details", {},
      h("summary", {},
        h("span", { class: "muted when" }, clock(each.created_at, true)),
        h("code", {}, each.reason),
        h("span", { class: "grow" }, each.detail ?? ""),
        h("span", { class: "tag" }, each.replay_requested_at ? "replay asked for" : each.status)),
      h("dl", { class: "terms" },
        h("dt", {}, "From"), h("dd", {}, `${each.topic}, partition ${each.kafka_partition}, offset ${count(each.kafka_offset)}`),
        h("dt", {}, "Tried again"), h("dd", {}, `${each.retry_count} times`),
        each.replay_refused ? [h("dt", {}, "Replay refused"), h("dd", {}, each.replay_refused)] : [],
        h("dt", {}, "Value"), h("dd", {},
          each.raw_value === null ? "none: a tombstone" : h("pre", {}, h("code", {}, each.raw_value)),
          each.raw_value_encoding === "base64" ? h("span", { class: "muted" }, "In base64: it is not UTF-8. ") : null,
          each.raw_value_truncated ? h("span", { class: "muted" }, `The first of ${count(each.raw_value_bytes)} bytes.`) : null)),
      canReplay ? h("div", { class: "buttons start" }, h("button", { type: "button", "data-do": "replay", "data-id": each.id }, "Send again")) : null));
}
