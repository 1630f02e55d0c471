/** Where one is, is in the part of the URL after #. */

/**
 * @typedef {Object} Route
 * @property {string[]} path its parts, decoded
 * @property {URLSearchParams} params
 */

/** @returns {Route} */
export function here() {
  const hash = location.hash.replace(/^#\/?/, "");
  const cut = hash.indexOf("?");
  const path = cut < 0 ? hash : hash.slice(0, cut);
  return {
    path: path.split("/").filter(Boolean).map(decoded),
    params: new URLSearchParams(cut < 0 ? "" : hash.slice(cut + 1)),
  };
}

/**
 * @param {string[]} path
 * @param {Record<string, string> | URLSearchParams} [params]
 */
export function linkTo(path, params = {}) {
  const query = new URLSearchParams(params).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/**
 * Change some parameters of where one is; null removes one.
 * @param {Record<string, string | null>} changes
 * @param {{step?: boolean}} [options] `step`: so that the back button undoes it
 */
export function change(changes, { step = false } = {}) {
  const { path, params } = here();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") params.delete(name);
    else params.set(name, value);
  }
  const link = linkTo(path, params);
  if (link === location.hash) return;
  if (step) {
    history.pushState({ stepped: true }, "", link);
  } else {
    history.replaceState(history.state, "", link);
  }
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody's hand wrote a stray percent sign
  }
}
