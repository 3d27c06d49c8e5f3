import { type Fold, kFolds, stratifiedKFolds } from "@heddle/data";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";

/** Every item validates once, and trains in all other folds. */
function assertPartition(folds: readonly Fold[], count: number): void {
  const all = folds.flatMap(({ validation }) => [...validation]);
  const ascending = Array.from({ length: count }, (_, index) => index);
  assertEquals(all.toSorted((a, b) => a - b), ascending);
  for (const { train, validation } of folds) {
    const both = [...train, ...validation].toSorted((a, b) => a - b);
    assertEquals(both, ascending);
    assertEquals(train, train.toSorted());
    assertEquals(validation, validation.toSorted());
  }
}

function spread(sizes: readonly number[]): number {
  return Math.max(...sizes) - Math.min(...sizes);
}

Deno.test("kFolds() splits into parts of nearly one size", () => {
  for (const [count, folds] of [[10, 5], [11, 5], [14, 5], [2, 2], [7, 7]]) {
    const splits = kFolds(count!, folds!, { seed: 4 });
    assertEquals(splits.length, folds);
    assertPartition(splits, count!);
    assert(spread(splits.map(({ validation }) => validation.length)) <= 1);
  }
});

Deno.test("kFolds() without shuffle cuts runs", () => {
  const folds = kFolds(5, 2, { shuffle: false });
  assertEquals(folds.map(({ validation }) => [...validation]), [
    [0, 1, 2],
    [3, 4],
  ]);
});

Deno.test("kFolds() depends on its seed", () => {
  assertEquals(kFolds(50, 5, { seed: 1 }), kFolds(50, 5, { seed: 1 }));
  assertNotEquals(kFolds(50, 5, { seed: 1 }), kFolds(50, 5, { seed: 2 }));
  assertEquals(kFolds(50, 5), kFolds(50, 5, { seed: 0, shuffle: true }));
});

Deno.test("stratifiedKFolds() deals each class and the whole evenly", () => {
  const labels = Array.from(
    { length: 103 },
    (_, index) => ["a", "b", "b", "c", "c", "c", "c"][index % 7]!,
  );
  for (const shuffle of [true, false]) {
    const folds = stratifiedKFolds(labels, 5, { shuffle, seed: 9 });
    assertPartition(folds, labels.length);
    assert(spread(folds.map(({ validation }) => validation.length)) <= 1);
    for (const label of ["a", "b", "c"]) {
      const counts = folds.map(({ validation }) =>
        validation.filter((index) => labels[index] === label).length
      );
      assert(spread(counts) <= 1, `${label}: ${counts}`);
    }
  }
});

Deno.test("stratifiedKFolds() takes typed arrays and depends on its seed", () => {
  const labels = Uint8Array.from({ length: 40 }, (_, index) => index % 2);
  const one = stratifiedKFolds(labels, 4, { seed: 1 });
  assertEquals(one, stratifiedKFolds(labels, 4, { seed: 1 }));
  assertNotEquals(one, stratifiedKFolds(labels, 4, { seed: 2 }));
});

Deno.test("stratifiedKFolds() refuses a class that a fold would lack", () => {
  assertThrows(
    () => stratifiedKFolds(["a", "a", "a", "rare"], 2),
    RangeError,
    "class rare has 1 items for 2 folds",
  );
});

Deno.test("kFolds() and stratifiedKFolds() refuse counts out of range", () => {
  for (const folds of [1, 0, -2, 2.5, 4]) {
    assertThrows(() => kFolds(3, folds), RangeError, "kFolds");
    assertThrows(
      () => stratifiedKFolds([0, 0, 0], folds),
      RangeError,
      "stratifiedKFolds",
    );
  }
});
