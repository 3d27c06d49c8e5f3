/** What was thrown, in a form that every channel carries. */
export type WireError =
  | {
    readonly kind: "error";
    readonly name: string;
    readonly message: string;
    readonly stack: string | undefined;
    readonly cause: WireError | undefined;
    /** Of an `AggregateError`. */
    readonly errors: readonly WireError[] | undefined;
    /** Fields of its own that can be sent: `code` and the like. */
    readonly fields: Readonly<Record<string, unknown>>;
  }
  | { readonly kind: "value"; readonly value: unknown };

const CLASSES: Readonly<Record<string, ErrorConstructor>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** What an error has anyway. */
const OWN: readonly string[] = ["name", "message", "stack", "cause", "errors"];

/** Deep enough for causes of causes, and an end to circles. */
const MAX_DEPTH = 8;

/** Takes apart what was thrown, whatever that is. */
export function toWire(thrown: unknown, depth = 0): WireError {
  if (!isError(thrown)) {
    return { kind: "value", value: sendable(thrown) ? thrown : text(thrown) };
  }
  const inner = (value: unknown) =>
    depth < MAX_DEPTH ? toWire(value, depth + 1) : undefined;
  const fields: Record<string, unknown> = {};
  for (const name of Object.keys(thrown)) {
    const value = read(thrown, name);
    if (!OWN.includes(name) && sendable(value)) fields[name] = value;
  }
  const stack = read(thrown, "stack");
  const cause = read(thrown, "cause");
  const errors = read(thrown, "errors");
  return {
    kind: "error",
    name: text(read(thrown, "name")),
    message: text(read(thrown, "message")),
    stack: typeof stack === "string" ? stack : undefined,
    cause: cause === undefined ? undefined : inner(cause),
    errors: thrown instanceof AggregateError && Array.isArray(errors)
      ? errors.flatMap((error) => inner(error) ?? [])
      : undefined,
    fields,
  };
}

/** Less of it, for a channel that did not carry it: no fields, values as text. */
export function bare(wire: WireError): WireError {
  if (wire.kind === "value") return { kind: "value", value: text(wire.value) };
  return {
    ...wire,
    fields: {},
    cause: wire.cause && bare(wire.cause),
    errors: wire.errors?.map(bare),
  };
}

/** Puts together what {@linkcode toWire} took apart. */
export function fromWire(wire: WireError): unknown {
  if (wire.kind === "value") return wire.value;
  const cause = wire.cause && { cause: fromWire(wire.cause) };
  const error = wire.errors
    ? new AggregateError(wire.errors.map(fromWire), wire.message, cause)
    : new (CLASSES[wire.name] ?? Error)(wire.message, cause);
  const own = (name: string, value: unknown) =>
    Object.defineProperty(error, name, {
      value,
      configurable: true,
      writable: true,
    });
  if (error.name !== wire.name) own("name", wire.name);
  own("stack", wire.stack ?? `${wire.name}: ${wire.message}`);
  return Object.assign(error, wire.fields);
}

/** One line: `RangeError: too far`. */
export function summary(thrown: unknown): string {
  return isError(thrown)
    ? `${text(read(thrown, "name"))}: ${text(read(thrown, "message"))}`
    : `threw ${text(thrown)}`;
}

function sendable(value: unknown): boolean {
  if (typeof value === "function" || typeof value === "symbol") return false;
  if (typeof value !== "object" || value === null) return true;
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}

function text(value: unknown): string {
  try {
    return String(value);
  } catch { /* it has no text of its own */ }
  try {
    return Object.prototype.toString.call(value);
  } catch {
    return typeof value;
  }
}

/** A property, unless it cannot be read. */
function read(object: object, name: string): unknown {
  try {
    return (object as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

function isError(value: unknown): value is Error {
  try {
    return value instanceof Error;
  } catch { // a proxy that was revoked
    return false;
  }
}
