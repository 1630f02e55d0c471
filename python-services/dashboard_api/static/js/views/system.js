/** The pipeline behind the figures: how far behind it is, how fast it goes, what waits. */

import { h } from "../dom.js";
import { count, duration, number } from "../format.js";
import { channels } from "../parts/channels.js";
import { badge } from "../parts/status.js";
import { skeleton } from "./states.js";

const STALE_S = 30;

/** @type {{at: number, stored: number, rate: number | null} | null} */
let before = null;

export const system = {
  name: "system",
  title: () => "System",
  path: () => "overview/system",
  skeleton: () => skeleton(5),

  /** @param {any} data */
  render(data) {
    const { partitions, stored_latency: late } = data;
    return [
      h("h1", {}, "System"),
      partitions.length ? facts(data) : h("div", { class: "empty" }, h("h2", {}, "No worker has stored anything yet"),
        h("p", {}, "Start one:"), h("pre", {}, h("code", {}, ".venv/bin/stacklens analytics"))),
      late.events ? null : h("p", { class: "muted aloof" }, "No event of the last two minutes: how late events become visible is not known."),
      h("section", { class: "part", "aria-labelledby": "partitions-title" },
        h("h2", { id: "partitions-title" }, "Partitions of ", h("code", {}, data.topic)), table(partitions)),
      h("section", { class: "part", "aria-labelledby": "channels-title" },
        h("h2", { id: "channels-title" }, "Channels, last 24 hours"), channels(data.channels)),
      h("p", { class: "muted aloof" }, "Data age and lag grow while a worker's circuit breaker is open, to the database or to the broker. Each process tells its own: stacklens_circuit_breaker_state under its /metrics."),
    ].filter((node) => node !== null);
  },
  leave: () => { before = null; },
};

/** @param {any} data */
function facts(data) {
  const { partitions, stored_latency: late, evaluator } = data;
  const sum = (/** @type {string} */ name) => partitions.reduce((/** @type {number} */ all, /** @type {any} */ each) => all + (each[name] ?? 0), 0);
  const rate = throughput(Date.parse(data.head.timestamp) / 1000, sum("events_stored"));
  /** @type {[string, Node | string, string][]} */
  const shown = [
    ["Stored", rate === null ? "measuring" : `${number(rate)}/s`, `${count(sum("events_stored"))} in all`],
    ["Waiting", count(sum("lag")), "messages not read yet"],
    ["Visible after", late.p50_seconds === null ? "no data" : duration(late.p50_seconds), late.p95_seconds === null ? "" : `95 % within ${duration(late.p95_seconds)}, by the events' own times`],
    ["Dead letters", count(data.dead_letters_pending), `pending; ${count(sum("events_dead_lettered"))} ever`],
    ["Lost to retention", count(sum("events_lost")), "gone from Kafka before they were read"],
    ["Alert outbox", count(data.outbox_backlog), "transitions to be published"],
    ["Rules evaluated by", evaluator.holder ? h("bdi", {}, evaluator.holder) : badge("degraded", "nobody"), evaluator.holder ? "one process at a time" : "no alert can fire"],
  ];
  return h("dl", { class: "facts tiles" }, shown.map(([label, text, note]) =>
    h("div", {}, h("dt", {}, label), h("dd", {}, text), h("dd", { class: "note" }, note))));
}

/** Events a second since the answer before. @param {number} at @param {number} stored */
function throughput(at, stored) {
  if (!before || at > before.at) {
    const rate = before ? (stored - before.stored) / (at - before.at) : null;
    before = { at, stored, rate: rate !== null && rate >= 0 ? rate : null };
  }
  return before.rate;
}

/** @param {any[]} partitions */
function table(partitions) {
  const head = ["Lag", "Data age", "Stored", "Dead letters", "Next offset"];
  return h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Partition"), head.map((each) => h("th", { scope: "col", class: "number" }, each)))),
    h("tbody", {}, partitions.map((each) => {
      const isStale = (each.lag_age_seconds ?? STALE_S + 1) > STALE_S;
      return h("tr", { "data-key": each.partition },
        h("th", { scope: "row" }, String(each.partition)),
        h("td", { class: "number" }, count(each.lag)),
        h("td", { class: `number${isStale ? " bad" : ""}` }, each.data_age_seconds === null ? "never" : duration(each.data_age_seconds), isStale ? ", no worker reports" : ""),
        h("td", { class: "number" }, count(each.events_stored)),
        h("td", { class: "number" }, count(each.events_dead_lettered)),
        h("td", { class: "number" }, count(each.next_offset)));
    })));
}
