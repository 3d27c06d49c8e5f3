import { assert, assertEquals, assertThrows } from "@std/assert";
import { jit, type JitArray, jitArray } from "@heddle/tensor/jit";
import { copyMemory } from "../../../tensor/jit/memory.ts";

const CLASSES = [
  Float64Array,
  Float32Array,
  Int32Array,
  Uint32Array,
  Int16Array,
  Uint16Array,
  Int8Array,
  Uint8Array,
] as const;

Deno.test("jit() stores and loads elements of every kind as typed arrays do", () => {
  const numbers = [0, -1, 300, 70000.7, -2147483649, 4294967297.5, NaN, 1e20];
  const store = (to: JitArray, from: Float64Array) => {
    for (let i = 0; i < to.length; i++) to[i] = from[i]!;
  };
  const load = (from: JitArray, to: Float64Array) => {
    for (let i = 0; i < to.length; i++) to[i] = from[i]!;
  };
  const from = Float64Array.from(numbers);
  for (const type of CLASSES) {
    const [got, want] = [new type(8), new type(8)];
    jit(store)(got, from);
    store(want, from);
    assertEquals(got, want);
    const [back, wanted] = [new Float64Array(8), new Float64Array(8)];
    jit(load)(got, back);
    load(want, wanted);
    assertEquals(back, wanted);
  }
});

const shift = (to: JitArray, from: JitArray) => {
  for (let i = 0; i < to.length; i++) to[i] = from[i]! + 1;
};

Deno.test("jit() sees what parts of one buffer have in common", () => {
  for (const at of [0, 1, 2]) {
    const [got, want] = [new Int32Array(8), new Int32Array(8)];
    jit(shift)(got.subarray(at), got.subarray(0, 8 - at));
    shift(want.subarray(at), want.subarray(0, 8 - at));
    assertEquals(got, want);
  }
  // Bytes of numbers that are written as a whole.
  const [got, want] = [new Float32Array(4), new Float32Array(4)];
  for (const [numbers, run] of [[got, jit(shift)], [want, shift]] as const) {
    const bytes = new Uint8Array(numbers.buffer, 2, 9);
    run(numbers, numbers);
    run(bytes, new Uint8Array(numbers.buffer, 1, 9));
  }
  assertEquals(got, want);
});

Deno.test("jit() copies no more back than what was written", () => {
  const first = jit((x: Float64Array, y: Float64Array) => {
    x[0] = y.length;
  });
  const buffer = new Float64Array(4).buffer;
  const [x, y] = [new Float64Array(buffer, 0, 2), new Float64Array(buffer, 16)];
  first(x, y);
  assertEquals(new Float64Array(buffer), Float64Array.of(2, 0, 0, 0));
});

Deno.test("jit() takes arrays that have no elements", () => {
  const count = jit((x: Float64Array) => {
    let n = 0;
    for (const value of x) n += value === 0 ? 1 : 2;
    return n;
  });
  assertEquals(count(new Float64Array(0)), 0);
  assertEquals(count(Float64Array.of(0, 1)), 3);
});

Deno.test("jit() refuses arrays whose buffer was moved, and keeps no memory", () => {
  const [x, y] = [new Float64Array(1e6), new Float64Array(1)];
  structuredClone(y.buffer, { transfer: [y.buffer] });
  const f = jit((x: Float64Array, y: Float64Array) => x[0]! + y.length);
  assertEquals(f(x, x.subarray(0, 1)), 1);
  const before = copyMemory().memory.buffer.byteLength;
  for (let i = 0; i < 3; i++) {
    assertThrows(() => f(x, y), TypeError, "of an array is detached");
  }
  assertEquals(copyMemory().memory.buffer.byteLength, before);
});

Deno.test("jitArray() is used where it lies, also after memory has grown", () => {
  using x = jitArray(Float64Array, [1, 2, 3]);
  using y = jitArray(Float64Array, 3);
  const add = jit(shift);
  add(y, x);
  assertEquals([...y], [2, 3, 4]);
  // More than was there: memory grows.
  const large = new Float64Array(4_000_000);
  add(large, large);
  assertEquals(large.at(-1), 1);
  add(x, y);
  assertEquals([...x], [3, 4, 5]);
  // A part of one that overlaps.
  add(x.subarray(1), x.subarray(0, 2));
  assertEquals([...x], [3, 4, 5]);
});

Deno.test("jitArray() gives its memory back", () => {
  const addresses = new Set<number>();
  for (let i = 0; i < 100; i++) {
    using x = jitArray(Uint8Array, 1_000_000);
    addresses.add(x.byteOffset);
  }
  assert(addresses.size < 10);
  assertThrows(
    () => jitArray(Float64Array, -1),
    RangeError,
    "jitArray: the length must be a whole number from 0: got -1",
  );
  assertThrows(
    () => jitArray(Uint8ClampedArray as unknown as typeof Uint8Array, 1),
    TypeError,
    "jitArray: not a class of arrays that are compiled for: got Uint8Clamped",
  );
  assertThrows(
    () => jitArray(Float64Array, null as unknown as number),
    TypeError,
    "jitArray: neither a length nor elements: got null",
  );
  assertThrows(
    () => jitArray(Float64Array, 2 ** 32),
    RangeError,
    "not enough memory",
  );
});

Deno.test("jit() checks an index that was only looked at on some paths", () => {
  const get = jit((x: Float64Array, i: number) => {
    const isPositive = i < 2 && x[i]! > 0;
    return isPositive ? 1 : x[i]!;
  });
  assertEquals(get(Float64Array.of(1, -2, -3), 2), -3);
  assertThrows(() => get(new Float64Array(3), 100_000), RangeError, "100000");
  const either = jit((x: Float64Array, i: number) => {
    const isHigh = i >= 3 || x[i]! > 0;
    return isHigh ? x[i]! : 0;
  });
  assertThrows(() => either(new Float64Array(3), 3), RangeError, "index 3");
});

Deno.test("jit() loads an element again after a store that may change it", () => {
  const move = (x: Float64Array, y: Float64Array, i: number, j: number) => {
    const before = x[i]!;
    y[j] = before + 1;
    return 10 * x[i]! + before;
  };
  const numbers = Float64Array.of(1, 2, 3);
  assertEquals(jit(move)(numbers.slice(), numbers.slice(), 1, 1), 22);
  assertEquals(jit(move)(numbers, numbers, 1, 1), 32);
});

Deno.test("jit() notices an index out of range in a call that nobody uses", () => {
  const f = jit((x: Float64Array, at: number) => {
    Math.max(x[at]!, 13);
  });
  f(new Float64Array(2), 1);
  assertThrows(() => f(new Float64Array(2), 2), RangeError, "index 2 is out");
});
