/** All services: the worst first, as numbers and half an hour of history. */

import { h } from "../dom.js";
import { many, number } from "../format.js";
import { linkTo } from "../router.js";
import { sparkline } from "../parts/sparkline.js";
import { badge, shape } from "../parts/status.js";
import { column, sorted } from "../parts/sorting.js";

/**
 * @typedef {Object} Service
 * @property {string} service
 * @property {string} health_status
 * @property {number} total_requests
 * @property {number | null} error_rate
 * @property {number | null} latency_p50_ms
 * @property {number | null} latency_p95_ms
 * @property {number | null} latency_p99_ms
 * @property {number} requests_per_second
 * @property {import("../parts/sparkline.js").Trend} trend
 * @property {string | null} alert_severity
 * @property {number} alerts
 * @property {number} alerts_acknowledged
 */

/** Under so many requests a percentile says little. */
const FEW = 20;
const COMMAND = ".venv/bin/stacklens generate --rate 20";

const COLUMNS = [
  column("status", "Status", ""),
  column("service", "Service", "", (row) => row.service),
  column("rate", "Requests", "/s", (row) => row.requests_per_second),
  column("errors", "Errors", "%", (row) => row.error_rate),
  column("p50", "p50", "ms", (row) => row.latency_p50_ms),
  column("p95", "p95", "ms", (row) => row.latency_p95_ms),
  column("p99", "p99", "ms", (row) => row.latency_p99_ms),
];

export const services = {
  name: "services",
  title: () => "Services",
  path: () => "overview",
  skeleton: () => [tools("", null), h("div", { class: "skeleton" }, Array.from({ length: 8 }, () => h("div")))],

  /**
   * @param {{services: Service[]}} data
   * @param {import("../router.js").Route} route
   */
  render({ services: rows }, { params }) {
    if (!rows.length) return [tools("", null), empty()];
    const wanted = (params.get("q") ?? "").trim().toLowerCase();
    const found = wanted ? rows.filter(({ service, health_status: status }) =>
      service.toLowerCase().includes(wanted) || status.startsWith(wanted)) : rows;
    const order = params.get("sort") ?? "";
    return [
      tools(params.get("q") ?? "", wanted ? `${found.length} of ${many(rows.length, "service")}` : many(rows.length, "service")),
      found.length
        ? h("table", { class: "services", role: "table", "aria-label": "Services" },
          h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
            COLUMNS.map((each) => each.head(order)),
            h("th", { scope: "col", role: "columnheader", class: "history" }, "Last 30 min"))),
          h("tbody", { role: "rowgroup" }, sorted(found, COLUMNS, order).map(row)))
        : h("p", { class: "empty" }, "No service is called so. ", h("button", { type: "button", class: "link", "data-do": "clear-filter" }, "Show all")),
    ];
  },
};

/**
 * @param {string} filter
 * @param {string | null} counted
 */
function tools(filter, counted) {
  return h("div", { class: "row-tools" },
    h("h1", { class: "unseen" }, "Services"),
    h("input", { id: "filter", type: "search", placeholder: "Filter  /", "aria-label": "Filter services by name or status", value: filter, autocomplete: "off", spellcheck: "false" }),
    counted ? h("span", { class: "muted", role: "status" }, counted) : null);
}

/** @param {Service} service */
function row(service) {
  const few = service.total_requests < FEW ? " few" : "";
  const why = few ? `Of only ${many(service.total_requests, "request")}` : null;
  const cell = (/** @type {string} */ label, /** @type {string} */ text, /** @type {string} */ more = "") =>
    h("td", { role: "cell", class: `number${more}`, "data-label": label, title: more ? why : null }, text);
  const isSilent = service.health_status === "unknown";
  return h("tr", { role: "row", "data-key": service.service, "data-row": true, "data-service": service.service, class: service.health_status },
    h("td", { role: "cell", class: "state" }, badge(service.health_status)),
    h("th", { scope: "row", role: "rowheader", class: "name" },
      h("a", { href: linkTo(["services", service.service]), title: service.service }, h("bdi", {}, service.service)),
      alerts(service)),
    cell("req/s", isSilent ? "–" : number(service.requests_per_second)),
    cell("err %", number(service.error_rate)),
    cell("p50 ms", number(service.latency_p50_ms), few),
    cell("p95 ms", number(service.latency_p95_ms), few),
    cell("p99 ms", number(service.latency_p99_ms), few),
    h("td", { role: "cell", class: "history" }, sparkline(service.trend)));
}

/** @param {Service} service */
function alerts({ alerts: open, alerts_acknowledged: taken, alert_severity: severity }) {
  if (!open || !severity) return null;
  const state = taken === open ? ", acknowledged" : "";
  return h("span", { class: "tag" }, shape(severity), `${many(open, "alert")}${state}`);
}

function empty() {
  return h("div", { class: "empty" },
    h("h2", {}, "No events yet"),
    h("p", {}, "A service shows up here half a second after its first event. To send some:"),
    h("pre", {}, h("code", {}, COMMAND)),
    h("p", { class: "muted" }, "This page looks again every two seconds."));
}
