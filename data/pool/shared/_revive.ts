import { Barrier } from "./barrier.ts";
import { Lock } from "./lock.ts";
import { RLock } from "./rlock.ts";
import { Semaphore } from "./semaphore.ts";
import { SharedArray } from "./shared_array.ts";
import { SharedEvent } from "./shared_event.ts";
import { SharedValue } from "./shared_value.ts";

// deno-lint-ignore no-explicit-any
const KINDS: Readonly<Record<string, { from(clone: any): object }>> = {
  Barrier,
  Lock,
  RLock,
  Semaphore,
  SharedArray,
  SharedEvent,
  SharedValue,
};

/**
 * Makes shared objects in what a message brought, as deep as arrays and plain
 * objects go, what they were when they were sent. In place: a message's values
 * are the receiver's own.
 */
export function revive<T>(value: T): T {
  return reviveIn(value, undefined) as T;
}

function reviveIn(value: unknown, seen: Set<unknown> | undefined): unknown {
  if (typeof value !== "object" || value === null || seen?.has(value)) {
    return value;
  }
  const isArray = Array.isArray(value);
  if (!isArray) {
    if (Object.getPrototypeOf(value) !== Object.prototype) return value;
    const { handle } = value as { handle?: { kind?: unknown } };
    const kind = handle?.kind;
    if (typeof kind === "string" && Object.hasOwn(KINDS, kind)) {
      return KINDS[kind]!.from(value);
    }
  }
  const parts = value as Record<string | number, unknown>;
  let known = seen;
  // Not the keys of an array: as text they would take longer than the clone.
  for (const key of isArray ? value.keys() : Object.keys(value)) {
    const part = parts[key];
    if (typeof part !== "object" || part === null) continue;
    known ??= new Set();
    known.add(value);
    const whole = reviveIn(part, known);
    if (whole !== part) parts[key] = whole;
  }
  return value;
}
