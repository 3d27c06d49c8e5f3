import { defaultCollate, hostArray } from "@heddle/data";
import { assertEquals, assertThrows } from "@std/assert";

Deno.test("defaultCollate() stacks numbers, booleans and arrays", () => {
  assertEquals(defaultCollate([1, 2.5]), hostArray(Float32Array.of(1, 2.5)));
  assertEquals(
    defaultCollate([true, false]),
    hostArray(Uint8Array.of(1, 0)),
  );
  assertEquals(
    defaultCollate([BigInt64Array.of(1n), BigInt64Array.of(2n)]),
    hostArray(BigInt64Array.of(1n, 2n), [2, 1]),
  );
  const scalar = hostArray(Int32Array.of(4), []);
  assertEquals(
    defaultCollate([scalar, scalar]),
    hostArray(Int32Array.of(4, 4), [2]),
  );
  const empty = hostArray(new Float32Array(0), [0, 3]);
  assertEquals(
    defaultCollate([empty]),
    hostArray(new Float32Array(0), [1, 0, 3]),
  );
});

Deno.test("defaultCollate() keeps what it cannot stack", () => {
  assertEquals(defaultCollate(["a", "b"]), ["a", "b"]);
  assertEquals(defaultCollate([[1, 2], [3]]), [[1, 2], [3]]);
  assertEquals(defaultCollate([null]), [null]);
});

Deno.test("defaultCollate() copies: a batch survives its items", () => {
  const item = Float32Array.of(1);
  const batch = defaultCollate([item]);
  item[0] = 2;
  assertEquals(batch.data, Float32Array.of(1));
});

Deno.test("defaultCollate() refuses items that differ, and names one", () => {
  const row = (...values: number[]) => ({ x: Float32Array.from(values) });
  assertThrows(() => defaultCollate([]), RangeError, "no items");
  assertThrows(
    () => defaultCollate([row(1), row(2), row(3, 4)]),
    RangeError,
    "x has shape [1] in item 0 and [2] in item 2",
  );
  assertThrows(
    () => defaultCollate<unknown>([row(1), { x: Int32Array.of(1) }]),
    TypeError,
    "x of item 1 must be a Float32Array",
  );
  assertThrows(
    () => defaultCollate<unknown>([{ x: 1 }, { x: "1" }]),
    TypeError,
    "x of item 1 must be a number, as in item 0: got string",
  );
  assertThrows(
    () => defaultCollate<unknown>([{ x: 1 }, { y: 1 }]),
    TypeError,
    "item 1 has fields [y]: item 0 has [x]",
  );
  assertThrows(
    () =>
      defaultCollate([
        hostArray(new Uint8Array(6), [2, 3]),
        hostArray(new Uint8Array(6), [3, 2]),
      ]),
    RangeError,
    "[2, 3] in item 0 and [3, 2] in item 1",
  );
});
