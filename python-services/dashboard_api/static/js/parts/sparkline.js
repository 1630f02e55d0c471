/** Half an hour of one figure in the space of a word, with its threshold. */

import { h, s } from "../dom.js";
import { metricName, metricValue } from "../format.js";

const WIDTH = 132;
const HEIGHT = 28;
const MARGIN = 3;

/**
 * @typedef {Object} Trend
 * @property {string} metric
 * @property {number} threshold
 * @property {(number | null)[]} points
 */

/** @param {Trend} trend */
export function sparkline({ metric, threshold, points }) {
  const known = points.filter((point) => point !== null);
  if (!known.length) return h("span", { class: "muted" }, "no data");
  const highest = Math.max(...known);
  const top = Math.max(highest, threshold * 1.3);
  const x = (/** @type {number} */ place) => MARGIN + (place * (WIDTH - 2 * MARGIN)) / Math.max(points.length - 1, 1);
  const y = (/** @type {number} */ value) => HEIGHT - MARGIN - (value * (HEIGHT - 2 * MARGIN)) / top;
  const last = points.findLastIndex((point) => point !== null);
  const value = points[last] ?? 0;
  const limit = y(threshold).toFixed(1);
  const words = `${metricName(metric)}, last 30 min: now ${metricValue(metric, value)}, highest ${metricValue(metric, highest)}, threshold ${metricValue(metric, threshold)}`;
  return h("span", { class: "trend" },
    s("svg", {
      class: `sparkline${value > threshold ? " over" : ""}`, viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      width: WIDTH, height: HEIGHT, role: "img", "aria-label": words,
    },
    s("title", {}, words),
    s("line", { class: "limit", x1: 0, x2: WIDTH, y1: limit, y2: limit }),
    s("path", { class: "line", d: line(points, x, y) }),
    // The last window is still running.
    s("circle", { class: "now", cx: x(last).toFixed(1), cy: y(value).toFixed(1), r: 2.2 })),
    h("span", { class: "of", "aria-hidden": "true" }, metric === "error_rate" ? "err" : "p99"));
}

/**
 * @param {(number | null)[]} points
 * @param {(place: number) => number} x
 * @param {(value: number) => number} y
 */
function line(points, x, y) {
  let path = "";
  let isDrawing = false;
  points.forEach((point, place) => {
    if (point !== null) path += `${isDrawing ? "L" : "M"}${x(place).toFixed(1)} ${y(point).toFixed(1)}`;
    isDrawing = point !== null;
  });
  return path;
}
