/** One request every two seconds while somebody looks; none in a hidden tab. */

export const EVERY_MS = 2000;
const LONGEST_WAIT_MS = 30_000;

/**
 * @typedef {Object} Poller
 * @property {() => void} now ask at once
 * @property {() => void} stop
 */

/**
 * Call `load` again and again, and tell of what came or failed. After a failure the pauses grow.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {(data: T) => void} got
 * @param {(error: unknown, nextInMs: number) => void} failed
 * @returns {Poller}
 */
export function poll(load, got, failed) {
  let failures = 0;
  let timer = 0;
  let stopped = false;
  /** @type {AbortController | null} */
  let running = null;

  async function round() {
    clearTimeout(timer);
    if (stopped || document.hidden) return;
    running?.abort();
    const mine = (running = new AbortController());
    const began = performance.now();
    let pause = EVERY_MS;
    try {
      const data = await load(mine.signal);
      if (mine.signal.aborted) return;
      failures = 0;
      got(data);
    } catch (error) {
      if (mine.signal.aborted) return;
      failures += 1;
      pause = Math.min(EVERY_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
      failed(error, pause);
    }
    if (stopped || document.hidden) return;
    timer = setTimeout(round, Math.max(pause - (performance.now() - began), 250));
  }

  function seen() {
    if (document.hidden) {
      clearTimeout(timer);
      running?.abort();
    } else {
      round();
    }
  }

  document.addEventListener("visibilitychange", seen);
  addEventListener("online", round);
  round();
  return {
    now: round,
    stop() {
      stopped = true;
      clearTimeout(timer);
      running?.abort();
      document.removeEventListener("visibilitychange", seen);
      removeEventListener("online", round);
    },
  };
}
