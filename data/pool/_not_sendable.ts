import { describe } from "./remote.ts";

/** Copies a value as a message does, or throws. */
export type Clone = (value: unknown) => unknown;

/** Of the objects that stay where they are: what to do instead. */
const advice = new WeakMap<object, string>();

const staysHere = () => {};

/**
 * Makes an object one that no message carries. Without this it would arrive as
 * `{}`, since its private fields stay behind.
 *
 * @param instead What to do instead of sending it.
 */
export function keepHere(object: object, instead: string): void {
  advice.set(object, instead);
  // A clone has all properties but for private ones, and none has a function.
  Object.defineProperty(object, "staysHere", {
    value: staysHere,
    enumerable: true,
  });
}

/**
 * An error that names what no message can carry.
 *
 * @param what What was sent: `the argument`.
 * @param value It.
 * @param cause Why it could not be.
 * @param clone Tells what can be sent.
 * @param moving What needs no copy.
 */
export function notSendable(
  what: string,
  value: unknown,
  cause: unknown,
  clone: Clone = structuredClone,
  moving: readonly unknown[] = [],
): TypeError {
  const found = findCulprit(value, "", clone, new Set(moving));
  const where = found && found.path !== "" ? `${what}, ${found.path},` : what;
  return new TypeError(
    `${where} cannot be sent: ${whyNot(found?.culprit, cause)}`,
    { cause },
  );
}

/** As {@linkcode notSendable}, for a list of arguments. */
export function argumentsNotSendable(
  args: readonly unknown[],
  cause: unknown,
  clone: Clone = structuredClone,
  moving: readonly unknown[] = [],
): TypeError {
  const at = args.findIndex((value) =>
    findCulprit(value, "", clone, new Set(moving))
  );
  return at < 0
    ? notSendable("an argument", undefined, cause)
    : notSendable(`argument ${at}`, args[at], cause, clone, moving);
}

function whyNot(culprit: unknown, cause: unknown): string {
  const instead = advice.get(Object(culprit));
  if (instead !== undefined) return `got ${describe(culprit)}: ${instead}`;
  // The engine would quote all of its text.
  if (typeof culprit === "function") return `got ${describe(culprit)}`;
  return cause instanceof Error ? cause.message : String(cause);
}

/** The first part that cannot be sent, and the way to it. */
function findCulprit(
  value: unknown,
  path: string,
  clone: Clone,
  skip: Set<unknown>,
): { readonly culprit: unknown; readonly path: string } | undefined {
  if (skip.has(value)) return undefined;
  try {
    clone(value);
    return undefined;
  } catch { /* it, or a part of it */ }
  if (typeof value === "object" && value !== null) {
    skip.add(value); // what holds itself is looked at once
    if (advice.has(value)) return { culprit: value, path };
    const parts = [...partsOf(value)];
    for (const [name, part] of parts) {
      const found = findCulprit(part, path + name, clone, skip);
      if (found) return found;
    }
    if (parts.some(([, part]) => skip.has(part))) return undefined;
  }
  return { culprit: value, path };
}

function* partsOf(value: object): Iterable<readonly [string, unknown]> {
  if (value instanceof Map) {
    let at = 0;
    for (const [key, part] of value) {
      yield [`.keys()[${at++}]`, key];
      const isText = typeof key === "string" || typeof key === "number";
      yield [
        isText ? `.get(${JSON.stringify(key)})` : `.values()[${at - 1}]`,
        part,
      ];
    }
  } else if (value instanceof Set) {
    let at = 0;
    for (const part of value) yield [`.values()[${at++}]`, part];
  } else if (!ArrayBuffer.isView(value) && !(value instanceof EventTarget)) {
    for (const key of readKeys(value)) {
      const name = Array.isArray(value)
        ? `[${key}]`
        : /^[A-Za-z_$][\w$]*$/.test(key)
        ? `.${key}`
        : `[${JSON.stringify(key)}]`;
      try {
        const part = (value as Record<string, unknown>)[key];
        // The words of a shared object are its own affair.
        if (key !== "handle") yield [name, part];
      } catch { /* a getter that throws: the whole is to be named */ }
    }
  }
}

/** Names of properties, unless it is a proxy that was revoked. */
function readKeys(value: object): string[] {
  try {
    return Object.keys(value);
  } catch {
    return [];
  }
}
