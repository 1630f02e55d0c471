/** What each of the four charts shows, from the answer of the API. */

import { count, number } from "../format.js";
import { now } from "../moment.js";

/** @typedef {(number | null)[]} Column */

/**
 * @typedef {Object} Line
 * @property {string} label
 * @property {string} colour name of a colour of the style sheet
 * @property {"bars" | "line" | "edge"} look
 * @property {string} [scale]
 * @property {(value: number | null) => string} format
 */

/**
 * @typedef {Object} Kind
 * @property {string} name
 * @property {string} title
 * @property {string} unit
 * @property {Line[]} series
 * @property {string[]} metrics of rules whose thresholds are drawn
 * @property {[number, number]} [band] two series and what lies between them
 * @property {(data: any) => [number[], ...Column[]]} columns
 * @property {(columns: [number[], ...Column[]]) => string} words
 */

const perCent = (/** @type {number | null} */ value) => (value === null ? "no data" : `${number(value)} %`);
const ms = (/** @type {number | null} */ value) => (value === null ? "no data" : `${number(value)} ms`);
const perSecond = (/** @type {number | null} */ value) => (value === null ? "no data" : `${number(value)}/s`);

/** @type {Kind[]} */
export const CHARTS = [
  {
    name: "traffic", title: "Traffic", unit: "/s", metrics: [],
    series: [
      { label: "good", colour: "series-1", look: "bars", format: perSecond },
      { label: "failed", colour: "bad", look: "bars", format: perSecond },
    ],
    columns: ({ chart }) => {
      const seconds = lengths(chart);
      const per = (/** @type {Column} */ values) => values.map((value, at) => (value === null ? null : value / seconds[at]));
      return [chart.times, per(points(chart, "total_requests")), per(points(chart, "failed_requests"))];
    },
    words: ([, total, failed]) => `now ${perSecond(last(total))}, of which ${perSecond(last(failed))} failed`,
  },
  {
    name: "errors", title: "Errors", unit: "%", metrics: ["error_rate"],
    series: [{ label: "error rate", colour: "bad", look: "line", format: perCent }],
    columns: ({ chart }) => [chart.times, points(chart, "error_rate")],
    words: ([, rates]) => `now ${perCent(last(rates))}, highest ${perCent(highest(rates))}`,
  },
  {
    name: "latency", title: "Latency", unit: "ms", band: [2, 1], metrics: ["latency_p50_ms", "latency_p95_ms", "latency_p99_ms"],
    series: [
      { label: "p50", colour: "series-1", look: "edge", format: ms },
      { label: "p95", colour: "series-1", look: "edge", format: ms },
      { label: "p99", colour: "series-2", look: "line", format: ms },
    ],
    columns: ({ chart }) => [
      chart.times, points(chart, "latency_p50_ms"), points(chart, "latency_p95_ms"), points(chart, "latency_p99_ms"),
    ],
    words: ([, p50, , p99]) => `p50 now ${ms(last(p50))}, p99 now ${ms(last(p99))}, highest ${ms(highest(p99))}`,
  },
  {
    name: "users", title: "Users and risk", unit: "", metrics: ["unique_users"],
    series: [
      { label: "users", colour: "series-1", look: "bars", format: count },
      { label: "mean risk, 0 to 1", colour: "series-2", look: "line", scale: "risk", format: number },
    ],
    columns: ({ chart }) => [chart.times, points(chart, "unique_users"), points(chart, "avg_risk_score")],
    words: ([, users, risk]) => `now ${count(last(users))} users, mean risk ${number(last(risk))}`,
  },
];

/**
 * Seconds of each step that are over: a step that runs has not had its traffic yet.
 * @param {{times: number[], step_seconds: number}} chart
 */
function lengths({ times, step_seconds: step }) {
  const at = now() / 1000;
  return times.map((start) => Math.max(Math.min(at - start, step), 1));
}

/** @param {any} chart @param {string} metric @returns {Column} */
function points(chart, metric) {
  return chart.points[metric] ?? chart.times.map(() => null);
}

/** @param {Column} column */
function last(column) {
  return column.findLast((value) => value !== null) ?? null;
}

/** @param {Column} column */
function highest(column) {
  return column.reduce((most, value) => (value !== null && (most === null || value > most) ? value : most), null);
}
