import { emptyLike, isHostArray, isNumericArray } from "./_host_array.ts";
import type { HostArray, NumericArray } from "./host_array.ts";

/** What {@linkcode defaultCollate} makes of many values of one type. */
export type Stacked<Value> = [Value] extends [HostArray<infer Data>]
  ? HostArray<Data>
  : [Value] extends [NumericArray] ? HostArray<Value>
  : [Value] extends [number] ? HostArray<Float32Array>
  : [Value] extends [boolean] ? HostArray<Uint8Array>
  : Value[];

/** What {@linkcode defaultCollate} makes of many items of one type. */
export type Collated<Item> = [Item] extends
  [HostArray | NumericArray | number | boolean] ? Stacked<Item>
  : [Item] extends
    [string | bigint | symbol | null | undefined | readonly unknown[]] ? Item[]
  : [Item] extends [object]
    ? { readonly [Name in keyof Item]: Stacked<Item[Name]> }
  : Item[];

/**
 * Makes one batch of many items.
 *
 * Host arrays and typed arrays are stacked along a new first axis and keep
 * their type; numbers become float32, booleans uint8 (0 and 1). Of records each
 * field is stacked by itself. Anything else, a string say, stays in an array.
 *
 * @param items At least one, all of one kind and shape.
 * @returns The batch.
 * @throws {TypeError} If the items differ in kind, type or fields.
 * @throws {RangeError} If there is no item, or their shapes differ.
 *
 * @example Records of numbers, arrays and text
 * ```ts
 * import { defaultCollate } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const batch = defaultCollate([
 *   { weight: 0.5, ids: Int32Array.of(1, 2), name: "a" },
 *   { weight: 1.5, ids: Int32Array.of(3, 4), name: "b" },
 * ]);
 * assertEquals(batch, {
 *   weight: { data: Float32Array.of(0.5, 1.5), shape: [2] },
 *   ids: { data: Int32Array.of(1, 2, 3, 4), shape: [2, 2] },
 *   name: ["a", "b"],
 * });
 * ```
 */
export function defaultCollate<Item>(items: readonly Item[]): Collated<Item> {
  const [first] = items;
  if (items.length === 0) {
    throw new RangeError("defaultCollate: there are no items to make one of");
  }
  if (!isRecord(first)) return stack(items, "item") as Collated<Item>;
  const names = Object.keys(first);
  for (const [index, item] of items.entries()) {
    const got = isRecord(item) ? Object.keys(item) : [];
    if (got.length !== names.length || !names.every((n) => got.includes(n))) {
      throw new TypeError(
        `defaultCollate: item ${index} has fields [${got.join(", ")}]: item ` +
          `0 has [${names.join(", ")}]`,
      );
    }
  }
  return Object.fromEntries(
    names.map((name) => [
      name,
      stack(
        items.map((item) => (item as Record<string, unknown>)[name]),
        name,
      ),
    ]),
  ) as Collated<Item>;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !isHostArray(value) && !isNumericArray(value);
}

function stack(values: readonly unknown[], name: string): unknown {
  const [first] = values;
  if (typeof first === "number") {
    return scalars(new Float32Array(values.length), values, name);
  }
  if (typeof first === "boolean") {
    return scalars(new Uint8Array(values.length), values, name);
  }
  if (isNumericArray(first)) {
    return stackArrays(
      values.map((value) =>
        isNumericArray(value) ? { data: value, shape: [value.length] } : value
      ),
      name,
    );
  }
  return isHostArray(first) ? stackArrays(values, name) : [...values];
}

function scalars<Data extends Float32Array | Uint8Array>(
  data: Data,
  values: readonly unknown[],
  name: string,
): HostArray<Data> {
  for (const [index, value] of values.entries()) {
    if (typeof value !== typeof values[0]) {
      throw new TypeError(
        `defaultCollate: ${name} of item ${index} must be a ${typeof values[
          0
        ]}, as in ` +
          `item 0: got ${typeof value}`,
      );
    }
    data[index] = Number(value);
  }
  return { data, shape: [values.length] };
}

function stackArrays(values: readonly unknown[], name: string): HostArray {
  const first = values[0] as HostArray;
  const size = first.data.length;
  const data = emptyLike(first.data, values.length * size);
  for (const [index, value] of values.entries()) {
    if (!isHostArray(value) || value.data.constructor !== data.constructor) {
      throw new TypeError(
        `defaultCollate: ${name} of item ${index} must be a ` +
          `${data.constructor.name}, as in item 0`,
      );
    }
    const { shape } = value;
    if (
      shape.length !== first.shape.length ||
      shape.some((length, axis) => length !== first.shape[axis])
    ) {
      throw new RangeError(
        `defaultCollate: ${name} has shape [${first.shape.join(", ")}] in ` +
          `item 0 and [${shape.join(", ")}] in item ${index}: bring items to ` +
          `one shape, or give the loader a collate of its own`,
      );
    }
    (data as Float64Array).set(value.data as Float64Array, index * size);
  }
  return { data, shape: [values.length, ...first.shape] };
}
