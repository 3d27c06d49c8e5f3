/**
 * Where warnings go.
 *
 * @module
 */

/** Takes a warning: one sentence, or several parts with colons between. */
export type WarningHandler = (message: string) => void;

let handler: WarningHandler | null = null;

/** Warns: to the handler if there is one, else on the console. */
export function warn(message: string): void {
  if (handler) handler(message);
  // deno-lint-ignore no-console
  else console.warn(message);
}

/**
 * Sends warnings elsewhere than to `console.warn`: that a device runs slower
 * than it could, for one.
 *
 * @param take Gets each warning from now on; `null` brings the console back.
 *
 * @example Collect warnings
 * ```ts
 * import { onWarning, openDevice } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const warnings: string[] = [];
 * onWarning((message) => warnings.push(message));
 * using _device = await openDevice("wasm");
 * assertEquals(warnings, []); // memory is shared here
 * onWarning(null);
 * ```
 */
export function onWarning(take: WarningHandler | null): void {
  handler = take;
}
