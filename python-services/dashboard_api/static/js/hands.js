/** What hands on the page do: buttons (`data-do`), the filter, forms, and the keys. */

import * as actions from "./actions.js";
import { help, listenToKeys } from "./keys.js";
import { now } from "./moment.js";
import { freeRange, moved, rangeIn } from "./parts/ranges.js";
import { nextOrder } from "./parts/sorting.js";
import { change, here } from "./router.js";
import { switchTheme } from "./theme.js";
import { toast } from "./toast.js";

/**
 * @typedef {Object} Hands
 * @property {() => void} refresh
 * @property {() => void} logOut
 * @property {() => boolean} mayAct whether who is logged in may change anything
 */

/** @param {Hands} hands */
export function listenToHands(hands) {
  document.addEventListener("click", (event) => {
    const pressed = event.target instanceof Element && event.target.closest("[data-do]");
    if (pressed instanceof HTMLElement) press(pressed, hands);
  });
  document.addEventListener("input", ({ target }) => {
    if (target instanceof HTMLInputElement && target.id === "filter") change({ q: target.value });
  });
  document.addEventListener("change", ({ target }) => {
    if (target instanceof HTMLSelectElement) change({ [target.name]: target.value || null, before: null }, { step: true });
  });
  document.addEventListener("submit", (event) => {
    if (!(event.target instanceof HTMLFormElement) || event.target.dataset.form !== "range") return;
    event.preventDefault();
    const range = freeRange(new FormData(event.target));
    if (range) change(range, { step: true });
    else toast("The range has to begin before it ends.");
  });
  listenToKeys((name, row) => {
    if (!hands.mayAct()) return toast("Your role is reader: this needs the role admin.");
    const about = { ...row?.dataset };
    if (name === "acknowledge") actions.acknowledge(about, hands.refresh);
    else actions.silence(about, hands.refresh);
  });
}

/**
 * @param {HTMLElement} pressed
 * @param {Hands} hands
 */
function press(pressed, { refresh, logOut }) {
  const about = { ...pressed.dataset };
  /** @type {Record<string, () => void>} */
  const does = {
    theme: switchTheme,
    help,
    retry: refresh,
    "log-out": logOut,
    sort: () => change({ sort: nextOrder(here().params.get("sort") ?? "", about.by ?? "") }, { step: true }),
    "clear-filter": () => change({ q: null }),
    acknowledge: () => actions.acknowledge(about, refresh),
    silence: () => actions.silence(about, refresh),
    resolve: () => actions.resolve(about, refresh),
    "end-silence": () => actions.endSilence(about, refresh),
    replay: () => actions.replay(about, refresh),
    move: () => change(moved(...rangeIn(here().params, now() / 1000), about.by ?? "", now() / 1000), { step: true }),
    set: () => change({ [about.name ?? ""]: about.value || null, ...cleared(about.clear) }, { step: true }),
  };
  does[about.do ?? ""]?.();
}

/** @param {string | undefined} names */
function cleared(names) {
  return Object.fromEntries((names ?? "").split(" ").filter(Boolean).map((name) => [name, null]));
}
