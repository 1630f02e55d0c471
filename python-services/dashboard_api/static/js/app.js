/** The page: which view is shown, what it asks for, and what the hands on it do. */

import * as actions from "./actions.js";
import { ApiError, ask } from "./api.js";
import { one } from "./dom.js";
import { help, listenToKeys } from "./keys.js";
import { hear } from "./moment.js";
import { morph } from "./morph.js";
import { freeRange } from "./parts/ranges.js";
import { nextOrder } from "./parts/sorting.js";
import { poll } from "./poller.js";
import { change, here } from "./router.js";
import { credential, forget } from "./session.js";
import { buildShell, markPlace, showAge, showHead, showTrouble } from "./shell.js";
import { switchTheme } from "./theme.js";
import { toast } from "./toast.js";
import { showLogin } from "./views/login.js";
import { denied, failed } from "./views/states.js";
import { viewOf } from "./views/all.js";

/** @typedef {import("./views/all.js").View} View */

const AGE_EVERY_MS = 500;

/** @type {View | null} */
let view = null;
/** @type {string | null} */
let path = null;
/** @type {any} */
let data = null;
/** @type {import("./headline.js").Head | null} */
let head = null;
/** @type {import("./poller.js").Poller | null} */
let poller = null;
/** @type {number | null} when the next try is made, after a failure */
let nextTryMs = null;

function enter() {
  buildShell();
  view = path = data = head = null;
  follow();
}

/** Show what the URL says. */
function follow() {
  if (!document.querySelector(".bar")) return; // nobody is logged in
  const route = here();
  const wanted = viewOf(route);
  const asked = wanted.path(route);
  if (wanted !== view) {
    view?.leave?.();
    view = wanted;
    data = null;
    one("#main").replaceChildren(...view.skeleton());
    scrollTo(0, 0);
  }
  markPlace(view.place ?? view.name, view.title(route));
  if (asked === path) return show();
  if (path === null || asked.split("?")[0] !== path.split("?")[0] || view.isNew?.(data, route)) data = null;
  path = asked;
  poller?.stop();
  poller = poll((signal) => (view ?? wanted).load?.(route, signal) ?? ask(wanted.path(route), { signal }), got, lost);
  show();
}

function show() {
  if (!view || !data) return;
  const main = one("#main");
  const route = here();
  morph(main, view.render(data, route, head));
  view.after?.(main, data, route);
}

/** @param {any} answer */
function got(answer) {
  data = answer;
  nextTryMs = null;
  if (answer.head) {
    hear(answer.head.timestamp);
    head = answer.head;
    showHead(answer.head);
  }
  showTrouble(null, true);
  tick();
  show();
}

/**
 * @param {unknown} error
 * @param {number} nextInMs
 */
function lost(error, nextInMs) {
  const status = error instanceof ApiError ? error.status : -1;
  if (status === 401) return logOut();
  nextTryMs = performance.now() + nextInMs;
  tick();
  if (status === 403) return one("#main").replaceChildren(...denied(head));
  if (status === 404 || status === 400) data = null;
  showTrouble(error, data !== null);
  if (!data) one("#main").replaceChildren(...failed(error));
}

function tick() {
  if (document.hidden || !document.querySelector("#age")) return;
  const waitS = nextTryMs === null ? null : Math.max(Math.ceil((nextTryMs - performance.now()) / 1000), 0);
  showAge(head, waitS === null ? null : waitS ? `connection lost, trying again in ${waitS} s` : "connection lost, trying again now");
}

function logOut() {
  poller?.stop();
  view?.leave?.();
  forget();
  showLogin(enter);
}

/** @param {HTMLElement} pressed */
function press(pressed) {
  const refresh = () => poller?.now();
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
    set: () => change({ [about.name ?? ""]: about.value || null, ...cleared(about.clear) }, { step: true }),
  };
  does[about.do ?? ""]?.();
}

/** @param {string | undefined} names */
function cleared(names) {
  return Object.fromEntries((names ?? "").split(" ").filter(Boolean).map((name) => [name, null]));
}

document.addEventListener("click", (event) => {
  const pressed = event.target instanceof Element && event.target.closest("[data-do]");
  if (pressed instanceof HTMLElement) press(pressed);
});
document.addEventListener("input", (event) => {
  if (event.target instanceof HTMLInputElement && event.target.id === "filter") change({ q: event.target.value });
});
document.addEventListener("change", (event) => {
  if (event.target instanceof HTMLSelectElement) change({ [event.target.name]: event.target.value || null, before: null }, { step: true });
});
document.addEventListener("submit", (event) => {
  if (!(event.target instanceof HTMLFormElement) || event.target.dataset.form !== "range") return;
  event.preventDefault();
  const range = freeRange(new FormData(event.target));
  if (range) change(range, { step: true });
  else toast("The range has to begin before it ends.");
});
listenToKeys((name, row) => {
  if (head && head.you.role !== "admin") return toast("Your role is reader: this needs the role admin.");
  const about = { ...row?.dataset };
  const refresh = () => poller?.now();
  if (name === "acknowledge") actions.acknowledge(about, refresh);
  else actions.silence(about, refresh);
});
addEventListener("hashchange", follow);
setInterval(tick, AGE_EVERY_MS);

async function start() {
  if (credential()) return enter();
  try {
    await ask("overview"); // where the API lets everybody in
    enter();
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) showLogin(enter);
    else enter();
  }
}

start();
