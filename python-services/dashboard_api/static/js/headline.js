/** One sentence that says it all: is anything wrong, where, since when. */

import { duration, many } from "./format.js";
import { since, sinceHeard } from "./moment.js";

/**
 * @typedef {Object} Head
 * @property {string} timestamp
 * @property {{name: string, role: "reader" | "admin"}} you
 * @property {string} status
 * @property {{healthy: number, degraded: number, unhealthy: number, unknown: number}} services
 * @property {Record<string, {active: number, acknowledged: number, since: string | null}>} alerts
 * @property {{data_age_seconds: number | null, lag: number | null}} freshness
 */

export const AMBER_S = 5;
export const RED_S = 30;

/**
 * `brief` leaves out what changes by itself, for those who are read to.
 * @param {Head} head
 * @returns {{text: string, brief: string, tone: string}}
 */
export function sentence(head) {
  const services = aboutServices(head.services);
  const { text, brief, tone } = aboutAlerts(head.alerts);
  const worst = services.tone === "bad" || tone === "bad" ? "bad" : services.tone === "fair" || tone === "fair" ? "fair" : "good";
  return { text: `${services.text}, ${text}`, brief: `${services.text}, ${brief}.`, tone: worst };
}

/** @param {Head["services"]} counts */
function aboutServices({ healthy, degraded, unhealthy, unknown }) {
  const all = healthy + degraded + unhealthy + unknown;
  if (!all) return { text: "No services yet", tone: "good" };
  if (unhealthy) return { text: `${unhealthy} of ${many(all, "service")} unhealthy`, tone: "bad" };
  if (degraded) return { text: `${degraded} of ${many(all, "service")} degraded`, tone: "fair" };
  if (unknown === all) return { text: `${many(all, "service")} without traffic`, tone: "fair" };
  const silent = unknown ? `, ${unknown} without traffic` : "";
  return { text: unknown ? `${many(healthy, "service")} healthy${silent}` : `All ${many(all, "service")} healthy`, tone: "good" };
}

/** @param {Head["alerts"]} alerts */
function aboutAlerts(alerts) {
  for (const [severity, tone] of [["critical", "bad"], ["warning", "fair"], ["info", "good"]]) {
    const found = alerts[severity];
    if (!found || !(found.active + found.acknowledged)) continue;
    const brief = many(found.active + found.acknowledged, `${severity} alert`);
    const taken = found.acknowledged && (found.active ? ` (${found.acknowledged} acknowledged)` : ", acknowledged");
    const lasting = found.since ? ` for ${duration(since(found.since))}` : "";
    return { text: `${brief}${lasting}${taken || ""}`, brief: `${brief}${taken || ""}`, tone };
  }
  return { text: "no open alerts", brief: "no open alerts", tone: "good" };
}

/**
 * How old the data are by now, and what is being done about it (`doing`; null: nothing is wrong here).
 * @param {Head | null} head
 * @param {string | null} doing
 */
export function ageOf(head, doing) {
  if (!head) return { text: doing ?? "", tone: doing ? "bad" : "good" };
  const stored = head.freshness.data_age_seconds;
  if (stored === null) return { text: doing ?? "nothing consumed yet", tone: doing ? "bad" : "fair" };
  const age = stored + sinceHeard();
  const tone = age > RED_S ? "bad" : age > AMBER_S ? "fair" : "good";
  const reason = doing ?? (tone === "good" ? null : behind(head.freshness.lag));
  return { text: `data ${duration(age)} old${reason ? `: ${reason}` : ""}`, tone };
}

/** @param {number | null} lag */
function behind(lag) {
  if (lag) return `workers catch up with ${many(lag, "message")}`;
  return "no worker reports; looking again every 2 s";
}
