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

/** Deep enough for causes of causes, and an end to circles. */
const MAX_DEPTH = 8;

/** Takes apart what was thrown. */
export function toWire(thrown: unknown, depth = 0): WireError {
  if (!(thrown instanceof Error)) {
    return { kind: "value", value: sendable(thrown) ? thrown : text(thrown) };
  }
  const inner = (value: unknown) =>
    depth < MAX_DEPTH ? toWire(value, depth + 1) : undefined;
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(thrown)) {
    if (name !== "name" && sendable(value)) fields[name] = value;
  }
  return {
    kind: "error",
    name: text(thrown.name),
    message: text(thrown.message),
    stack: thrown.stack,
    cause: thrown.cause === undefined ? undefined : inner(thrown.cause),
    errors: thrown instanceof AggregateError
      ? thrown.errors.flatMap((error) => inner(error) ?? [])
      : undefined,
    fields,
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
  own("stack", wire.stack);
  return Object.assign(error, wire.fields);
}

/** For what no message can carry. */
export function notSendable(what: string, cause: unknown): TypeError {
  const why = cause instanceof Error ? cause.message : cause;
  return new TypeError(`${what} cannot be sent: ${why}`, { cause });
}

/** One line: `RangeError: too far`. */
export function summary(thrown: unknown): string {
  return thrown instanceof Error
    ? `${thrown.name}: ${thrown.message}`
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
  } catch {
    return Object.prototype.toString.call(value);
  }
}
