/** Tables that can be sorted by their heads; which way is in the URL: `rate`, or `-rate` the other way round. */

import { h } from "../dom.js";

/** @typedef {import("../views/services.js").Service} Service */

const WORST_FIRST = ["unhealthy", "degraded", "unknown", "healthy"];

/**
 * @typedef {Object} Column
 * @property {string} name
 * @property {((row: Service) => string | number | null) | undefined} value
 * @property {(order: string) => HTMLElement} head
 */

/**
 * @param {string} name
 * @param {string} label
 * @param {string} unit
 * @param {(row: Service) => string | number | null} [value] none: the worst first
 * @returns {Column}
 */
export function column(name, label, unit, value) {
  return { name, value, head: (order) => head(name, label, unit, order) };
}

/**
 * @param {string} name @param {string} label @param {string} unit @param {string} order
 */
function head(name, label, unit, order) {
  const isText = name === "service" || name === "status";
  const isSorted = order.replace("-", "") === name || (!order && name === "status");
  const goesDown = isText ? order.startsWith("-") : isSorted && !order.startsWith("-");
  return h("th", { scope: "col", role: "columnheader", class: name === "status" ? "state" : isText ? "name" : "number", "aria-sort": isSorted ? (goesDown ? "descending" : "ascending") : null },
    h("button", { type: "button", "data-do": "sort", "data-by": name },
      label, unit ? h("span", { class: "unit" }, unit) : null,
      h("span", { class: "arrow", "aria-hidden": "true" }, isSorted ? (goesDown ? "\u2193" : "\u2191") : "")));
}

/**
 * What the head of a column changes the order to.
 * @param {string} order
 * @param {string} by
 */
export function nextOrder(order, by) {
  if (by === "status") return order === "" || order === "status" ? "-status" : "";
  return order === by ? `-${by}` : by;
}

/**
 * Numbers: the highest first; text: from A on; nothing known: last.
 * @param {Service[]} rows
 * @param {Column[]} columns
 * @param {string} order
 */
export function sorted(rows, columns, order) {
  const isReversed = order.startsWith("-");
  const value = columns.find(({ name }) => name === order.replace("-", ""))?.value;
  const compare = value ? by(value, isReversed) : worstFirst;
  const found = [...rows].sort(compare);
  return value || !isReversed ? found : found.reverse();
}

/**
 * @param {(row: Service) => string | number | null} value
 * @param {boolean} isReversed
 * @returns {(a: Service, b: Service) => number}
 */
function by(value, isReversed) {
  const sign = isReversed ? -1 : 1;
  return (a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    if (typeof left === "string") return sign * left.localeCompare(String(right));
    return sign * (Number(right) - left) || a.service.localeCompare(b.service);
  };
}

/**
 * By status, and the bad ones by how bad they are, in coarse steps: rows do not dance for a percent more or less.
 * @param {Service} a
 * @param {Service} b
 */
function worstFirst(a, b) {
  return (
    WORST_FIRST.indexOf(a.health_status) - WORST_FIRST.indexOf(b.health_status) ||
    badness(b) - badness(a) ||
    a.service.localeCompare(b.service)
  );
}

/** @param {Service} row */
function badness({ health_status: status, error_rate: rate, latency_p99_ms: p99 }) {
  if (status === "healthy" || status === "unknown") return 0;
  return Math.round(Math.log2(Math.max((rate ?? 0) / 20, (p99 ?? 0) / 1000, 1e-6)));
}
