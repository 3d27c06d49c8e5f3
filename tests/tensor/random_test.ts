import {
  bernoulli,
  Generator,
  normal,
  permutation,
  randint,
  randomBits,
  type RandomKey,
  randomKey,
  type Tensor,
  tensor,
  uniform,
} from "@heddle/tensor";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { threefry } from "../../tensor/threefry.ts";
import { assertClose, assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";

Deno.test("threefry() gives the words of its authors' test vectors", () => {
  const cases: [number[], number[]][] = [
    [[0, 0, 0, 0], [0x6b200159, 0x99ba4efe]],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ];
  for (const [words, expected] of cases) {
    const [key0, key1, counter0, counter1] = words as [
      number,
      number,
      number,
      number,
    ];
    assertEquals(threefry(key0, key1, counter0, counter1), expected);
  }
});

/** Word 0 of each element's block. */
function bitsOf(key: RandomKey, count: number, word: 0 | 1 = 0): number[] {
  return Array.from(
    { length: count },
    (_, i) => threefry(...key.words, i, 0)[word],
  );
}

const KEYS = [randomKey(0), randomKey(7), randomKey(2 ** 53 - 1)];

deviceTest("randomBits() has the same bits on all devices", async () => {
  for (const key of KEYS) {
    const bits = randomBits(key, [5, 51]);
    assertEquals(bits.dtype, "uint32");
    await assertSame(bits.flatten(), bitsOf(key, 255));
  }
  assertEquals((await randomBits(KEYS[0]!, [0, 3]).data()).length, 0);
  await assertSame(randomBits(KEYS[1]!, []), bitsOf(KEYS[1]!, 1)[0]!);
});

const unit = (bits: number) => (bits >>> 8) / 2 ** 24;

deviceTest("uniform() has the same bits on all devices", async () => {
  for (const key of KEYS) {
    const expected = bitsOf(key, 301).map(unit);
    await assertSame(uniform(key, [301]), expected);
    await assertSame(
      uniform(key, [301], { low: -1 }),
      expected.map((u) => 2 * u - 1),
    );
    await assertClose(
      uniform(key, [301], { low: -0.3, high: 2.5 }),
      expected.map((u) => 2.8 * u - 0.3),
    );
  }
});

deviceTest("uniform() stays below its upper bound", async () => {
  const data = await uniform(randomKey(3), [20000], { low: 2, high: 3 }).data();
  assert(data.every((value) => value >= 2 && value <= 3));
});

deviceTest("bernoulli() has the same bits on all devices", async () => {
  for (const key of KEYS) {
    const drawn = bernoulli(key, 0.3, [301]);
    assertEquals(drawn.dtype, "bool");
    const below = Math.fround(0.3);
    await assertSame(
      drawn,
      bitsOf(key, 301).map((bits) => Number(unit(bits) < below)),
    );
  }
  await assertSame(bernoulli(KEYS[0]!, 0, [9]), new Array(9).fill(0));
  await assertSame(bernoulli(KEYS[0]!, 1, [9]), new Array(9).fill(1));
});

deviceTest("bernoulli() takes a probability for each element", async () => {
  const drawn = bernoulli(randomKey(5), tensor([0, 1, 0.5]), [400, 3]);
  const [never, always, half] = await drawn.cast("float32").mean({ axis: 0 })
    .data() as unknown as [number, number, number];
  assertEquals([never, always], [0, 1]);
  assert(Math.abs(half - 0.5) < 0.1);
});

deviceTest("randint() has the same bits on all devices", async () => {
  const ranges = [
    [0, 10],
    [-5, 6],
    [7, 8],
    [-(2 ** 30), 2 ** 30],
    [
      -(2 ** 31),
      0,
    ],
    [-(2 ** 31), 2 ** 31],
    [-(2 ** 31), 2 ** 31 - 1],
    [-3, 2 ** 31],
  ];
  for (const [low, high] of ranges as [number, number][]) {
    const drawn = randint(randomKey(9), [301], low, high);
    assertEquals(drawn.dtype, "int32");
    await assertSame(
      drawn,
      bitsOf(randomKey(9), 301).map((bits) => bits % (high - low) + low),
      `${low} to ${high}`,
    );
  }
});

deviceTest(
  "permutation() has every number once, alike on all devices",
  async () => {
    for (const n of [0, 1, 2, 100, 1000]) {
      const bits = bitsOf(randomKey(11), n);
      const expected = bits.map((_, i) => i).sort((a, b) =>
        bits[a]! - bits[b]!
      );
      const drawn = permutation(randomKey(11), n);
      assertEquals(drawn.dtype, "int32");
      await assertSame(drawn, expected);
    }
  },
);

deviceTest("normal() follows Box and Muller", async () => {
  for (const key of KEYS) {
    const [first, second] = [bitsOf(key, 201), bitsOf(key, 201, 1)];
    const expected = first.map((bits, i) =>
      Math.sqrt(-2 * Math.log(1 - unit(bits))) *
      Math.cos(2 * Math.PI * unit(second[i]!))
    );
    // WGSL's cosine, times a radius up to 5.8.
    const close = { rtol: 1e-4, atol: 3e-3 };
    await assertClose(normal(key, [201]), expected, close);
    await assertClose(
      normal(key, [201], { mean: 3, std: 0.5 }),
      expected.map((z) => 3 + z / 2),
      close,
    );
  }
});

/** Mean, deviation, and the third and fourth moments about it. */
async function momentsOf(x: Tensor): Promise<number[]> {
  const data = Array.from(await x.data());
  const mean = (list: number[]) =>
    list.reduce((a, b) => a + b, 0) / list.length;
  const center = mean(data);
  const std = Math.sqrt(mean(data.map((v) => (v - center) ** 2)));
  const scaled = data.map((v) => (v - center) / std);
  return [
    center,
    std,
    mean(scaled.map((z) => z ** 3)),
    mean(scaled.map((z) => z ** 4)),
  ];
}

deviceTest("normal() and uniform() have their moments", async () => {
  const count = 40000;
  const [mean, std, skew, kurtosis] = await momentsOf(
    normal(randomKey(1), [count]),
  );
  // Some five standard errors each.
  assert(Math.abs(mean!) < 5 / Math.sqrt(count));
  assert(Math.abs(std! - 1) < 4 / Math.sqrt(count));
  assert(Math.abs(skew!) < 5 * Math.sqrt(6 / count));
  assert(Math.abs(kurtosis! - 3) < 5 * Math.sqrt(24 / count));
  const [middle, spread, , flat] = await momentsOf(
    uniform(randomKey(2), [count]),
  );
  assert(Math.abs(middle! - 0.5) < 5 * 0.29 / Math.sqrt(count));
  assert(Math.abs(spread! - Math.sqrt(1 / 12)) < 0.003);
  assert(Math.abs(flat! - 1.8) < 0.03);
});

deviceTest(
  "uniform() fills its bins evenly, and neighbours are unrelated",
  async () => {
    const data = Array.from(await uniform(randomKey(4), [32000]).data());
    const bins = new Array<number>(32).fill(0);
    for (const value of data) bins[Math.floor(value * 32)]!++;
    const chiSquared = bins.reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
    assert(chiSquared < 70, `${chiSquared} for 31 degrees of freedom`);
    let product = 0;
    for (let i = 1; i < data.length; i++) {
      product += (data[i]! - 0.5) * (data[i - 1]! - 0.5);
    }
    assert(Math.abs(product / data.length * 12) < 0.03);
  },
);

Deno.test("RandomKey.fold() and split() give other keys, always the same", () => {
  const key = randomKey(42);
  assertEquals(key.fold(3).words, randomKey(42).fold(3).words);
  assertEquals(key.split(3).map(({ words }) => words), [
    key.fold(0).words,
    key.fold(1).words,
    key.fold(2).words,
  ]);
  assertEquals(key.split().length, 2);
  assertEquals(key.split(0), []);
  const seen = new Set<string>();
  const add = (some: RandomKey) => seen.add(`${some.words}`);
  add(key);
  for (let data = 0; data < 1000; data++) {
    add(key.fold(data));
    add(key.fold(2 ** 32 + data));
    add(key.fold(data).fold(data));
    add(randomKey(data + 100));
  }
  assertEquals(seen.size, 4001);
});

deviceTest("a folded key is no part of its key's own bits", async () => {
  const key = randomKey(42);
  const own = new Set(await randomBits(key, [4000]).data());
  for (const { words } of key.split(2000)) {
    assert(!own.has(words[0]) || !own.has(words[1]));
  }
});

Deno.test("Generator gives keys in order, and goes back to a state", () => {
  const generator = new Generator(5);
  const first = [generator.next(), generator.next()];
  const state = generator.state();
  const rest = [generator.next(), generator.next()];
  const again = new Generator(5);
  assertEquals([again.next(), again.next()], first);
  const restored = new Generator(99);
  restored.restore(JSON.parse(JSON.stringify(state)));
  assertEquals([restored.next(), restored.next()], rest);
  assertEquals(restored.state(), generator.state());
  assertNotEquals(new Generator(6).next().words, first[0]!.words);
});

Deno.test("random functions refuse seeds, shapes and ranges that are none", () => {
  const key = randomKey(1);
  for (const seed of [-1, 0.5, 2 ** 53, NaN]) {
    const message =
      `randomKey: the seed must be a whole number from 0 to 2^53 - 1: got ${seed}`;
    assertThrows(() => randomKey(seed), RangeError, message);
    assertThrows(() => new Generator(seed), RangeError, message);
  }
  assertThrows(
    () => uniform(key, [-1]),
    RangeError,
    "uniform: sizes must be whole numbers >= 0: got [-1]",
  );
  assertThrows(() => normal(key, [0.5]), RangeError, "normal: sizes");
  assertThrows(() => bernoulli(key, 0.5, [-1]), RangeError, "bernoulli: sizes");
  assertThrows(() => randint(key, [-1], 0, 2), RangeError, "randint: sizes");
  assertThrows(() => randomBits(key, [-1]), RangeError, "randomBits: sizes");
  assertThrows(() => permutation(key, -1), RangeError, "permutation: sizes");
  for (const p of [-0.1, 1.1, NaN]) {
    assertThrows(
      () => bernoulli(key, p, [1]),
      RangeError,
      `bernoulli: p must be 0 to 1: got ${p}`,
    );
  }
  assertThrows(
    () => bernoulli(key, tensor([0.5, 0.5]), [3]),
    RangeError,
    "bernoulli: ",
  );
  for (const [low, high] of [[2, 1], [NaN, 1], [0, Infinity]]) {
    assertThrows(
      () => uniform(key, [1], { low: low!, high: high! }),
      RangeError,
      `uniform: needs finite bounds low <= high: got ${low} and ${high}`,
    );
  }
  for (const [mean, std] of [[0, -1], [0, NaN], [Infinity, 1]]) {
    assertThrows(
      () => normal(key, [1], { mean: mean!, std: std! }),
      RangeError,
      `normal: needs a finite mean and std of 0 or more: got ${mean} and ${std}`,
    );
  }
  for (
    const [low, high] of [[3, 3], [3, 2], [0.5, 2], [0, 2 ** 31 + 1], [
      2 ** 40,
      2 ** 40 + 1,
    ]]
  ) {
    assertThrows(
      () => randint(key, [1], low!, high!),
      RangeError,
      `randint: needs whole numbers low < high`,
    );
  }
});

deviceTest(
  "random values do not change when they are computed again",
  async () => {
    const key = randomKey(8);
    const x = uniform(key, [50]);
    const sum = x.sum();
    await assertClose(sum, [...await x.data()].reduce((a, b) => a + b));
    await assertSame(x, uniform(key, [50]));
  },
);

Deno.test("random functions refuse what is no key", () => {
  const generator = new Generator(1) as unknown as RandomKey;
  assertThrows(
    () => uniform(generator, [2]),
    TypeError,
    "uniform: not a key: got a generator: pass randomKey(seed), or generator",
  );
  const seed = 3 as unknown as RandomKey;
  assertThrows(() => normal(seed, [2]), TypeError, "normal: not a key: got nu");
  assertThrows(() => bernoulli(seed, 0.5, [2]), TypeError, "bernoulli: not a");
  assertThrows(() => permutation(seed, 2), TypeError, "permutation: not a key");
});
