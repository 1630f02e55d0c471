/** Who is logged in: kept for this tab alone, and sent only to this server. */

const KEY = "stacklens.credential";

/** @type {string | null} */
let kept = read();

/** The value of the header Authorization; null: nobody is logged in. */
export function credential() {
  return kept;
}

/**
 * @param {string} name
 * @param {string} password
 */
export function basic(name, password) {
  const bytes = new TextEncoder().encode(`${name}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

/** @param {string} value */
export function keep(value) {
  kept = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {
    // Not allowed here: it is kept until the page is loaded anew.
  }
}

export function forget() {
  kept = null;
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept.
  }
}

function read() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}
