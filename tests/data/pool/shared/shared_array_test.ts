import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  Barrier,
  Lock,
  SharedArray,
  type SharedDtype,
  SharedEvent,
  SharedValue,
} from "@heddle/data/pool";
import { revive } from "../../../../data/pool/shared/_revive.ts";
import { start } from "./threads.ts";

const NUMBERS = [
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "float32",
  "float64",
] as const;

Deno.test("SharedArray.add() loses nothing, in any type", async () => {
  const types = [...NUMBERS, "int64", "uint64"] as const;
  const arrays = types.map((dtype) => new SharedArray<SharedDtype>(dtype, 1));
  const threads = 3;
  const times = 5000;
  const barrier = new Barrier(threads);
  const workers = Array.from(
    { length: threads },
    () => start("addAtomically", barrier, arrays, times),
  );
  await Promise.all(workers.map((worker) => worker.result));
  for (const worker of workers) worker.terminate();
  const sum = threads * times;
  for (const array of arrays) {
    const Data = array.data.constructor as new (values: unknown) => ArrayLike<
      number
    >;
    const big = array.dtype === "int64" || array.dtype === "uint64";
    const bits = { int8: 256, uint8: 256, int16: 65536, uint16: 65536 };
    const wrapped = sum % (bits[array.dtype as "int8"] ?? 2 ** 32);
    assertEquals(
      array.data as unknown,
      new Data([big ? BigInt(sum) : wrapped]),
    );
  }
});

Deno.test("SharedArray reads and writes every type, and says what was there", () => {
  for (const dtype of NUMBERS) {
    const array = new SharedArray(dtype, [1, 2, 3]);
    assertEquals([array.length, array.dtype], [3, dtype]);
    array.set(2, 7);
    assertEquals(array.exchange(0, 5), 1);
    assertEquals(array.add(1, 10), 2);
    assertEquals(array.compareExchange(1, 2, 99), 12);
    assertEquals(array.compareExchange(1, 12, 13), 12);
    assertEquals([array.get(0), array.get(1), array.get(2)], [5, 13, 7]);
    assertEquals([...array.data], [5, 13, 7]);
  }
  for (const dtype of ["int64", "uint64"] as const) {
    const array = new SharedArray(dtype, [1n, 2n ** 60n]);
    assertEquals(array.add(1, 1n), 2n ** 60n);
    assertEquals(array.exchange(0, 3n), 1n);
    assertEquals([...array.data], [3n, 2n ** 60n + 1n]);
  }
});

Deno.test("SharedArray keeps what integers and floats do at their edges", () => {
  const bytes = new SharedArray("uint8", [255]);
  assertEquals([bytes.add(0, 2), bytes.get(0)], [255, 1]);
  bytes.set(0, 257);
  assertEquals(bytes.get(0), 1);
  const floats = new SharedArray("float32", [0.1, NaN, Infinity]);
  assertEquals(floats.get(0), Math.fround(0.1));
  assertEquals(floats.compareExchange(1, NaN, -0), NaN);
  assertStrictEquals(floats.compareExchange(1, 0, 1), -0);
  assertStrictEquals(floats.get(1), -0);
  assertEquals([floats.add(2, 1), floats.get(2)], [Infinity, Infinity]);
});

Deno.test("SharedArray refuses types, lengths and indices that cannot be", () => {
  assertThrows(
    () => new SharedArray("float16" as "float32", 1),
    TypeError,
    'SharedArray: unknown type of elements: got "float16": use one of int8',
  );
  for (const length of [-1, 0.5, NaN, {} as never]) {
    assertThrows(() => new SharedArray("int8", length), RangeError, "length");
  }
  const array = new SharedArray("int32", 2);
  for (const index of [-1, 2, 0.5, NaN]) {
    for (
      const call of [
        () => array.get(index),
        () => array.set(index, 1),
        () => array.add(index, 1),
        () => array.exchange(index, 1),
        () => array.compareExchange(index, 0, 1),
      ]
    ) {
      assertThrows(call, RangeError, `index ${index} is out of range for 2`);
    }
  }
  assertEquals(new SharedArray("int32").length, 0);
});

Deno.test("SharedValue is one number, the same in its clones", () => {
  const value = new SharedValue("float64", 1.5);
  const clone = SharedValue.from(structuredClone(value));
  clone.value = 2.5;
  assertEquals([value.add(1), value.value, clone.dtype], [2.5, 3.5, "float64"]);
  assertEquals(clone.exchange(4), 3.5);
  assertEquals([value.compareExchange(4, 5), value.value], [4, 5]);
  assertEquals(new SharedValue("int64").value, 0n);
  assertThrows(
    () => SharedValue.from(structuredClone(new SharedArray("int8", 1))),
    TypeError,
    "SharedValue.from: expected what arrived of a SharedValue: got SharedArray",
  );
});

Deno.test("revive() finds shared objects in arrays and records, and nothing else", () => {
  const lock = new Lock();
  const counts = new SharedArray("int32", 1);
  const sent: Record<string, unknown> = {
    lock,
    list: [1, { event: new SharedEvent(), value: new SharedValue("int8") }],
    counts,
    map: new Map([["lock", lock]]),
    date: new Date(0),
    handle: { kind: "constructor" },
  };
  sent.self = sent;
  const arrived = revive(structuredClone(sent)) as typeof sent;
  const list = arrived.list as [number, Record<string, unknown>];
  assertEquals(
    [arrived.lock, arrived.counts, list[1].event, list[1].value].map((part) =>
      part!.constructor
    ),
    [Lock, SharedArray, SharedEvent, SharedValue] as never,
  );
  assertStrictEquals(arrived.self, arrived);
  assertEquals(arrived.handle, { kind: "constructor" });
  assertEquals(arrived.date, new Date(0));
  (arrived.counts as SharedArray<"int32">).add(0, 3);
  assertEquals(counts.get(0), 3);
  assertEquals([revive(null), revive(1), revive("a")], [null, 1, "a"] as never);
});

Deno.test("SharedArray without a lock loses increments: the tests' race is one", async () => {
  const counter = new SharedArray("int32", 1);
  // Machines with one core may be lucky: it is tried until one is lost.
  for (let tries = 0; tries < 20; tries++) {
    counter.set(0, 0);
    const barrier = new Barrier(2);
    const times = 500_000;
    const threads = [1, 2].map(() => start("race", barrier, counter, times));
    await Promise.all(threads.map((thread) => thread.result));
    for (const thread of threads) thread.terminate();
    if (counter.get(0) < 2 * times) return;
  }
  throw new Error("no increment was ever lost");
});
