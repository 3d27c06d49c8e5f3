import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ByTypes } from "../../../tensor/jit/by_types.ts";
import type { ArgumentType } from "../../../tensor/jit/signature.ts";
import { jit, JitError, Random, setJitThreads } from "@heddle/tensor/jit";

Deno.test.afterAll(() => setJitThreads(1)); // ends the threads

const hit = jit((_i: number, random: Random) => {
  const x = random.next();
  const y = random.next();
  return x * x + y * y < 1 ? 1 : 0;
});

/** As many as a test needs to start threads. */
const MANY = 20_000_000;

Deno.test("sum() gives the same for any number of threads", async () => {
  const sums: number[] = [];
  for (const threads of [1, 2, 3]) {
    setJitThreads(threads);
    const random = new Random(9);
    sums.push(await hit.sum(MANY, random), random.next());
  }
  assertEquals(sums.slice(2), [...sums.slice(0, 2), ...sums.slice(0, 2)]);
  const error = 4 * sums[0]! / MANY - Math.PI;
  assert(Math.abs(error) < 5 * 1.65 / Math.sqrt(MANY)); // 5 deviations
});

Deno.test("sum() draws from random.split(block) for each block", async () => {
  const draw = jit((_i: number, random: Random) => random.next());
  // Up to 256 numbers, each is a block.
  const random = new Random(4);
  let want = 0;
  for (let i = 0; i < 200; i++) want += random.split(i).next();
  assertEquals(await draw.sum(200, new Random(4)), want);
});

Deno.test("map() gives the narrowest array that holds all results", async () => {
  const list = async (f: (i: number) => number | boolean) =>
    await jit(f).map(3);
  assertEquals(await list((i) => i / 4), Float64Array.of(0, 0.25, 0.5));
  assertEquals(
    await list((i) => Math.fround(i / 4)),
    Float32Array.of(0, 0.25, 0.5),
  );
  assertEquals(await list((i) => (i * 3) | 0), Int32Array.of(0, 3, 6));
  assertEquals(
    await list((i) => ~i >>> 0),
    Uint32Array.of(4294967295, 4294967294, 4294967293),
  );
  assertEquals(await list((i) => i === 1), Uint8Array.of(0, 1, 0));
});

Deno.test("map(), min() and max() take arrays and numbers", async () => {
  const x = Float64Array.from({ length: 1000 }, (_, i) => i * 0.37);
  const wave = (i: number, x: Float64Array, k: number) => Math.sin(x[i]! * k);
  const want = x.map((_, i) => wave(i, x, 0.5));
  const f = jit(wave);
  assertEquals(await f.map(1000, x, 0.5), want);
  assertEquals(await f.min(1000, x, 0.5), Math.min(...want));
  assertEquals(await f.max(1000, x, 0.5), Math.max(...want));
});

Deno.test("ranges are compiled for wider numbers where there are many", async () => {
  const f = (i: number, a: number, b: number, c: number) => i * a + b / c;
  const compiled = jit(f);
  const kinds = [3, -2, 0.5];
  for (const a of kinds) {
    for (const b of kinds) {
      for (const c of kinds) {
        const want = f(0, a, b, c) + f(1, a, b, c);
        assertEquals(await compiled.sum(2, a, b, c), want);
      }
    }
  }
  const mapped = jit((i: number, a: number, b: number, c: number) =>
    ((i + a + b + c) | 0) + 0.5
  );
  assertEquals(
    await Promise.all(kinds.map((c) => mapped.map(1, -1, 7, c))),
    [Float64Array.of(9.5), Float64Array.of(4.5), Float64Array.of(6.5)],
  );
});

Deno.test("ByTypes makes 8, and then of the widest whole numbers", () => {
  const kinds = ["u15", "u31", "i32", "f64"] as const;
  for (const widest of ["f64", "i32"] as const) {
    const made = new ByTypes<{ readonly types: readonly ArgumentType[] }>(
      widest,
    );
    for (const a of kinds) {
      for (const b of kinds) {
        const { types } = made.find([a, b, "f64[]"], (types) => ({ types }))!;
        const isNew = a === "i32" || a === "f64"; // behind the first 8
        const wide = [a, b].map((type) => type === "f64" ? type : widest);
        assertEquals(types, [...isNew ? wide : [a, b], "f64[]"]);
      }
    }
    assertEquals(made.all.length, widest === "f64" ? 9 : 12);
    assertEquals(made.find(["bool"], () => undefined), undefined);
  }
});

Deno.test("a range of nothing gives what is neutral", async () => {
  const f = jit((i: number) => i * 0.5);
  assertEquals(
    [await f.sum(0), await f.min(0), await f.max(0), await f.map(0)],
    [0, Infinity, -Infinity, new Float64Array(0)],
  );
});

Deno.test("each() writes arrays in place, on several threads", async () => {
  setJitThreads(2);
  const count = 200_000;
  const work = (i: number, out: Float64Array) => {
    let x = i;
    for (let k = 0; k < 100; k++) x = Math.sqrt(x + k);
    out[i] = x;
  };
  const [out, want] = [new Float64Array(count), new Float64Array(count)];
  await jit(work).each(count, out);
  for (let i = 0; i < count; i += 997) {
    work(i, want);
    assertEquals(out[i], want[i]);
  }
});

Deno.test("each() says which index is out of range, from any thread", async () => {
  setJitThreads(2);
  const slow = jit((i: number, out: Int32Array) => {
    let x = i;
    for (let k = 0; k < 1000; k++) x = (x * 5 + k) | 0;
    out[i] = x;
  });
  for (const count of [10, 100_000]) {
    await assertRejects(
      () => slow.each(count, new Int32Array(count - 1)),
      RangeError,
      `index ${count - 1} is out of range for out of length ${count - 1}`,
    );
  }
});

Deno.test("ranges that are begun together see what those before them did", async () => {
  setJitThreads(2);
  const random = new Random(3);
  const drawn = [hit.sum(3_000_000, random), hit.sum(3_000_000, random)];
  const again = new Random(3);
  const one = await hit.sum(3_000_000, again);
  assertEquals(await Promise.all(drawn), [
    one,
    await hit.sum(3_000_000, again),
  ]);
  setJitThreads(2); // the first of both waits until they are up
  const fill = jit((i: number, out: Float64Array, from: number) => {
    let x = i;
    for (let k = 0; k < 100; k++) x = Math.sqrt(x + k);
    out[from + i] = x;
  });
  const out = new Float64Array(600_000);
  const filled = [fill.each(300_000, out, 0), fill.each(300_000, out, 300_000)];
  setJitThreads(1); // amid it
  await Promise.all(filled);
  assertEquals(out.indexOf(0), -1);
});

Deno.test("setJitThreads() refuses what is no number of threads", () => {
  for (const wrong of [0, -1, 1.5, NaN, 1025, 1e9, "2" as never]) {
    assertThrows(
      () => setJitThreads(wrong),
      RangeError,
      "setJitThreads: the count must be a whole number from 1 to 1024: got",
    );
  }
});

Deno.test("ranges refuse one generator for two arguments", async () => {
  const both = jit((_i: number, a: Random, b: Random) => a.next() - b.next());
  const random = new Random(1);
  await assertRejects(
    async () => await both.sum(4, random, random),
    TypeError,
    "the same Random is passed twice",
  );
});

Deno.test("ranges refuse counts and functions that they cannot use", async () => {
  const nothing = jit((_i: number) => {});
  await assertRejects(
    async () => await nothing.sum(1.5),
    RangeError,
    "sum: the count must be a whole number from 0 to 2^31 - 1: got 1.5",
  );
  await assertRejects(
    async () => await nothing.map(1),
    JitError,
    "the function returns nothing, and map needs a number",
  );
  await assertRejects(
    async () => await jit((i: number) => i > 2).sum(1),
    JitError,
    "the function returns a boolean, and sum needs a number",
  );
});
