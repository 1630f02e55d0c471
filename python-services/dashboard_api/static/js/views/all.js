/** Which view shows which part of the product. */

import { alert } from "./alert.js";
import { alerts } from "./alerts.js";
import { deadLetters } from "./dead-letters.js";
import { service } from "./service.js";
import { services } from "./services.js";
import { system } from "./system.js";

/** @typedef {import("../router.js").Route} Route */

/**
 * @typedef {Object} View
 * @property {string} name
 * @property {string} [place] entry of the navigation that it belongs to
 * @property {(route: Route) => string} title
 * @property {(route: Route) => string} path what it asks the API for
 * @property {(route: Route, signal: AbortSignal) => Promise<any>} [load] when one path is not all of it
 * @property {() => Node[]} skeleton what stands there before anything has come
 * @property {(data: any, route: Route, head: import("../headline.js").Head | null) => Node[]} render
 * @property {(main: HTMLElement, data: any, route: Route) => void} [after] what has to be drawn once that is there
 * @property {(data: any, route: Route) => boolean} [isNew] whether what is shown is about something else
 * @property {() => void} [leave]
 */

/**
 * @param {Route} route
 * @returns {View}
 */
export function viewOf({ path: [first, second] }) {
  if (first === "services" && second !== undefined) return service;
  if (first === "alerts") return second === undefined ? alerts : alert;
  if (first === "dead-letters") return deadLetters;
  if (first === "system") return system;
  return services;
}
