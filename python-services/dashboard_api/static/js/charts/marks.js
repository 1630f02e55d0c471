/** What is drawn behind and over the lines: alerts, thresholds, the step that still runs. */

import { now } from "../moment.js";
import { colour } from "../theme.js";

/** Height of the strip above an alert's shade. */
const STRIP = 3;

/** @typedef {{threshold: number, severity: string, operator: string}} Threshold */

/**
 * Shade the time of each alert, or mark it by a strip on top.
 * @param {any} plot
 * @param {import("../parts/alert-card.js").Alert[]} alerts
 * @param {boolean} [isStrip]
 */
export function drawEpisodes(plot, alerts, isStrip = false) {
  const nowS = now() / 1000;
  for (const alert of [...alerts].sort(worstLast)) {
    if (!alert.active_since) continue;
    const until = alert.resolved_at ? Date.parse(alert.resolved_at) / 1000 : nowS;
    const tone = alert.severity === "critical" ? "bad" : "fair";
    const from = Date.parse(alert.active_since) / 1000;
    if (isStrip) shade(plot, from, until, colour(tone), STRIP);
    else shade(plot, from, until, colour(`shade-${tone}`));
  }
}

/** @param {{severity: string}} a @param {{severity: string}} b */
function worstLast(a, b) {
  return Number(a.severity === "critical") - Number(b.severity === "critical");
}

/**
 * The step that still runs is pale: its figures go on changing.
 * @param {any} plot
 * @param {{times: number[], step_seconds: number}} chart
 */
export function drawRunning(plot, { times, step_seconds: step }) {
  const last = times.at(-1);
  if (last !== undefined && last + step > now() / 1000) shade(plot, last, last + step, colour("shade"));
}

/**
 * @param {any} plot
 * @param {Threshold[]} thresholds
 * @param {string} unit
 */
export function drawThresholds(plot, thresholds, unit) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  for (const { threshold, severity } of thresholds) {
    if (threshold > plot.scales.y.max) continue;
    const y = Math.round(plot.valToPos(threshold, "y", true));
    const tone = colour(severity === "critical" ? "bad" : "fair");
    ctx.strokeStyle = ctx.fillStyle = tone;
    ctx.lineWidth = ratio;
    ctx.setLineDash([4 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillText(`${threshold}${unit === "%" ? " %" : ""}`, bbox.left + bbox.width + 4 * ratio, y);
  }
  ctx.restore();
}

/** @param {Threshold[]} thresholds */
export function lowestThreshold(thresholds) {
  return thresholds.length ? Math.min(...thresholds.map(({ threshold }) => threshold)) : null;
}

/** @param {any} plot @param {number} from @param {number} until @param {string} fill @param {number} [height] all of it */
function shade(plot, from, until, fill, height) {
  const { ctx, bbox, scales } = plot;
  const [first, last] = [Math.max(from, scales.x.min), Math.min(until, scales.x.max)];
  if (first >= last) return;
  const left = plot.valToPos(first, "x", true);
  ctx.save();
  ctx.fillStyle = fill;
  ctx.fillRect(left, bbox.top, Math.max(plot.valToPos(last, "x", true) - left, devicePixelRatio), height ? height * devicePixelRatio : bbox.height);
  ctx.restore();
}
