import { checkRemote, type RemoteReference } from "./remote.ts";

/** A call that was not made yet. */
export interface DelayedCall<Result = unknown> {
  /** What is called. */
  readonly f: RemoteReference<never[], Result>;
  /** With what. */
  readonly args: readonly unknown[];
}

/**
 * Notes a call instead of making it, for {@linkcode parallel} and for the
 * initializer of a {@linkcode Pool}.
 *
 * @param f The function.
 * @returns Takes the arguments and gives the call.
 *
 * @example A call for later
 * ```ts
 * import { delayed, remote } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * export const double = remote(import.meta, function double(x: number) {
 *   return 2 * x;
 * });
 * assertEquals(delayed(double)(21).args, [21]);
 * ```
 */
export function delayed<Args extends unknown[], Result>(
  f: RemoteReference<Args, Result>,
): (...args: Args) => DelayedCall<Result> {
  checkRemote("delayed", f);
  return (...args) => ({
    f: f as unknown as RemoteReference<never[], Result>,
    args,
  });
}
