/** One alert: what it is, what people can do about it, and all that happened, in order. */

import { h } from "../dom.js";
import { clock, duration, many, metricName, metricValue } from "../format.js";
import { comparison, lasting } from "../parts/alert-card.js";
import { badge } from "../parts/status.js";
import { linkTo } from "../router.js";
import { skeleton } from "./states.js";

const AROUND_S = 1800;

export const alert = {
  name: "alert",
  place: "alerts",
  title: (/** @type {import("../router.js").Route} */ { path }) => `Alert ${path[1]}`,
  path: (/** @type {import("../router.js").Route} */ { path }) => `overview/alerts/${encodeURIComponent(path[1])}`,
  skeleton: () => skeleton(4),

  /**
   * @param {any} data
   * @param {import("../router.js").Route} _route
   * @param {import("../headline.js").Head | null} head
   */
  render({ alert: found, rule, history, silences }, _route, head) {
    const isOpen = found.status !== "resolved";
    const subject = { "data-alert": found.id, "data-rule": found.rule_name, "data-service": found.service, "data-status": found.status };
    const silence = silences.find((/** @type {any} */ each) => each.id === found.silenced_by);
    return [
      h("div", { class: "title", "data-row": true, ...subject },
        h("h1", {}, h("bdi", {}, found.rule_name)),
        badge(found.severity), h("span", { class: "tag" }, found.status)),
      h("p", { class: "lead" },
        h("a", { href: linkTo(["services", found.service], around(found)) }, h("bdi", {}, found.service)),
        `: ${comparison(found)}, ${lasting(found)}`),
      head?.you.role === "admin" && isOpen ? h("div", { class: "buttons start" },
        found.status === "active" ? h("button", { type: "button", class: "primary", "data-do": "acknowledge", ...subject }, "Acknowledge") : null,
        h("button", { type: "button", "data-do": "silence", ...subject }, "Silence"),
        found.status === "pending" ? null : h("button", { type: "button", "data-do": "resolve", ...subject }, "Resolve")) : null,
      silence ? h("p", {}, badge("info", "silenced"), ` until ${clock(silence.until)} by `, h("bdi", {}, silence.author), ": ", h("bdi", {}, silence.comment)) : null,
      h("div", { class: "split even" },
        h("section", { "aria-labelledby": "history-title" },
          h("h2", { id: "history-title" }, "What happened"),
          h("ol", { class: "timeline" }, steps(history, found.deliveries).map((each) => step(each, found.metric_name)))),
        h("section", { "aria-labelledby": "rule-title" },
          h("h2", { id: "rule-title" }, "Its rule"), rule ? terms(rule) : h("p", { class: "muted" }, "The rule is gone."))),
    ].filter((node) => node !== null);
  },

  isNew: (/** @type {any} */ data, /** @type {import("../router.js").Route} */ { path }) => String(data?.alert.id) !== path[1],
};

/**
 * Transitions and messages by when they happened.
 * @param {any[]} history
 * @param {import("../parts/alert-card.js").Delivery[]} deliveries
 */
function steps(history, deliveries) {
  return [
    ...history.map((each) => ({ at: each.at, status: each.to_status, transition: each, delivery: null })),
    ...deliveries.map((each) => ({ at: each.finished_at ?? each.created_at, status: each.status, transition: null, delivery: each })),
  ].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** @param {any} each @param {string} metric */
function step({ at, status, transition, delivery }, metric) {
  return h("li", { class: transition ? `transition ${status}` : `message ${status}` },
    h("time", { datetime: at, title: new Date(at).toISOString() }, clock(at, true)),
    transition ? told(transition, metric) : sent(delivery));
}

/** @param {any} transition @param {string} metric */
function told({ to_status: status, value, actor, comment }, metric) {
  return h("div", {},
    h("b", {}, status), actor ? h("span", {}, " by ", h("bdi", {}, actor)) : null,
    value === null ? null : h("span", { class: "muted" }, ` ${metricName(metric)} ${metricValue(metric, value)}`),
    comment ? h("blockquote", {}, h("bdi", {}, comment)) : null);
}

/** @param {import("../parts/alert-card.js").Delivery} delivery */
function sent({ channel, kind, status, reason, attempts, last_error: error, next_try_at: next }) {
  const result = status === "withheld" ? `kept back: ${reason ?? "no reason given"}` : status;
  return h("div", { class: status === "failed" ? "bad" : "muted" },
    `${channel}, ${kind}: ${result}`,
    attempts > 1 ? ` after ${many(attempts, "attempt")}` : "",
    error ? h("span", {}, ` (${error})`) : null,
    status === "pending" && next ? `, next try ${clock(next, true)}` : "");
}

/** @param {any} rule */
function terms(rule) {
  /** @type {[string, string][]} */
  const shown = [
    ["Fires when", `${metricName(rule.metric_name)} of ${rule.window_size} ${rule.operator} ${metricValue(rule.metric_name, rule.threshold)}`],
    ["Holds for", rule.duration_seconds ? duration(rule.duration_seconds) : "at once"],
    ["Resolves after", rule.keep_firing_seconds ? `${duration(rule.keep_firing_seconds)} clear` : "at once"],
    ["Needs", many(rule.min_requests, "request")],
    ["Without data", rule.no_data_policy],
    ["Tells", rule.notification_channels.join(", ") || "nobody"],
    ["Services", rule.service === "*" ? "every one" : rule.service],
  ];
  return h("dl", { class: "terms" },
    rule.description ? [h("dt", {}, "Description"), h("dd", {}, h("bdi", {}, rule.description))] : [],
    shown.map(([name, text]) => [h("dt", {}, name), h("dd", {}, h("bdi", {}, text))]).flat());
}

/** The time of the episode with some around it, for the charts. @param {any} found @returns {Record<string, string>} */
function around({ pending_since: pending, active_since: active, resolved_at: resolved }) {
  if (!resolved) return {};
  const seconds = (/** @type {string} */ moment) => Math.floor(Date.parse(moment) / 1000);
  return { from: String(seconds(active ?? pending) - AROUND_S), to: String(seconds(resolved) + AROUND_S) };
}
