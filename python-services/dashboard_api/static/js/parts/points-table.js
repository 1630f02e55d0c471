/** The points of the charts as a table: for those who hear the page, and for those who want the numbers. */

import { h } from "../dom.js";
import { clock, count, number } from "../format.js";

/** @type {[string, string, (value: number | null | undefined) => string][]} */
const COLUMNS = [
  ["total_requests", "Requests", count],
  ["failed_requests", "Failed", count],
  ["error_rate", "Errors %", number],
  ["latency_p50_ms", "p50 ms", number],
  ["latency_p95_ms", "p95 ms", number],
  ["latency_p99_ms", "p99 ms", number],
  ["unique_users", "Users", count],
  ["avg_risk_score", "Mean risk", number],
];

/**
 * Newest first; steps without traffic are left out.
 * @param {{times: number[], points: Record<string, (number | null)[]>}} chart
 */
export function pointsTable({ times, points }) {
  const rows = times.map((_, at) => times.length - 1 - at).filter((at) => points.total_requests?.[at]);
  return h("section", { class: "part", "aria-labelledby": "points-title", tabindex: "0" },
    h("h2", { id: "points-title" }, "The charts as a table"),
    rows.length ? h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "From"), COLUMNS.map(([, title]) => h("th", { scope: "col", class: "number" }, title)))),
      h("tbody", {}, rows.map((at) => h("tr", { "data-key": String(times[at]) },
        h("th", { scope: "row" }, clock(times[at] * 1000)),
        COLUMNS.map(([name, , format]) => h("td", { class: "number" }, format(points[name]?.[at])))))))
      : h("p", { class: "muted" }, "No traffic in this range."));
}
