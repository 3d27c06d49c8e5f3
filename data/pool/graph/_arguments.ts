import { copyContainer, isContainer, partsOf } from "./_containers.ts";
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
    // Known before it has its parts, which may have it as a part.
    return copyContainer(part, (made) => copies.set(part, made), copy);
  };
  return copy(value);
}
