import type { Task } from "./_task.ts";
import { type Future, taskOf } from "./future.ts";

/**
 * What a call takes for an argument: a value, its future, or an array or record
 * that has futures in it.
 */
export type Argument<Value> =
  | Value
  | Future<Value>
  | (Value extends readonly unknown[]
    ? { readonly [Index in keyof Value]: Argument<Value[Index]> }
    : Value extends object
      ? { readonly [Name in keyof Value]: Argument<Value[Name]> }
    : never);

/** What becomes of futures in an array or record. */
export type Gathered<Value> = Value extends Future<infer Result> ? Result
  : Value extends readonly unknown[]
    ? { -readonly [Index in keyof Value]: Gathered<Value[Index]> }
  : Value extends (...args: never[]) => unknown ? Value
  : Value extends object ? { [Name in keyof Value]: Gathered<Value[Name]> }
  : Value;

/** The tasks in a value, as deep as arrays and plain objects go. */
export function tasksIn(value: unknown): Task[] {
  const found = new Set<Task>();
  const seen = new Set<unknown>();
  const look = (part: unknown): void => {
    const task = taskOf(part);
    if (task) found.add(task);
    else if (isContainer(part) && !seen.has(part)) {
      seen.add(part);
      for (const inner of Object.values(part)) look(inner);
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
    const made = Array.isArray(part) ? new Array(part.length) : {};
    copies.set(part, made); // before its parts, which may have it as a part
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

function isContainer(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
