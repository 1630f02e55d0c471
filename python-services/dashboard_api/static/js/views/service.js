/** One service: four charts with one crosshair, and beside them its promise, its alerts and its last dead letters. */

import { ask } from "../api.js";
import { charts } from "../charts/charts.js";
import { h } from "../dom.js";
import { clock, many, number } from "../format.js";
import { alertCard } from "../parts/alert-card.js";
import { pointsTable } from "../parts/points-table.js";
import { rangePicker, rangeQuery } from "../parts/ranges.js";
import { budget } from "../parts/slo.js";
import { badge } from "../parts/status.js";
import { linkTo } from "../router.js";
import { skeleton } from "./states.js";

const BUDGET_EVERY_MS = 60_000;
/** Steps from this length on do not move in two seconds: their points are asked for less often. */
const LONG_STEP_S = 900;
const LONG_STEPS_EVERY_MS = 30_000;

/** @type {{service: string, at: number, level: any} | null} */
let known = null;
/** @type {{path: string, at: number, chart: any} | null} */
let drawn = null;

export const service = {
  name: "service",
  place: "services",
  title: (/** @type {import("../router.js").Route} */ { path }) => path[1],
  path: (/** @type {import("../router.js").Route} */ { path, params }) =>
    `overview/service?${new URLSearchParams({ service: path[1], ...rangeQuery(params) })}`,
  skeleton: () => skeleton(4),

  /**
   * The error budget moves slowly: it is asked for once a minute. So do the points of long ranges.
   * @param {import("../router.js").Route} route
   * @param {AbortSignal} signal
   */
  async load(route, signal) {
    const name = route.path[1];
    const path = service.path(route);
    const isDrawn = drawn?.path === path && drawn.chart.step_seconds >= LONG_STEP_S && performance.now() - drawn.at < LONG_STEPS_EVERY_MS;
    const answer = await ask(isDrawn ? `${path}&chart=no` : path, { signal });
    if (!isDrawn) drawn = { path, at: performance.now(), chart: answer.chart };
    if (known?.service !== name || performance.now() - known.at > BUDGET_EVERY_MS) {
      const levels = await ask(`sla?${new URLSearchParams({ service: name })}`, { signal });
      const level = levels.services.find((/** @type {{service: string}} */ each) => each.service === name);
      known = { service: name, at: performance.now(), level: level ? { ...level, days: levels.days, objective: levels.objective } : null };
    }
    return { ...answer, chart: drawn?.chart, level: known.level };
  },

  /**
   * @param {any} data
   * @param {import("../router.js").Route} route
   * @param {import("../headline.js").Head | null} head
   */
  render(data, { params }, head) {
    const subject = { "data-service": data.name };
    return [
      h("div", { class: "title", "data-subject": true, ...subject },
        h("h1", {}, h("bdi", {}, data.name)),
        data.service ? badge(data.service.health_status) : badge("unknown", "not seen within a day"),
        head?.you.role === "admin" ? h("button", { type: "button", "data-do": "silence", ...subject }, "Silence") : null),
      data.service ? figures(data.service) : null,
      rangePicker(params, data.chart),
      h("div", { class: "split" },
        h("section", { id: "charts", "aria-label": "Charts", "data-keep": true }),
        h("div", { class: "aside" },
          h("section", { "aria-labelledby": "slo-title" }, h("h2", { id: "slo-title" }, "Error budget"), budget(data.level)),
          h("section", { class: "first", "aria-labelledby": "alerts-title" }, h("h2", { id: "alerts-title" }, "Alerts"),
            data.alerts.length
              ? h("ul", { class: "alerts" }, data.alerts.map((/** @type {any} */ each) => alertCard(each, { mayAct: head?.you.role === "admin" })))
              : h("p", { class: "muted" }, "None now, none in this range.")),
          letters(data.dead_letters))),
      params.has("table") ? pointsTable(data.chart) : null,
    ].filter((node) => node !== null);
  },

  /**
   * @param {HTMLElement} main
   * @param {any} data
   */
  after(main, data) {
    const place = main.querySelector("#charts");
    if (place instanceof HTMLElement) charts.show(place, data);
  },

  isNew: (/** @type {any} */ data, /** @type {import("../router.js").Route} */ { path }) => data?.name !== path[1],
  leave: () => charts.remove(),
};

/** @param {import("./services.js").Service} row */
function figures(row) {
  const few = row.total_requests < 20;
  /** @type {[string, string, boolean][]} */
  const shown = [
    ["requests/s", number(row.requests_per_second), false],
    ["errors %", number(row.error_rate), false],
    ["p50 ms", number(row.latency_p50_ms), few],
    ["p95 ms", number(row.latency_p95_ms), few],
    ["p99 ms", number(row.latency_p99_ms), few],
  ];
  return h("dl", { class: "facts", title: few ? `Of only ${many(row.total_requests, "request")}` : "Of the last five minutes" },
    shown.map(([label, text, pale]) => h("div", { class: pale ? "few" : null }, h("dt", {}, label), h("dd", {}, text))));
}

/** @param {any[] | null} found */
function letters(found) {
  return h("section", { "aria-labelledby": "letters-title" },
    h("h2", { id: "letters-title" }, "Last dead letters"),
    found === null
      ? h("p", { class: "muted" }, "Shown to the role admin.")
      : found.length
        ? h("ul", { class: "letters" }, found.map((each) => h("li", {},
          h("code", {}, each.reason), " ", h("span", { class: "muted" }, each.detail ?? "", ` ${clock(each.created_at)}`))))
        : h("p", { class: "muted" }, "None of the last 500 names this service."),
    found?.length ? h("p", {}, h("a", { href: linkTo(["dead-letters"]) }, "All dead letters")) : null);
}

