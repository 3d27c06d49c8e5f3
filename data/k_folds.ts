import { SeededRandom } from "./seeded_random.ts";

/** The two sides of one fold: indices of items, ascending. */
export interface Fold {
  /** What to learn from. */
  readonly train: Uint32Array;
  /** What to judge by; every item is here in exactly one fold. */
  readonly validation: Uint32Array;
}

/** How items are dealt to folds. */
export interface KFoldsOptions {
  /**
   * Whether the items are dealt in random order; else in runs (`kFolds`) or one
   * after the other (`stratifiedKFolds`).
   *
   * @default true
   */
  readonly shuffle?: boolean | undefined;
  /**
   * The seed of that order.
   *
   * @default 0
   */
  readonly seed?: number | undefined;
}

/**
 * Splits items into folds for cross-validation.
 *
 * The sizes of the folds differ by one at most.
 *
 * @param count How many items there are.
 * @param folds How many folds, from 2 to `count`.
 * @param options Order and seed.
 * @returns One split per fold.
 * @throws {RangeError} If `folds` is out of range.
 *
 * @example Every item validates once
 * ```ts
 * import { kFolds } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const folds = kFolds(5, 2, { seed: 3 });
 * assertEquals(folds.map(({ validation }) => validation.length), [3, 2]);
 * const all = folds.flatMap(({ validation }) => [...validation]);
 * assertEquals(all.sort(), [0, 1, 2, 3, 4]);
 * ```
 */
export function kFolds(
  count: number,
  folds: number,
  options: KFoldsOptions = {},
): Fold[] {
  checkFolds("kFolds", count, folds);
  const order = orderOf(count, options);
  const foldOf = new Uint32Array(count);
  const [small, larger] = [Math.floor(count / folds), count % folds];
  let at = 0;
  for (let fold = 0; fold < folds; fold++) {
    const end = at + small + (fold < larger ? 1 : 0);
    while (at < end) foldOf[order[at++]!] = fold;
  }
  return splits(foldOf, folds);
}

/**
 * Splits items into folds that each have the classes in the same proportions.
 *
 * Items are dealt round by class, so the sizes of the folds, and the numbers of
 * any one class in them, differ by one at most.
 *
 * @param labels The class of each item.
 * @param folds How many folds, from 2 to the size of the smallest class.
 * @param options Order and seed.
 * @returns One split per fold.
 * @throws {RangeError} If `folds` is out of range, or a class has fewer items,
 * so that a fold would have none of it.
 *
 * @example Each fold has one of each
 * ```ts
 * import { stratifiedKFolds } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const labels = ["cat", "cat", "dog", "dog"];
 * for (const { validation } of stratifiedKFolds(labels, 2)) {
 *   const classes = [...validation].map((index) => labels[index]);
 *   assertEquals(classes, ["cat", "dog"]);
 * }
 * ```
 */
export function stratifiedKFolds(
  labels: ArrayLike<number | string>,
  folds: number,
  options: KFoldsOptions = {},
): Fold[] {
  checkFolds("stratifiedKFolds", labels.length, folds);
  const members = new Map<number | string, number[]>();
  // In order of first appearance, whatever the shuffle: no class moves.
  for (let index = 0; index < labels.length; index++) {
    members.set(labels[index]!, []);
  }
  for (const index of orderOf(labels.length, options)) {
    members.get(labels[index]!)!.push(index);
  }
  const foldOf = new Uint32Array(labels.length);
  let dealt = 0;
  for (const [label, indices] of members) {
    if (indices.length < folds) {
      throw new RangeError(
        `stratifiedKFolds: class ${label} has ${indices.length} items for ` +
          `${folds} folds: use fewer folds, or join it with another class`,
      );
    }
    for (const index of indices) foldOf[index] = dealt++ % folds;
  }
  return splits(foldOf, folds);
}

function checkFolds(operation: string, count: number, folds: number): void {
  if (!Number.isInteger(folds) || folds < 2 || folds > count) {
    throw new RangeError(
      `${operation}: the number of folds must be from 2 to the ${count} ` +
        `items: got ${folds}`,
    );
  }
}

function orderOf(count: number, options: KFoldsOptions): Uint32Array {
  return options.shuffle ?? true
    ? new SeededRandom(options.seed ?? 0).permutation(count)
    : Uint32Array.from({ length: count }, (_, index) => index);
}

function splits(foldOf: Uint32Array, folds: number): Fold[] {
  const indices = Uint32Array.from(foldOf, (_, index) => index);
  return Array.from({ length: folds }, (_, fold) => ({
    train: indices.filter((index) => foldOf[index] !== fold),
    validation: indices.filter((index) => foldOf[index] === fold),
  }));
}
