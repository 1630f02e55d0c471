/** A status as shape, word and colour: any one of them is enough. */

import { h, s } from "../dom.js";

/** @type {Record<string, string>} */
const SHAPES = {
  unhealthy: "M6 0.5 11.5 6 6 11.5 0.5 6Z",
  degraded: "M6 1 11.5 11H0.5Z",
  healthy: "M6 2.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7",
  unknown: "M6 2.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7",
  info: "M2.5 2.5h7v7h-7Z",
};
/** @type {Record<string, string>} */
const ALIKE = { critical: "unhealthy", warning: "degraded", active: "unhealthy", resolved: "healthy" };

/** @param {string} status of a service, or severity of an alert */
export function shape(status) {
  const kind = ALIKE[status] ?? status;
  return s("svg", { class: `shape ${kind}`, viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" },
    s("path", { d: SHAPES[kind] ?? SHAPES.unknown }));
}

/**
 * @param {string} status
 * @param {string} [word]
 */
export function badge(status, word) {
  const shown = word ?? (status === "unknown" ? "no data" : status);
  return h("span", { class: `status ${ALIKE[status] ?? status}` }, shape(status), shown);
}
