/** Numbers and times as people read them. Three significant digits; what is not known is a dash. */

export const NOTHING = "–";

const THREE = new Intl.NumberFormat("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECONDS = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

/** @param {number | null | undefined} value */
export function number(value) {
  if (value === null || value === undefined) return NOTHING;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 0.001) return "<0.001";
  return size < 1 ? value.toFixed(3) : THREE.format(value);
}

/** @param {number | null | undefined} value */
export function count(value) {
  return value === null || value === undefined ? NOTHING : WHOLE.format(value);
}

/**
 * `1 alert`, `2 alerts`.
 * @param {number} howMany
 * @param {string} what
 */
export function many(howMany, what) {
  return `${WHOLE.format(howMany)} ${what}${howMany === 1 ? "" : "s"}`;
}

/**
 * A length of time in its two largest units.
 * @param {number} seconds
 */
export function duration(seconds) {
  const s = Math.max(seconds, 0);
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, "h", minutes % 60, "min");
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

/**
 * @param {number} large @param {string} unit @param {number} small @param {string} smaller
 */
function two(large, unit, small, smaller) {
  return small ? `${large} ${unit} ${small} ${smaller}` : `${large} ${unit}`;
}

/**
 * A moment, with its day unless that is today; `precise` with seconds.
 * @param {string | number | Date} moment
 * @param {boolean} [precise]
 */
export function clock(moment, precise = false) {
  const date = new Date(moment);
  const time = (precise ? SECONDS : TIME).format(date);
  return date.toDateString() === new Date().toDateString() ? time : `${DAY.format(date)} ${time}`;
}

/** @type {Record<string, [string, string]>} */
const METRICS = {
  error_rate: ["error rate", "%"],
  latency_p50_ms: ["p50", "ms"],
  latency_p95_ms: ["p95", "ms"],
  latency_p99_ms: ["p99", "ms"],
  latency_mean_ms: ["mean latency", "ms"],
  latency_min_ms: ["shortest latency", "ms"],
  latency_max_ms: ["longest latency", "ms"],
  total_requests: ["requests", ""],
  avg_risk_score: ["mean risk", ""],
};

/** @param {string} metric */
export function metricName(metric) {
  return METRICS[metric]?.[0] ?? metric.replaceAll("_", " ");
}

/**
 * A value of a metric with its unit.
 * @param {string} metric
 * @param {number | null} value
 */
export function metricValue(metric, value) {
  const unit = METRICS[metric]?.[1];
  if (value === null) return "no data";
  return unit ? `${number(value)} ${unit}` : number(value);
}
