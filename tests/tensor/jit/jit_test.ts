import { assertEquals, assertThrows } from "@std/assert";
import { jit, Random } from "@heddle/tensor/jit";

function pi(points: number, random: Random): number {
  let inside = 0;
  for (let i = 0; i < points; i++) {
    const x = random.next();
    const y = random.next();
    if (x * x + y * y < 1) inside++;
  }
  return 4 * inside / points;
}

Deno.test("jit() gives a generator the same bits as plain JavaScript", () => {
  const [compiled, plain] = [new Random(5), new Random(5)];
  const fast = jit(pi);
  for (const points of [0, 1, 1000]) {
    assertEquals(fast(points, compiled), pi(points, plain));
    assertEquals(compiled.state(), plain.state());
  }
  assertEquals(fast.signatures, ["(u31, random)"]);
});

Deno.test("jit() reads and writes typed arrays in place", () => {
  const axpy = jit((a: number, x: Float32Array, y: Float32Array) => {
    for (let i = 0; i < x.length; i++) y[i]! += a * x[i]!;
  });
  const [x, y] = [Float32Array.of(1, 2, 3), Float32Array.of(0.1, 0.2, 0.3)];
  const want = y.map((value, i) => Math.fround(value + 0.5 * x[i]!));
  axpy(0.5, x, y);
  assertEquals([y, x], [want, Float32Array.of(1, 2, 3)]);
  axpy(1, x, x);
  assertEquals(x, Float32Array.of(2, 4, 6));
});

Deno.test("jit() says which index is out of range, and where", () => {
  const last = jit((x: Int32Array, at: number) => x[at]!);
  assertEquals(last(Int32Array.of(3, 4), 1), 4);
  for (const at of [2, -1, 0.5, NaN, 2 ** 31]) {
    assertThrows(
      () => last(Int32Array.of(3, 4), at),
      RangeError,
      `jit: (anonymous):1:12: index ${at} is out of range for x of length 2`,
    );
  }
});
