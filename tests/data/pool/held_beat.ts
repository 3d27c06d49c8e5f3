/**
 * Holds back the heartbeat of the worker that runs it: timers set later stay,
 * the one that beats goes.
 *
 * @module
 */
export function hold(): void {
  const last = setTimeout(() => {});
  for (let id = 0; id <= Number(last); id++) clearInterval(id);
}
