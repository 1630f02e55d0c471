/** The four charts of a service, with one crosshair. */

import { h } from "../dom.js";
import { change } from "../router.js";
import { onTheme } from "../theme.js";
import { CHARTS } from "./kinds.js";
import { options } from "./options.js";

const NARROWEST_S = 300;
const HEIGHT = 168;

/** @type {Promise<any> | null} the library; null: not asked for yet */
let loading = null;
/** @type {{place: HTMLElement, plots: any[], data: any, stop: () => void} | null} */
let shown = null;

export const charts = {
  /**
   * Draw them, or draw them anew.
   * @param {HTMLElement} place
   * @param {any} data answer of the API about a service
   */
  async show(place, data) {
    loading ??= load();
    const Plot = await loading;
    if (!place.isConnected) return;
    if (!Plot) return missing(place);
    if (shown?.place !== place) {
      charts.remove();
      build(Plot, place, data);
    } else {
      shown.data = data;
      shown.plots.forEach((plot, at) => feed(plot, CHARTS[at], data));
    }
  },

  remove() {
    shown?.plots.forEach((plot) => plot.destroy());
    shown?.stop();
    shown = null;
  },
};

/** The library, or null where it is not installed. */
async function load() {
  const vendor = (/** @type {string} */ name) => new URL(`../../vendor/${name}`, import.meta.url).href;
  try {
    const module = await import(vendor("uPlot.js"));
    document.head.append(h("link", { rel: "stylesheet", href: vendor("uPlot.css") }));
    return module.default;
  } catch {
    return null;
  }
}

/** @param {any} Plot @param {HTMLElement} place @param {any} data */
function build(Plot, place, data) {
  const figures = CHARTS.map(({ name, title, series }) =>
    h("figure", { class: "chart", "data-chart": name },
      h("figcaption", {},
        h("h2", {}, title),
        h("span", { class: "at muted" }),
        h("span", { class: "legend" }, series.map((one) =>
          h("span", { class: "entry" }, h("i", { class: `swatch ${one.colour}` }), one.label, h("output", {}))))),
      h("div", { class: "plot", role: "img" })));
  place.replaceChildren(...figures);
  const mine = { place, plots: /** @type {any[]} */ ([]), data, stop: () => {} };
  shown = mine;
  const hands = { zoom, back, data: () => mine.data };
  mine.plots = CHARTS.map((kind, at) => {
    const box = /** @type {HTMLElement} */ (figures[at].querySelector(".plot"));
    return new Plot(options(Plot, kind, figures[at], box.clientWidth, HEIGHT, hands), kind.columns(data), box);
  });
  mine.plots.forEach((plot, at) => describe(plot, CHARTS[at], data));
  const sizes = new ResizeObserver(() => {
    for (const plot of mine.plots) {
      const width = plot.root.parentElement.clientWidth;
      if (width && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  });
  sizes.observe(place);
  const ends = onTheme(() => {
    charts.remove();
    charts.show(place, mine.data);
  });
  mine.stop = () => {
    sizes.disconnect();
    ends();
  };
}

/** @param {any} plot @param {import("./kinds.js").Kind} kind @param {any} data */
function feed(plot, kind, data) {
  plot.setData(kind.columns(data), true);
  plot.root.dispatchEvent(new CustomEvent("fed"));
  describe(plot, kind, data);
}

/** For those who cannot see it. @param {any} plot @param {import("./kinds.js").Kind} kind @param {any} data */
function describe(plot, kind, data) {
  plot.root.parentElement.setAttribute("aria-label", `${kind.title}: ${kind.words(kind.columns(data))}`);
}

/** @param {number} from @param {number} to epoch seconds */
function zoom(from, to) {
  const more = Math.max(NARROWEST_S - (to - from), 0) / 2;
  change({ range: null, from: String(Math.floor(from - more)), to: String(Math.ceil(to + more)) }, { step: true });
}

function back() {
  if (history.state?.stepped) history.back();
  else change({ from: null, to: null });
}

/** @param {HTMLElement} place */
function missing(place) {
  place.replaceChildren(
    h("div", { class: "empty" },
      h("h2", {}, "No charts here"),
      h("p", {}, "The chart library is not installed on this server. Whoever runs it can fetch it:"),
      h("pre", {}, h("code", {}, "scripts/fetch-frontend.sh")),
      h("p", { class: "muted" }, "Everything else on this page works without it.")));
}
