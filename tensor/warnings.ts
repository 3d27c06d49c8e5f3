/**
 * What users should know and no call can throw.
 *
 * @module
 */

/** Takes a warning. */
export type WarningHandler = (message: string) => void;

let handler: WarningHandler | null = null;

/**
 * Sends warnings elsewhere than to `console.warn`.
 *
 * @param to What takes them, or null for `console.warn` again.
 *
 * @example
 * ```ts
 * import { onWarning } from "@heddle/tensor";
 *
 * const heard: string[] = [];
 * onWarning((message) => heard.push(message));
 * onWarning(null);
 * ```
 */
export function onWarning(to: WarningHandler | null): void {
  handler = to;
}

/** Tells the user something once; the caller sees to the once. */
export function warn(message: string): void {
  if (handler) handler(message);
  else console.warn(message);
}
