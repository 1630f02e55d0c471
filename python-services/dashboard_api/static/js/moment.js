/** The server's clock, as far as it is known here; the browser's own may be wrong. */

let serverMs = Date.now();
let heardMs = performance.now();

/** @param {string} timestamp what the newest answer says it is */
export function hear(timestamp) {
  serverMs = Date.parse(timestamp);
  heardMs = performance.now();
}

/** Milliseconds since 1970, there and now. */
export function now() {
  return serverMs + sinceHeard() * 1000;
}

/** Seconds since the newest answer came. */
export function sinceHeard() {
  return (performance.now() - heardMs) / 1000;
}

/**
 * Seconds from a moment until now.
 * @param {string} moment
 */
export function since(moment) {
  return (now() - Date.parse(moment)) / 1000;
}
