/** Asking the API. */

import { credential } from "./session.js";

const PATIENCE_MS = 10_000;

/** An answer that is an error, or that did not come (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} detail
   * @param {number} [waitS] what the server asks to wait
   */
  constructor(status, detail, waitS = 0) {
    super(detail);
    this.status = status;
    this.waitS = waitS;
  }
}

/**
 * The JSON under a path; raises ApiError. Of an answer that is not needed any more (`signal`) nothing comes.
 * @param {string} path
 * @param {{method?: string, body?: unknown, signal?: AbortSignal, as?: string | null}} [options]
 * @returns {Promise<any>}
 */
export async function ask(path, { method = "GET", body, signal, as = credential() } = {}) {
  const signals = [AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])];
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (as) headers.Authorization = as;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.any(signals),
      // What the browser remembers is none of ours, and it must not open a window of its own to ask.
      credentials: "omit",
    });
    if (answer.ok) return answer.status === 204 ? null : await answer.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, lost(error));
  }
  throw await problem(answer);
}

/** @param {unknown} error */
function lost(error) {
  const isLate = error instanceof DOMException && error.name === "TimeoutError";
  return isLate ? `The API gave no answer within ${PATIENCE_MS / 1000} s.` : "The API cannot be reached.";
}

/** @param {Response} answer */
async function problem(answer) {
  const waitS = Number(answer.headers.get("Retry-After")) || 0;
  let detail = `The API answered ${answer.status}.`;
  try {
    detail = (await answer.json()).detail ?? detail;
  } catch {
    // Not from the API itself, but from something in between.
  }
  return new ApiError(answer.status, detail, waitS);
}
