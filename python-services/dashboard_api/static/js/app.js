/** The page: which view is shown, what it asks for, and what came of that. */

import { ApiError, ask } from "./api.js";
import { one } from "./dom.js";
import { listenToHands } from "./hands.js";
import { hear } from "./moment.js";
import { morph } from "./morph.js";
import { poll } from "./poller.js";
import { here } from "./router.js";
import { credential, forget } from "./session.js";
import { buildShell, markPlace, showAge, showHead, showTrouble } from "./shell.js";
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
  if (wanted !== view || (asked !== path && view.isNew?.(data, route))) {
    view?.leave?.();
    view = wanted;
    data = null;
    one("#main").replaceChildren(...view.skeleton());
    scrollTo(0, 0);
  }
  markPlace(view.place ?? view.name, view.title(route));
  if (asked === path) return show();
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
  const isLost = status <= 0 || status >= 500;
  nextTryMs = isLost ? performance.now() + nextInMs : null;
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

listenToHands({ refresh: () => poller?.now(), logOut, mayAct: () => !head || head.you.role === "admin" });
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
