/** How a chart looks and what one can do with it, for uPlot. */

import { clock } from "../format.js";
import { now } from "../moment.js";
import { colour } from "../theme.js";
import { drawEpisodes, drawRunning, drawThresholds, lowestThreshold } from "./marks.js";

const LEFT = 52;
const RIGHT = 44;
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const DAY_S = 86_400;

/**
 * @typedef {Object} Hands
 * @property {(from: number, to: number) => void} zoom
 * @property {() => void} back
 * @property {() => any} data the newest answer
 */

/**
 * @param {any} Plot the library
 * @param {import("./kinds.js").Kind} kind
 * @param {HTMLElement} figure
 * @param {number} width
 * @param {number} height
 * @param {Hands} hands
 */
export function options(Plot, kind, figure, width, height, hands) {
  const faint = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  /** @type {Record<string, unknown>[]} */
  const axes = [
    { ...faint, values: times, space: 70, size: 28 },
    { ...faint, values: (/** @type {any} */ _plot, /** @type {number[]} */ at) => at.map((value) => COMPACT.format(value)), size: LEFT, space: 36 },
  ];
  const hasRisk = kind.series.some(({ scale }) => scale);
  if (hasRisk) axes.push({ ...faint, ...{ scale: "risk", side: 1, grid: { show: false }, size: RIGHT, splits: [0, 0.5, 1] } });
  return {
    width, height, axes,
    padding: [8, hasRisk ? 0 : RIGHT, 0, 0],
    legend: { show: false },
    scales: {
      x: { range: (/** @type {any} */ _plot, /** @type {number} */ from) => [from, end(hands.data().chart)] },
      y: { range: (/** @type {any} */ _plot, /** @type {number} */ _low, /** @type {number} */ high) => [0, top(high, kind, hands.data())] },
      risk: { range: [0, 1] },
    },
    series: [{}, ...kind.series.map((line) => looks(Plot, line))],
    bands: kind.band ? [{ series: kind.band, fill: colour("band") }] : [],
    cursor: {
      sync: { key: "service", filters: { pub: (/** @type {string} */ type) => type === "mousemove" || type === "mouseleave" } },
      drag: { x: true, y: false, setScale: false },
      y: false,
      points: { size: 6 },
      bind: { dblclick: () => () => { hands.back(); return null; } },
    },
    hooks: {
      drawClear: [
        (/** @type {any} */ plot) => drawEpisodes(plot, hands.data().alerts),
        (/** @type {any} */ plot) => drawRunning(plot, hands.data().chart),
      ],
      draw: [
        (/** @type {any} */ plot) => drawThresholds(plot, thresholds(kind, hands.data()), kind.unit),
        (/** @type {any} */ plot) => drawEpisodes(plot, hands.data().alerts, true),
      ],
      setCursor: [(/** @type {any} */ plot) => legend(plot, kind, figure, hands.data())],
      setData: [(/** @type {any} */ plot) => legend(plot, kind, figure, hands.data())],
      ready: [(/** @type {any} */ plot) => legend(plot, kind, figure, hands.data())],
      setSelect: [(/** @type {any} */ plot) => {
        const { left, width: wide } = plot.select;
        if (wide < 4) return;
        plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        hands.zoom(plot.posToVal(left, "x"), plot.posToVal(left + wide, "x"));
      }],
    },
  };
}

/** @param {any} Plot @param {import("./kinds.js").Line} line */
function looks(Plot, { look, colour: name, scale }) {
  const stroke = colour(name);
  const common = { scale: scale ?? "y", points: { show: false }, spanGaps: false };
  if (look === "bars") {
    return { ...common, fill: stroke, width: 0, paths: Plot.paths.bars({ size: [0.86, 40], align: 1 }) };
  }
  return { ...common, stroke, width: look === "edge" ? 1 : 1.75, points: { show: look === "line" ? undefined : false, size: 3 } };
}

/**
 * What the figures are under the crosshair, or else in the last step that is over.
 * @param {any} plot @param {import("./kinds.js").Kind} kind @param {HTMLElement} figure @param {any} data
 */
function legend(plot, kind, figure, data) {
  const { times, step_seconds: step } = data.chart;
  const over = times.findLastIndex((/** @type {number} */ start) => start + step <= now() / 1000);
  // A pointer that stays where it was may lie beyond what is shown since a zoom.
  const pointed = plot.cursor.idx ?? times.length;
  const last = over < 0 ? times.length - 1 : over;
  const at = pointed < times.length ? pointed : last;
  const place = figure.querySelector(".at");
  const isRunning = times[at] + step > now() / 1000;
  if (place) place.textContent = at < 0 ? "" : `${clock(times[at] * 1000)}${isRunning ? ", still running" : ""}`;
  figure.querySelectorAll("output").forEach((output, place) => {
    let value = plot.data[place + 1]?.[at] ?? null;
    if (kind.name === "traffic" && place === 0 && value !== null) value -= plot.data[2][at] ?? 0;
    output.textContent = kind.series[place].format(value);
  });
}

/** @param {import("./kinds.js").Kind} kind @param {any} data */
function thresholds({ metrics }, data) {
  return data.thresholds.filter((/** @type {any} */ each) => metrics.includes(each.metric_name));
}

/** As high as the highest, and so that the lowest threshold can be seen unless it is far away. @param {number | null} high @param {import("./kinds.js").Kind} kind @param {any} data */
function top(high, kind, data) {
  const limit = lowestThreshold(thresholds(kind, data));
  const highest = high ?? 0;
  const wanted = limit !== null && limit < Math.max(highest, 1e-9) * 20 ? Math.max(highest, limit * 1.1) : highest;
  return wanted > 0 ? wanted * 1.08 : 1;
}

/** @param {{times: number[], step_seconds: number}} chart */
function end({ times, step_seconds: step }) {
  return (times.at(-1) ?? 0) + step;
}

/** @param {any} _plot @param {number[]} at @param {number} _axis @param {number} _space @param {number} step */
function times(_plot, at, _axis, _space, step) {
  return at.map((each) => {
    const date = new Date(each * 1000);
    const isMidnight = date.getHours() === 0 && date.getMinutes() === 0;
    if (step >= DAY_S || isMidnight) return date.toLocaleDateString("en", { day: "numeric", month: "short" });
    return date.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  });
}
