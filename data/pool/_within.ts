/** The longest that a timer waits; what is longer needs none. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Waits for a promise, but not for ever.
 *
 * @param onLate Says what to do after `timeoutMs`.
 * @throws {RangeError} If `timeoutMs` is no number from 0.
 */
export async function within<T>(
  operation: string,
  promise: Promise<T>,
  timeoutMs: number | undefined,
  onLate: () => T,
): Promise<T> {
  if (timeoutMs === undefined) return await promise;
  if (typeof timeoutMs !== "number" || !(timeoutMs >= 0)) {
    throw new RangeError(
      `${operation}: the timeout must be a number of ms from 0: got ` +
        `${typeof timeoutMs === "object" ? "an object" : timeoutMs}`,
    );
  }
  if (timeoutMs > LONGEST_MS) return await promise;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  try {
    return await Promise.race([promise, late.then(onLate)]);
  } finally {
    clearTimeout(timer);
  }
}
