import { callOf, noteCall } from "./_dataset_calls.ts";
import { isHostArray, isNumericArray, rowOf } from "./_host_array.ts";
import { type HostArray, hostArray, type NumericArray } from "./host_array.ts";

/**
 * Items by number: what a loader draws batches from.
 *
 * Anything with a length and a `get` will do; `get` may be asynchronous.
 */
export interface Dataset<Item> {
  /** How many items there are. */
  readonly length: number;
  /** Item `index`, from 0 to `length - 1`; always the same in one epoch. */
  get(index: number): Item | Promise<Item>;
  /**
   * Called before the first item of each epoch, also of a resumed one: for a
   * set that draws its items anew. It must depend on `epoch` only.
   */
  setEpoch?(epoch: number): void | Promise<void>;
}

/** What {@linkcode columns} takes: arrays of one length, by name. */
export type Columns = Readonly<
  Record<string, HostArray | NumericArray | readonly unknown[]>
>;

/** One row of {@linkcode Columns}. */
export type Row<Fields extends Columns> = {
  readonly [Name in keyof Fields]: Fields[Name] extends HostArray<infer Data>
    ? HostArray<Data>
    : Fields[Name] extends NumericArray ? HostArray<Fields[Name]>
    : Fields[Name] extends readonly (infer Value)[] ? Value
    : never;
};

/** A data set whose items are rows of columns. */
export interface ColumnDataset<Fields extends Columns>
  extends Dataset<Row<Fields>> {
  /** Row `index`, from 0 to `length - 1`. */
  get(index: number): Row<Fields>;
}

/**
 * A data set from columns: arrays whose first axis counts the items.
 *
 * A row of a typed array is a view with shape `[]`, so that batches keep the
 * type; of a plain array it is the element itself.
 *
 * @param fields Arrays of one length, by name. They are not copied.
 * @returns One item per row.
 * @throws {RangeError} If the lengths differ, or an array has no axis.
 *
 * @example Features and their classes
 * ```ts
 * import { columns, DataLoader, hostArray } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const data = columns({
 *   features: hostArray(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]),
 *   classes: Int32Array.of(0, 1, 0),
 * });
 * for await (const batch of new DataLoader(data, { batchSize: 3 })) {
 *   assertEquals(batch.features.shape, [3, 2]);
 *   assertEquals(batch.classes.data, Int32Array.of(0, 1, 0));
 * }
 * ```
 */
export function columns<Fields extends Columns>(
  fields: Fields,
): ColumnDataset<Fields> {
  const entries: [string, HostArray | readonly unknown[]][] = Object
    .entries(fields)
    .map(([name, field]) => [
      name,
      isNumericArray(field) ? hostArray(field) : field,
    ]);
  let length: number | undefined;
  for (const [name, field] of entries) {
    const rows = isHostArray(field) ? field.shape[0] : field.length;
    if (rows === undefined) {
      throw new RangeError(`columns: ${name} has no axis that counts the rows`);
    }
    length ??= rows;
    if (rows !== length) {
      throw new RangeError(
        `columns: ${name} has ${rows} rows: ${entries[0]![0]} has ${length}`,
      );
    }
  }
  return {
    length: length ?? 0,
    get: (index) =>
      Object.fromEntries(
        entries.map(([name, field]) => [
          name,
          isHostArray(field) ? rowOf(field, index) : field[index],
        ]),
      ) as Row<Fields>,
  };
}

/**
 * Some items of a data set, in the order given: one side of a fold, say.
 *
 * @param dataset Where the items are.
 * @param indices Which ones.
 * @returns A set of `indices.length` items.
 * @throws {RangeError} If an index is out of range.
 *
 * @example The first and the last
 * ```ts
 * import { columns, subset } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const words = columns({ word: ["a", "b", "c"] });
 * const ends = subset(words, [0, 2]);
 * assertEquals(await ends.get(1), { word: "c" });
 * ```
 */
export function subset<Item>(
  dataset: Dataset<Item>,
  indices: ArrayLike<number>,
): Dataset<Item> {
  for (let at = 0; at < indices.length; at++) {
    const index = indices[at]!;
    if (!Number.isInteger(index) || index < 0 || index >= dataset.length) {
      throw new RangeError(
        `subset: index ${index} is out of range for ${dataset.length} items`,
      );
    }
  }
  const chosen: Dataset<Item> = {
    length: indices.length,
    get: (index) => dataset.get(indices[index]!),
    setEpoch: (epoch) => dataset.setEpoch?.(epoch),
  };
  const call = callOf(dataset);
  if (call !== undefined) {
    const { moduleUrl, exportName } = call.f;
    noteCall(chosen, {
      f: {
        moduleUrl: import.meta.resolve("./_subset_call.ts"),
        exportName: "subsetOf",
      },
      args: [moduleUrl, exportName, call.args, Uint32Array.from(indices)],
    });
  }
  return chosen;
}
