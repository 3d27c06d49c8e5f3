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
 * Makes shared objects in what a message brought, as deep as arrays, plain
 * objects, maps and sets go, what they were when they were sent. In place: a message's values
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
    if (value instanceof Map || value instanceof Set) {
      reviveCollection(value, (seen ?? new Set()).add(value));
      return value;
    }
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

function reviveCollection(
  collection: Map<unknown, unknown> | Set<unknown>,
  seen: Set<unknown>,
): void {
  if (collection instanceof Set) {
    const parts = [...collection];
    const whole = parts.map((part) => reviveIn(part, seen));
    if (whole.every((part, at) => part === parts[at])) return;
    collection.clear(); // the order is to stay
    for (const part of whole) collection.add(part);
    return;
  }
  const entries = [...collection];
  const whole = entries.map((entry) =>
    entry.map((part) => reviveIn(part, seen)) as [unknown, unknown]
  );
  if (
    whole.every(([key, part], at) =>
      key === entries[at]![0] && part === entries[at]![1]
    )
  ) return;
  collection.clear();
  for (const [key, part] of whole) collection.set(key, part);
}
