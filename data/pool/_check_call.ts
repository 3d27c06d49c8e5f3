import type { DelayedCall } from "./delayed.ts";
import { checkRemote, describe } from "./remote.ts";

/** `call` if it is one; plain JavaScript may pass the function itself. */
export function checkCall<Result>(
  operation: string,
  call: DelayedCall<Result>,
): DelayedCall<Result> {
  if (typeof call === "object" && call !== null && Array.isArray(call.args)) {
    checkRemote(operation, call.f);
    return call;
  }
  throw new TypeError(
    `${operation}: expected a delayed call: got ${describe(call)}: ` +
      "write delayed(f)(...args)",
  );
}

/** `args` if they are a list. */
export function checkArguments(operation: string, args: unknown): void {
  if (Array.isArray(args)) return;
  throw new TypeError(
    `${operation}: expected a list of arguments: got ${describe(args)}: ` +
      "pass [first, second]",
  );
}
