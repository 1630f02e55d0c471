/** Which range of time the charts show: some that are common, any other by hand, or by dragging. */

import { h } from "../dom.js";
import { clock, duration } from "../format.js";

/** @type {Record<string, number>} seconds of each */
const COMMON = { "15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 };
const USUAL = "1h";
const NARROWEST_S = 300;
const WIDEST_S = 30 * 86_400;
/** What the buttons do that need no mouse. */
const MOVES = [["earlier", "\u2039", "Earlier"], ["later", "\u203a", "Later"], ["closer", "+", "Zoom in"], ["wider", "\u2212", "Zoom out"]];

/**
 * The range in the URL as the API takes it.
 * @param {URLSearchParams} params
 * @returns {Record<string, string>}
 */
export function rangeQuery(params) {
  const free = freeIn(params);
  return free ? { from: iso(free[0]), to: iso(free[1]) } : { from: `-${commonIn(params)}` };
}

/**
 * The range in the URL, which may be ahead of what is drawn.
 * @param {URLSearchParams} params @param {number} now epoch seconds
 * @returns {[number, number]} from and to, epoch seconds
 */
export function rangeIn(params, now) {
  return freeIn(params) ?? [now - COMMON[commonIn(params)], now];
}

/** @param {URLSearchParams} params @returns {[number, number] | null} */
function freeIn(params) {
  const [from, to] = [seconds(params.get("from")), seconds(params.get("to"))];
  return from !== null && to !== null && from < to ? [from, to] : null;
}

/** @param {URLSearchParams} params */
function commonIn(params) {
  const range = params.get("range") ?? "";
  return Object.hasOwn(COMMON, range) ? range : USUAL;
}

/**
 * @param {URLSearchParams} params
 * @param {{step_seconds: number, times: number[]}} chart
 */
export function rangePicker(params, chart) {
  const isFree = freeIn(params) !== null;
  const current = isFree ? null : commonIn(params);
  const [first, last] = [chart.times[0], (chart.times.at(-1) ?? 0) + chart.step_seconds];
  return h("div", { class: "ranges" },
    h("div", { class: "segments", role: "group", "aria-label": "Range" },
      Object.keys(COMMON).map((each) => h("button", {
        type: "button", "data-do": "set", "data-name": "range", "data-value": each, "data-clear": "from to", "aria-pressed": String(each === current),
      }, each))),
    h("div", { class: "segments", role: "group", "aria-label": "Move the range" },
      MOVES.map(([by, sign, name]) => h("button", {
        type: "button", "data-do": "move", "data-by": by, title: name, "aria-label": name,
        disabled: first === undefined,
      }, sign))),
    h("details", { class: "free" },
      h("summary", {}, isFree ? `${clock(first * 1000)} to ${clock(last * 1000)}` : "Other range"),
      h("form", { "data-form": "range" },
        moment("from", "From", first), moment("to", "To", last),
        h("button", { type: "submit", class: "primary" }, "Show"))),
    h("span", { class: "muted" }, `One point is ${duration(chart.step_seconds).replace(".0", "")}.`),
    h("button", {
      type: "button", "data-do": "set", "data-name": "table", "data-value": params.has("table") ? "" : "yes",
      "aria-pressed": String(params.has("table")),
    }, "As a table"),
    h("span", { class: "muted mouse" }, "Drag to zoom, double click to go back."));
}

/**
 * The range after one of the moves; it ends now at the latest.
 * @param {number} from epoch seconds @param {number} to @param {string} by @param {number} now
 * @returns {{from: string, to: string, range: null}}
 */
export function moved(from, to, by, now) {
  const length = to - from;
  const wanted = { closer: Math.max(length / 2, NARROWEST_S), wider: Math.min(length * 2, WIDEST_S) }[by] ?? length;
  const shift = { earlier: -length / 2, later: length / 2 }[by] ?? 0;
  const end = Math.min((from + to + wanted) / 2 + shift, now);
  return { from: String(Math.floor(end - wanted)), to: String(Math.ceil(end)), range: null };
}

/**
 * What a form with a free range says; null: no range.
 * @param {FormData} form
 * @returns {{from: string, to: string, range: null} | null}
 */
export function freeRange(form) {
  const [from, to] = [form.get("from"), form.get("to")].map((text) => Math.floor(new Date(String(text)).getTime() / 1000));
  return from < to ? { from: String(from), to: String(to), range: null } : null;
}

/** @param {string} name @param {string} label @param {number | undefined} at */
function moment(name, label, at) {
  return h("label", {}, h("span", {}, label), h("input", { type: "datetime-local", name, value: at ? local(at) : "", required: true }));
}

/** @param {number} at epoch seconds, as an input for local times takes it */
function local(at) {
  const date = new Date(at * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {string | null} text */
function seconds(text) {
  return text !== null && /^\d{1,11}$/.test(text) ? Number(text) : null;
}

/** @param {number} at */
const iso = (at) => new Date(at * 1000).toISOString();
