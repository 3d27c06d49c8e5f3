/** Marks what stands for a number that JSON cannot write. */
const NUMBER_KEY = "$number";

/**
 * A copy of a value that `JSON.stringify` keeps to the bit: NaN, infinities
 * and -0 become `{ $number: "NaN" }` and the like.
 *
 * @throws {TypeError} If there is something in it that JSON cannot hold.
 */
export function toJson(
  operation: string,
  path: string,
  value: unknown,
): unknown {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : { [NUMBER_KEY]: Object.is(value, -0) ? "-0" : `${value}` };
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) {
        return Array.from(
          value,
          (part, at) => toJson(operation, `${path}[${at}]`, part),
        );
      }
      if (isPlain(value) && !Object.hasOwn(value, NUMBER_KEY)) {
        return Object.fromEntries(
          Object.entries(value)
            .filter(([, part]) => part !== undefined)
            .map(([name, part]) => [
              name,
              toJson(operation, `${path}.${name}`, part),
            ]),
        );
      }
  }
  throw new TypeError(
    `${operation}: ${path} cannot be written as JSON: got ${kindOf(value)}: ` +
      "use numbers, text, booleans, null, arrays and plain objects",
  );
}

/** The way back from {@link toJson}. */
export function fromJson(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(fromJson);
  if (Object.hasOwn(value, NUMBER_KEY)) {
    return Number((value as Record<string, unknown>)[NUMBER_KEY]);
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, fromJson(part)]),
  );
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function kindOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return typeof value;
  return isPlain(value)
    ? `an object with the key ${NUMBER_KEY}`
    : value.constructor.name;
}
