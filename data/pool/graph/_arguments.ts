import type { Task } from "./_task.ts";
import { type Future, taskOf } from "./future.ts";

/**
 * What a call takes for an argument: a value, its future, or an array, record,
 * map or set that has futures in it.
 */
export type Argument<Value> =
  | Value
  | Future<Value>
  | (Value extends readonly unknown[]
    ? { readonly [Index in keyof Value]: Argument<Value[Index]> }
    : Value extends ReadonlyMap<infer Key, infer Part>
      ? ReadonlyMap<Argument<Key>, Argument<Part>>
    : Value extends ReadonlySet<infer Part> ? ReadonlySet<Argument<Part>>
    : Value extends object
      ? { readonly [Name in keyof Value]: Argument<Value[Name]> }
    : never);

/** What becomes of futures in an array, record, map or set. */
export type Gathered<Value> = Value extends Future<infer Result> ? Result
  : Value extends readonly unknown[]
    ? { -readonly [Index in keyof Value]: Gathered<Value[Index]> }
  : Value extends ReadonlyMap<infer Key, infer Part>
    ? Map<Gathered<Key>, Gathered<Part>>
  : Value extends ReadonlySet<infer Part> ? Set<Gathered<Part>>
  : Value extends (...args: never[]) => unknown ? Value
  : Value extends object ? { [Name in keyof Value]: Gathered<Value[Name]> }
  : Value;

/** The tasks in a value, as deep as arrays, plain objects, maps and sets go. */
export function tasksIn(value: unknown): Task[] {
  const found = new Set<Task>();
  const seen = new Set<unknown>();
  const look = (part: unknown): void => {
    const task = taskOf(part);
    if (task) found.add(task);
    else if (isContainer(part) && !seen.has(part)) {
      seen.add(part);
      for (const inner of partsOf(part)) look(inner);
    }
  };
  look(value);
  return [...found];
}

/** The value with results in place of futures; what has none stays itself. */
export function withResults(value: unknown): unknown {
  const copies = new Map<unknown, unknown>();
  const copy = (part: unknown): unknown => {
    const task = taskOf(part);
    if (task) return task.value;
    if (!isContainer(part) || tasksIn(part).length === 0) return part;
    if (copies.has(part)) return copies.get(part);
    const made = part instanceof Map
      ? new Map()
      : part instanceof Set
      ? new Set()
      : Array.isArray(part)
      ? new Array(part.length)
      : {};
    copies.set(part, made); // before its parts, which may have it as a part
    if (part instanceof Map) {
      for (const [key, inner] of part) {
        (made as Map<unknown, unknown>).set(copy(key), copy(inner));
      }
      return made;
    }
    if (part instanceof Set) {
      for (const inner of part) (made as Set<unknown>).add(copy(inner));
      return made;
    }
    for (const [name, inner] of Object.entries(part)) {
      Object.defineProperty(made, name, {
        value: copy(inner),
        configurable: true,
        enumerable: true,
        writable: true,
      });
    }
    return made;
  };
  return copy(value);
}

function partsOf(container: object): Iterable<unknown> {
  if (container instanceof Map) return [...container].flat(1);
  return container instanceof Set ? container : Object.values(container);
}

function isContainer(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (
    Array.isArray(value) || value instanceof Map || value instanceof Set
  ) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
