/** An alert as a line: the rule, the value against the threshold, since when, who has it, and who was told. */

import { h } from "../dom.js";
import { clock, duration, metricName, metricValue } from "../format.js";
import { since } from "../moment.js";
import { linkTo } from "../router.js";
import { badge } from "./status.js";

/**
 * @typedef {Object} Delivery
 * @property {string} channel
 * @property {string} kind
 * @property {string} status
 * @property {string | null} reason
 * @property {number} attempts
 * @property {string | null} last_error
 * @property {string} created_at
 * @property {string | null} finished_at
 * @property {string | null} next_try_at
 */

/**
 * @typedef {Object} Alert
 * @property {number} id
 * @property {string} rule_name
 * @property {string} service
 * @property {string} severity
 * @property {string} metric_name
 * @property {string} window_size
 * @property {string} status
 * @property {number} threshold
 * @property {number | null} value
 * @property {string | null} operator
 * @property {string} pending_since
 * @property {string | null} active_since
 * @property {string | null} acknowledged_at
 * @property {string | null} acknowledged_by
 * @property {string | null} resolved_at
 * @property {number | null} silenced_by
 * @property {Delivery[]} deliveries
 */

/**
 * @param {Alert} alert
 * @param {{mayAct: boolean, withService?: boolean}} options
 */
export function alertCard(alert, { mayAct, withService = false }) {
  const isOpen = alert.status !== "resolved";
  const subject = {
    "data-alert": alert.id, "data-rule": alert.rule_name, "data-service": alert.service, "data-status": alert.status,
  };
  return h("li", { class: `alert ${alert.status}`, "data-key": alert.id, "data-row": true, ...subject },
    h("div", { class: "what" },
      badge(isOpen ? alert.severity : "resolved", isOpen ? alert.severity : "resolved"),
      h("a", { href: linkTo(["alerts", String(alert.id)]) }, alert.rule_name),
      withService ? h("bdi", { class: "muted name" }, alert.service) : null),
    h("div", { class: "figures" },
      h("span", { class: "value" }, comparison(alert)),
      h("span", { class: "muted" }, lasting(alert)),
      state(alert)),
    h("ul", { class: "told", "aria-label": "Told" }, alert.deliveries.map(told)),
    isOpen && mayAct ? h("div", { class: "buttons" },
      alert.status === "active" ? h("button", { type: "button", "data-do": "acknowledge", ...subject }, "Acknowledge") : null,
      h("button", { type: "button", "data-do": "silence", ...subject }, "Silence")) : null);
}

/** @param {Alert} alert */
export function comparison({ metric_name, value, operator, threshold }) {
  return `${metricName(metric_name)} ${metricValue(metric_name, value)} ${operator ?? "against"} ${metricValue(metric_name, threshold)}`;
}

/** @param {Alert} alert */
export function lasting(alert) {
  const from = alert.active_since ?? alert.pending_since;
  if (alert.resolved_at) {
    const seconds = (Date.parse(alert.resolved_at) - Date.parse(from)) / 1000;
    return `${clock(from)} for ${duration(seconds)}`;
  }
  return `for ${duration(since(from))}, since ${clock(from)}`;
}

/** @param {Alert} alert */
function state(alert) {
  const said = [];
  if (alert.status === "pending") said.push("pending: not fired yet");
  if (alert.acknowledged_by) said.push(h("span", {}, "acknowledged by ", h("bdi", {}, alert.acknowledged_by)));
  if (alert.silenced_by) said.push("silenced");
  return said.map((each) => h("span", { class: "tag" }, each));
}

/** @param {Delivery} delivery */
export function told(delivery) {
  const { channel, kind, status, reason, last_error: error, attempts } = delivery;
  const result = status === "withheld" ? `kept back (${reason ?? "no reason"})` : status;
  const tries = attempts > 1 ? ` after ${attempts} tries` : "";
  return h("li", { class: `delivery ${status}` },
    h("b", {}, channel), ` ${kind}: ${result}${tries}`,
    error ? h("span", { class: "error" }, ` ${error}`) : null);
}
