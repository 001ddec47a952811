/**
 * Waits, unless `signal` ends it first.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const ended = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", ended);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", ended, { once: true });
  });
}

/**
 * How long to wait before the next attempt: twice as long each time, up to `most`, with jitter so that many clients don't
 * come back together.
 *
 * @param {number} attempt 0 for the first
 * @param {number} first milliseconds
 * @param {number} most milliseconds
 */
export function backoff(attempt, first, most) {
  return Math.min(most, first * 2 ** attempt) * (0.5 + Math.random() / 2);
}
