import type { DelayedCall } from "./pool/delayed.ts";

const calls = new WeakMap<object, DelayedCall>();

/** Notes how workers make a data set. */
export function noteCall(dataset: object, call: DelayedCall): void {
  calls.set(dataset, call);
}

/** How workers make a data set, if they can. */
export function callOf(dataset: object): DelayedCall | undefined {
  return calls.get(dataset);
}
