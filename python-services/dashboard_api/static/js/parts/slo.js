/** What a service promised, what is left of it, and when that is used up, in words. */

import { h, s } from "../dom.js";
import { count, duration, number } from "../format.js";

const DAY_S = 86_400;
/** @type {Record<string, string>} */
const WORDS = { "1h": "Last hour", "6h": "Last 6 hours", "3d": "Last 3 days" };

/**
 * @typedef {Object} Level
 * @property {number | null} uptime_percent
 * @property {number | null} budget_left
 * @property {number | null} failed_requests_left
 * @property {number} days
 * @property {number} objective
 * @property {string} status
 * @property {{window: string, burn_rate: number | null, burning: boolean, severity: string}[]} burn_rates
 */

/** @param {Level | null} level */
export function budget(level) {
  if (!level || level.budget_left === null) return h("p", { class: "muted" }, "No traffic in 30 days: nothing was promised, nothing broken.");
  const left = level.budget_left;
  const share = Math.max(Math.min(left, 1), 0);
  const tone = left <= 0 ? "bad" : left < 0.25 ? "fair" : "good";
  return h("div", { class: "budget" },
    h("p", { class: `big ${tone}` }, left > 0 ? `${number(left * 100)} % left` : "Used up"),
    s("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
      s("rect", { class: "track", width: 100, height: 6 }),
      s("rect", { class: `left ${tone}`, width: (share * 100).toFixed(2), height: 6 })),
    h("p", { class: "muted" },
      `${level.uptime_percent?.toFixed(3)} % of ${level.objective} % over ${level.days} days: `,
      left > 0 ? `${count(level.failed_requests_left)} more may fail.` : `${count(-(level.failed_requests_left ?? 0))} too many failed.`),
    h("dl", { class: "burns" }, level.burn_rates.map((rate) => [
      h("dt", {}, WORDS[rate.window] ?? rate.window),
      h("dd", { class: rate.burning ? "bad" : null }, burn(rate.burn_rate, left, level.days),
        rate.burning ? h("span", { class: "tag" }, rate.severity === "page" ? "burns: act now" : "burns: look into it") : null),
    ]).flat()));
}

/**
 * @param {number | null} rate 1 uses up exactly all of the budget in the period
 * @param {number} left share of it
 * @param {number} days length of the period
 */
function burn(rate, left, days) {
  if (rate === null) return "no traffic";
  if (rate === 0) return "no failures";
  const times = `${number(rate)} times the budget`;
  if (left <= 0) return `${times}; nothing is left`;
  const lastsS = (left * days * DAY_S) / rate;
  return lastsS > days * DAY_S ? `${times}: it lasts` : `${times}: at this rate empty in ${duration(lastsS)}`;
}
