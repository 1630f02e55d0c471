/** Alerts by service, the worst first; silences; what was over a while ago; and where people are told. */

import { h } from "../dom.js";
import { clock, duration, many } from "../format.js";
import { since } from "../moment.js";
import { alertCard } from "../parts/alert-card.js";
import { channels } from "../parts/channels.js";
import { linkTo } from "../router.js";
import { skeleton } from "./states.js";

/** @typedef {import("../parts/alert-card.js").Alert} Alert */

const SEVERITIES = ["critical", "warning", "info"];
const STATES = ["active", "acknowledged"];

export const alerts = {
  name: "alerts",
  title: () => "Alerts",
  path: () => "overview/alerts",
  skeleton: () => skeleton(5),

  /**
   * @param {{alerts: Alert[], resolved: Alert[], silences: any[], channels: any[]}} data
   * @param {import("../router.js").Route} route
   * @param {import("../headline.js").Head | null} head
   */
  render(data, { params }, head) {
    const mayAct = head?.you.role === "admin";
    const wanted = (params.get("q") ?? "").trim().toLowerCase();
    const found = data.alerts.filter(({ service, rule_name: rule, severity, status }) =>
      !wanted || [service, rule, severity, status].some((text) => text.toLowerCase().includes(wanted)));
    return [
      h("div", { class: "row-tools" },
        h("h1", {}, "Alerts"),
        h("input", { id: "filter", type: "search", placeholder: "Filter  /", "aria-label": "Filter alerts", value: params.get("q") ?? "", autocomplete: "off", spellcheck: "false" }),
        h("span", { class: "muted", role: "status" }, many(found.length, "open alert")),
        mayAct ? null : h("span", { class: "muted" }, "To acknowledge and silence the role admin is needed.")),
      found.length
        ? h("div", { class: "groups" }, groups(found).map(([service, of]) =>
          h("section", { class: "group", "data-key": service, "aria-label": service },
            h("h2", {}, h("a", { href: linkTo(["services", service]) }, h("bdi", {}, service))),
            h("ul", { class: "alerts" }, of.map((each) => alertCard(each, { mayAct }))))))
        : h("div", { class: "empty" }, h("h2", {}, wanted ? "No open alert is like this" : "No open alerts"),
          h("p", { class: "muted" }, "What fires shows up here within two seconds. Rules are under /rules, or in a file: stacklens rules apply rules.yaml")),
      h("section", { class: "part", "aria-labelledby": "silences-title" },
        h("h2", { id: "silences-title" }, "Silences"),
        data.silences.length
          ? h("ul", { class: "plain" }, data.silences.map((each) => silence(each, mayAct)))
          : h("p", { class: "muted" }, "None. To keep messages of an alert back for a while, press s on it.")),
      h("section", { class: "part", "aria-labelledby": "channels-title" },
        h("h2", { id: "channels-title" }, "Channels, last 24 hours"), channels(data.channels)),
      h("section", { class: "part", "aria-labelledby": "resolved-title" },
        h("h2", { id: "resolved-title" }, "Resolved within a day"),
        data.resolved.length
          ? h("ul", { class: "alerts" }, data.resolved.map((each) => alertCard(each, { mayAct, withService: true })))
          : h("p", { class: "muted" }, "None.")),
    ];
  },
};

/**
 * The alerts of each service, the service with the worst one first.
 * @param {Alert[]} found
 * @returns {[string, Alert[]][]}
 */
function groups(found) {
  /** @type {Map<string, Alert[]>} */
  const by = new Map();
  for (const alert of [...found].sort(worstFirst)) {
    by.set(alert.service, [...(by.get(alert.service) ?? []), alert]);
  }
  return [...by];
}

/** What fires before what only may. @param {Alert} a @param {Alert} b */
function worstFirst(a, b) {
  return (
    Number(a.status === "pending") - Number(b.status === "pending") ||
    SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
    STATES.indexOf(a.status) - STATES.indexOf(b.status) ||
    a.id - b.id
  );
}

/** @param {any} each @param {boolean} mayAct */
function silence(each, mayAct) {
  const matcher = Object.entries(each.matcher).filter(([, value]) => value !== null);
  const left = -since(each.until);
  return h("li", { class: "silence", "data-key": each.id },
    h("span", {}, matcher.map(([name, value]) => [h("span", { class: "muted" }, `${name.replace("_name", "")} `), h("bdi", { class: "name" }, String(value)), " "]).flat()),
    h("span", { class: "muted" },
      each.state === "pending" ? `from ${clock(each.from)}` : `for another ${duration(left)}`,
      ", ", h("bdi", {}, each.author), ": ", h("bdi", {}, each.comment)),
    mayAct ? h("button", { type: "button", "data-do": "end-silence", "data-id": each.id }, "End") : null);
}
