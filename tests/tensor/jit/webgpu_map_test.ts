import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { onWarning } from "@heddle/tensor";
import { jit, JitError, Random } from "@heddle/tensor/jit";
import { TEST_DEVICES } from "../../devices.ts";

const { ignore, open } = TEST_DEVICES.find(({ name }) => name === "webgpu")!;

/** Registers a test that is ignored where there is no GPU. */
function gpuTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore, fn });
}

/** A map on both devices. */
async function both(
  f: (i: number, ...rest: never[]) => number | boolean,
  count: number,
  ...rest: unknown[]
): Promise<[got: number[], want: number[]]> {
  const passed = rest.slice(0, f.length - 1) as never[]; // those that it takes
  const list = async (options: Parameters<typeof jit>[1]) => [
    ...await jit(f, options).map(count, ...passed),
  ];
  return [await list({ device: await open() }), await list({})];
}

gpuTest(
  "map() on webgpu computes whole numbers as WebAssembly does",
  async () => {
    const functions: ((i: number, k: number) => number | boolean)[] = [
      (i, k) => (i * k + 7) | 0,
      (i, k) => {
        k *= 0.5;
        return k > 100 ? i : -i;
      },
      (i, k) => (i << 3) ^ (k >>> 1) ^ ~i,
      (i, k) => Math.imul(i + k, 0x9e3779b9) >>> 0,
      (i) => ((i & 1023) * 2654435769) >>> 7,
      (i) => i % 7,
      (i) => Math.clz32(i) - Math.abs(3 - (i & 7)),
      (i, k) => Math.max(i, k & 15) - Math.min(i, 5),
      (i) => i % 3 === 0 && i > 4,
      (i) => {
        let x = i;
        let steps = 0;
        while (x > 1 && steps < 100) {
          x = x % 2 === 0 ? x >> 1 : (3 * x + 1) | 0;
          steps++;
        }
        return steps;
      },
      (i) => {
        let found = 0;
        outer: for (let a = 0; a < 9; a++) {
          for (let b = 0; b < 9; b++) {
            if (b > a) continue outer;
            if (a * b > i) break outer;
            if ((a + b) % 3 === 0) continue;
            found += b;
          }
          found++;
        }
        return found | 0;
      },
      (i) => {
        switch (i & 3) {
          case 0:
            return 5;
          case 1:
            i += 2;
            break;
          default:
            i -= 1;
        }
        return i | 0;
      },
    ];
    for (const f of functions) {
      const [got, want] = await both(f, 200, 12345);
      assertEquals(got, want, `${f}`);
    }
  },
);

gpuTest("map() on webgpu computes fractions in float32", async () => {
  const table = Float32Array.from({ length: 100 }, (_, i) => i / 7);
  const functions: ((i: number, x: Float32Array, k: number) => number)[] = [
    (i, x, k) => x[i]! * k + 1 / (i + 1),
    (i, x) => Math.sin(x[i]!) + Math.sqrt(x[i]!),
    (i, x) => Math.exp(-x[i]!) + Math.log(x[i]! + 1) + Math.pow(x[i]!, 1.5),
    (i, x) => i > 0 ? x[i - 1]! : -1,
    (i, x) => Math.hypot(x[i]!, 2) + Math.round(x[i]!) + Math.floor(-x[i]!),
    (i, x) => {
      let sum = 0;
      for (let k = 0; k <= i; k++) sum += x[k]!;
      return sum / (i + 1);
    },
  ];
  for (const f of functions) {
    const [got, want] = await both(f, 100, table, 0.3);
    got.forEach((number, i) => {
      const bound = 1e-5 + 1e-5 * Math.abs(want[i]!);
      assert(Math.abs(number - want[i]!) <= bound, `${f} ${i}: ${number}`);
    });
  }
});

gpuTest("map() on webgpu keeps NaN and the infinities apart", async () => {
  const x = Float32Array.of(NaN, Infinity, -Infinity, -1, 0, 5);
  const f = (i: number, x: Float32Array) => {
    const value = x[i]!;
    if (Number.isNaN(value)) return 1;
    if (value === Infinity) return 2;
    return isFinite(value) ? Math.max(value, 3) : 4;
  };
  const [got, want] = await both(f, x.length, x);
  assertEquals(got, want);
});

gpuTest("map() on webgpu says which index is out of range", async () => {
  const f = jit((i: number, x: Int32Array) => x[i + 1]!, {
    device: await open(),
  });
  const x = Int32Array.of(1, 2, 3);
  assertEquals(await f.map(2, x), Int32Array.of(2, 3));
  assertEquals(await f.map(0, x), new Int32Array(0));
  await assertRejects(
    () => f.map(3, x),
    RangeError,
    "index 3 is out of range for x",
  );
});

gpuTest("map() on webgpu refuses more than a buffer holds", async () => {
  const f = jit((i: number) => i, { device: await open() });
  await assertRejects(
    () => f.map(2 ** 31 - 1),
    RangeError,
    "an array are too large for the GPU: got 8589934588 bytes: map parts of",
  );
});

gpuTest("map() on webgpu falls back, and the call does not", async () => {
  const warnings: string[] = [];
  onWarning((message) => warnings.push(message));
  const device = await open();
  const f = jit((i: number, x: Float64Array) => x[i]!, {
    device,
    fallback: true,
  });
  const x = Float64Array.of(0.1, 0.2);
  try {
    assertEquals(await f.map(2, x), x);
    assertEquals(warnings.length, 1);
  } finally {
    onWarning(null);
  }
  assertThrows(() => f(2, x), RangeError, "index 2 is out of range");
});

gpuTest("map() on webgpu refuses what WGSL lacks", async () => {
  const device = await open();
  const refuses = (f: () => Promise<unknown>, says: string) =>
    assertRejects(f, JitError, says);
  await refuses(
    () =>
      jit((i: number, out: Int32Array) => (out[i] = i), { device })
        .map(1, new Int32Array(1)),
    "on webgpu, arrays are not written: return the value",
  );
  await refuses(
    () =>
      jit((_i: number, random: Random) => random.next(), { device })
        .map(1, new Random(1)),
    "on webgpu, there is no generator",
  );
  await refuses(
    () =>
      jit((i: number, x: Float64Array) => x[i]!, { device })
        .map(1, new Float64Array(1)),
    "on webgpu, x has elements of type f64: pass a Float32Array",
  );
  await refuses(
    () =>
      jit(
        (i: number) => {
          const f = (n: number): number => n > 0 ? f(n - 1) + n : 0;
          return f(i);
        },
        { device },
      ).map(1),
    "on webgpu, functions cannot call themselves: write a loop",
  );
});
