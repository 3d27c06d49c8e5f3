import { SeededRandom } from "@heddle/data";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { philox } from "../../data/_philox.ts";

/** Counter, key and result: Random123 1.14.0, `kat_vectors`, philox4x32 10. */
const VECTORS: readonly [number[], [number, number], number[]][] = [
  [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
];

Deno.test("philox() gives the published vectors", () => {
  for (const [counter, key, want] of VECTORS) {
    const out = new Uint32Array(4);
    const [c0, c1, c2, c3] = counter as [number, number, number, number];
    philox(c0, c1, c2, c3, key, out);
    assertEquals([...out], want);
  }
});

Deno.test("SeededRandom draws the words of consecutive counters", () => {
  const random = new SeededRandom(0);
  assertEquals(
    Array.from({ length: 4 }, () => random.uint32()),
    VECTORS[0]![2],
  );
  const next = new Uint32Array(4);
  philox(1, 0, 0, 0, [0, 0], next);
  assertEquals(random.uint32(), next[0]);
});

Deno.test("SeededRandom restores from JSON to the same draws", () => {
  for (const before of [0, 1, 4, 7]) {
    const random = new SeededRandom(-5);
    for (let draw = 0; draw < before; draw++) random.uint32();
    const state = JSON.parse(JSON.stringify(random.state()));
    const want = Array.from({ length: 9 }, () => random.uint32());
    const again = SeededRandom.from(state);
    assertEquals(Array.from({ length: 9 }, () => again.uint32()), want);
  }
});

Deno.test("SeededRandom goes past 2^32 blocks", () => {
  const state = { key: [1, 2] as const, position: 2 ** 34 - 1 };
  const random = SeededRandom.from(state);
  random.uint32();
  const want = new Uint32Array(4);
  philox(0, 1, 0, 0, [1, 2], want);
  assertEquals(random.uint32(), want[0]);
});

Deno.test("SeededRandom.fold() depends on the seed and the name only", () => {
  const random = new SeededRandom(3);
  const want = random.fold(2).uint32();
  random.uint32();
  assertEquals(random.fold(2).uint32(), want);
  const names = [0, 1, 2, -1, 2 ** 40];
  const draws = new Set(names.map((name) => random.fold(name).uint32()));
  assertEquals(draws.size, names.length);
  assert(new SeededRandom(4).fold(2).uint32() !== want);
});

Deno.test("SeededRandom.integer() is even over its range", () => {
  const random = new SeededRandom(11);
  const counts = new Array<number>(6).fill(0);
  const draws = 60_000;
  for (let draw = 0; draw < draws; draw++) counts[random.integer(6)]!++;
  // Chi-squared with 5 degrees of freedom: 20.5 is the 0.1 % point.
  const expected = draws / 6;
  const statistic = counts.reduce(
    (sum, count) => sum + (count - expected) ** 2 / expected,
    0,
  );
  assert(statistic < 20.5, `chi-squared is ${statistic}`);
  assertEquals(random.integer(1), 0);
  assert(random.integer(2 ** 32) < 2 ** 32);
});

Deno.test("SeededRandom.uniform() and normal() have their moments", () => {
  const random = new SeededRandom(12);
  const count = 50_000;
  const uniform = Array.from({ length: count }, () => random.uniform(-1, 3));
  assert(uniform.every((value) => value >= -1 && value < 3));
  assertMoments(uniform, 1, 4 / Math.sqrt(12));
  const normal = Array.from({ length: count }, () => random.normal(2, 3));
  assertMoments(normal, 2, 3);
});

function assertMoments(values: number[], mean: number, std: number): void {
  const got = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - got) ** 2, 0) /
    values.length;
  // Five standard errors.
  const error = 5 * std / Math.sqrt(values.length);
  assert(Math.abs(got - mean) < error, `mean ${got}, not ${mean}`);
  assert(Math.abs(Math.sqrt(variance) - std) < error, `std is not ${std}`);
}

Deno.test("SeededRandom.permutation() moves every place about evenly", () => {
  const random = new SeededRandom(13);
  const counts = new Map<string, number>();
  for (let draw = 0; draw < 6000; draw++) {
    const order = random.permutation(3).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assertEquals(counts.size, 6);
  for (const count of counts.values()) assert(Math.abs(count - 1000) < 150);
  assertEquals(random.permutation(0), new Uint32Array(0));
  assertEquals(random.permutation(1), Uint32Array.of(0));
});

Deno.test("SeededRandom refuses what is no seed, limit, count or state", () => {
  const random = new SeededRandom(0);
  const wrong = [
    () => new SeededRandom(0.5),
    () => random.fold(NaN),
    () => random.integer(0),
    () => random.integer(2 ** 32 + 1),
    () => random.permutation(-1),
    () => random.restore({ key: [0, 2 ** 32], position: 0 }),
    () => random.restore({ key: [0, 0], position: -1 }),
  ];
  for (const call of wrong) assertThrows(call, RangeError, "SeededRandom");
});
