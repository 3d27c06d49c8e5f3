import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { jit, Random } from "@heddle/tensor/jit";
import { checkedArray } from "./checked_array.ts";

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
  assertEquals(fast.signatures, ["(u15, random)"]);
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

/** Functions that draw, write, and then fail, in a loop or further inside. */
const FAILING: readonly ((
  out: Float64Array,
  bytes: Uint8Array,
  random: Random,
) => number | void)[] = [
  (out, bytes, random) => {
    for (let i = 0; i < 9; i++) {
      bytes[i] = random.integer(200);
      out[i] = random.normal();
    }
  },
  (out, _, random) => {
    const pick = random.next() + out[2]!;
    return pick + out[3]! + random.next();
  },
  (out, bytes, random) => {
    function walk(out: Float64Array, at: number, random: Random): number {
      out[at] = random.next();
      return at > 5 ? 0 : walk(out, at + 1, random) + random.next();
    }
    bytes[0] = random.integer(9);
    return walk(out, 0, random);
  },
  (out, _, random) => {
    let at = 0;
    while (random.next() < 2) out[at++]! += random.next();
  },
];

Deno.test("jit() leaves arrays and generators as they were when it failed", () => {
  for (const f of FAILING) {
    const [plain, compiled] = [1, 2].map(() => ({
      out: new Float64Array(3),
      bytes: new Uint8Array(8),
      random: new Random(6),
    }));
    const { out, bytes, random } = plain!;
    assertThrows(
      () => f(checkedArray(out), checkedArray(bytes), random),
      RangeError,
    );
    assertThrows(
      () => jit(f)(compiled!.out, compiled!.bytes, compiled!.random),
      RangeError,
      "is out of range",
    );
    const left = { ...plain!, random: random.state() };
    assertEquals({ ...compiled!, random: compiled!.random.state() }, left);
    assertNotEquals(random.state(), new Random(6).state());
  }
});

Deno.test("jit() calls functions from outside, and compiled ones", () => {
  const square = jit((x: number) => x * x * SCALE, { with: { SCALE: 3 } });
  const twice = (x: number) => square(x) + square(x + 1);
  const f = jit((x: number) => twice(x) - SCALE, {
    with: { twice, square, SCALE: 10 },
  });
  assertEquals([square(2), f(1)], [12, 5]);
});
declare const SCALE: number;

Deno.test("jit() compiles functions that call themselves or each other", () => {
  function ackermann(m: number, n: number): number {
    if (m === 0) return n + 1;
    return n === 0
      ? ackermann(m - 1, 1)
      : ackermann(m - 1, ackermann(m, n - 1));
  }
  assertEquals(jit(ackermann)(2, 3), 9);
  const isEven = jit((n: number) => {
    function even(n: number): boolean {
      return n === 0 ? true : odd(n - 1);
    }
    function odd(n: number): boolean {
      return n === 0 ? false : even(n - 1);
    }
    return even(n);
  });
  assertEquals([isEven(10), isEven(7)], [true, false]);
  const sum = jit((x: Float64Array) => {
    function from(x: Float64Array, at: number): number {
      return at === x.length ? 0 : x[at]! + from(x, at + 1);
    }
    return from(x, 0);
  });
  assertEquals(sum(Float64Array.of(1, 2, 3.5)), 6.5);
});

/** What takes a text apart in a way of its own; all are of two numbers. */
const FORMS = [
  "(a, b) => { a > b && (a = 7); return a; }",
  "(a, b) => { a > b || a++; b && (a = 3, b = 4); return a * b; }",
  "(a, b) => { let t = !1; a > b ? t = !0 : a = 3; return t ? a : b; }",
  "(a, b) => { let s = 0; for (; a > 0 && s < 9; s++, a--) a > 2 ? b-- : 0;" +
  " return s + b; }",
  "(a, b) => { x: y: for (let i = 0; i < 9; i++) {" +
  " if (i < a) continue x; if (i > 4) break y; b++; } return b; }",
  "(a, b) => { x: y: { if (a > b) break x; b = 9; } return b; }",
  "(a, b) => { const f = function g(n) { return n > 0 ? 2 + g(n - 1) : 1; };" +
  " return f(a) + b; }",
  "(a, b) => Math['max'](a, b) + Math['PI'] + Number['EPSILON']",
  "(a, b) => { const { abs, PI: pi, min: least } = Math; const up = Math.ceil;" +
  " return abs(a) * pi + least(a, b) + up(b); }",
  "(a, b) => { const { isInteger, MAX_SAFE_INTEGER } = Number;" +
  " return isInteger(b) ? MAX_SAFE_INTEGER : a; }",
  "(a, b) => { void (a = 2); void b; return a * b; }",
  "(a, b) => { const set = (n) => void (a += n); set(b); set(1); return a; }",
  "(a, b) => { const set = (n) => { a += n; }; const twice = (n) => set(2 * n);" +
  " twice(b); return a; }",
  "(a, b) => { const f = (n) => { if (n > 2) return void (a = 5); a = n; };" +
  " f(b); return a; }",
  "(a, b) => { let [x, y] = [a + 1, b]; [x, y] = [y, x]; " +
  "const [, z] = [x++, x]; return x - 10 * y + 100 * z; }",
  "(a, b) => { const sum = (f, n) => { let s = 0;" +
  " for (let i = 0; i < n; i++) s += f(i); return s; };" +
  " const half = (n) => n / 2; const root = Math.sqrt;" +
  " return sum((i) => i * b, 3) + sum(half, 4) + sum(root, 2); }",
  "(a, b) => ((x) => x * a)(b) + (function f(n) {" +
  " return n > 0 ? n + f(n - 1) : 0; })(a)",
  "(a, b) => { switch (a) { case 3: function f() { return 2; } case 1: let c;" +
  " c = b; return c + f(); default: return 0; } }",
  "(class { #p(a, b) { return a - b; } static f() { return new this().#p; } })" +
  ".f()",
  "({ get(a, b) { return a * b; } }).get",
  "({ ['a b'](a, b) { return a * b; } })['a b']",
];

Deno.test("jit() compiles expressions as statements, labels of labels, methods", () => {
  for (const text of FORMS) {
    const f = new Function(`return ${text}`)();
    const compiled = jit(f as (a: number, b: number) => number);
    for (const [a, b] of [[1, 2], [3, 2], [6, 0], [-1, 0.5]] as const) {
      assertEquals(compiled(a, b), f(a, b), text);
    }
  }
});

Deno.test("jit() knows which numbers are safe integers", () => {
  const isSafe = (n: number) => Number.isSafeInteger(n);
  const compiled = jit(isSafe);
  for (const n of [0, -0, 0.5, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), NaN, -7]) {
    assertEquals(compiled(n), isSafe(n), `${n}`);
  }
  for (const n of [-Infinity, 2 ** 60, 1e300, 1 - 2 ** 53, 2 ** 31]) {
    assertEquals(compiled(n), isSafe(n), `${n}`);
  }
});

Deno.test("jit() takes functions of Math and Number from outside", () => {
  const { hypot, PI } = Math;
  const { isInteger } = Number;
  const f = (a: number, b: number) => isInteger(a) ? hypot(a, b) : PI;
  const compiled = jit(f, { with: { hypot, PI, isInteger } });
  assertEquals([compiled(3, 4), compiled(0.5, 4)], [5, PI]);
});

Deno.test("jit() takes arrays apart, and swaps elements", () => {
  const rotate = jit((x: Float64Array) => {
    const [a, b] = x;
    const { length } = x;
    [x[0], x[length - 1]] = [x[length - 1]!, x[0]!];
    return a! - b!;
  });
  const x = Float64Array.of(5, 2, 9);
  assertEquals([rotate(x), x], [3, Float64Array.of(9, 2, 5)]);
  assertThrows(
    () => rotate(Float64Array.of(1)),
    RangeError,
    "index 1 is out of range for x of length 1",
  );
});

Deno.test("jit() compiles functions that only call one that returns nothing", () => {
  const fill = (x: Float64Array, to: number) => {
    for (let i = 0; i < x.length; i++) x[i] = to;
  };
  const clear = jit((x: Float64Array) => fill(x, 0), { with: { fill } });
  const x = Float64Array.of(1, 2);
  assertEquals([clear(x), x], [undefined, new Float64Array(2)]);
  const zero = jit((x: Float64Array) => void (x[0] = 7));
  assertEquals([zero(x), x[0]], [undefined, 7]);
});

Deno.test("jit() of a compiled function compiles what that was made from", () => {
  const scaled = jit((x: number) => x * SCALE, { with: { SCALE: 3 } });
  assertEquals(jit(scaled)(2), 6);
  assertEquals(jit(scaled, { with: { SCALE: 4 } })(2), 8);
});

Deno.test("jit() finds the types of numbers at each call", () => {
  const half = jit((n: number) => n / 2);
  assertEquals([half(4), half(-4), half(0.5), half(NaN)], [2, -2, 0.25, NaN]);
  assertEquals(half.signatures, ["(u15)", "(i32)", "(f64)"]);
  assertEquals(Object.is(half(-0), -0), true);
  const both = jit((a: boolean, n: number) => a ? n > 1 : !a);
  assertEquals([both(true, 2), both(true, 1), both(false, 1)], [
    true,
    false,
    true,
  ]);
});

Deno.test("jit() keeps counters in 32 bits, and what may be more exact", () => {
  const count = jit((n: number, x: Int32Array) => {
    let inside = 0;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      if (x[i % 3]! > 0) inside++;
      sum += x[i % 3]!;
    }
    return inside + sum;
  });
  const x = Int32Array.of(2147483647, 2147483647, -1);
  assertEquals(count(60000, x), 40000 + 20000 * (2 * 2147483647 - 1));
  const text = count.inspect();
  for (const part of ["i: i32 = 0", "inside: u32 = 0", "sum: f64 = 0"]) {
    assertEquals(text.includes(part), true, text);
  }
});

Deno.test("jit() knows no bounds of a quotient by anything but 0", () => {
  const part = (c: number) => c ? Math.abs((2147483648 / c) | 0) % 8 : 0;
  assertEquals(jit(part)(-1970848.5), part(-1970848.5));
});

Deno.test("jit() runs a loop of many rounds in one call", () => {
  const mix = jit((rounds: number) => {
    let x = 1;
    for (let i = 0; i < rounds; i++) x = (Math.imul(x, 5) + i) | 0;
    return x;
  });
  let want = 1;
  for (let i = 0; i < 1000; i++) want = (Math.imul(want, 5) + i) | 0;
  assertEquals(mix(1000), want);
  assertEquals(Number.isInteger(mix(300_000_000)), true);
});

Deno.test("Random has the moments of its distributions", () => {
  const random = new Random(11);
  const count = 200_000;
  let [sum, squares, uniform] = [0, 0, 0];
  const dice = new Array(6).fill(0);
  for (let i = 0; i < count; i++) {
    const x = random.normal();
    sum += x;
    squares += x * x;
    uniform += random.next();
    dice[random.integer(6)]++;
  }
  // Five deviations of each mean.
  const near = (got: number, want: number, deviation: number) =>
    assertEquals(Math.abs(got - want) < 5 * deviation / Math.sqrt(count), true);
  near(sum / count, 0, 1);
  near(squares / count, 1, Math.SQRT2);
  near(uniform / count, 0.5, Math.sqrt(1 / 12));
  for (const seen of dice) near(seen / count, 1 / 6, Math.sqrt(5) / 6);
});

Deno.test("Random follows xoshiro256+ in 64-bit arithmetic", () => {
  const random = new Random(123);
  const s = new BigUint64Array(Uint32Array.from(random.state()).buffer);
  for (let i = 0; i < 1000; i++) {
    const [a, b, c, d] = s as unknown as [bigint, bigint, bigint, bigint];
    const result = BigInt.asUintN(64, a + d);
    assertEquals(random.next(), Number(result >> 11n) * 2 ** -53);
    s[2] = c ^ a;
    s[3] = d ^ b;
    s[1] = b ^ s[2];
    s[0] = a ^ s[3];
    s[2] ^= b << 17n;
    s[3] = (s[3] << 45n) | (s[3] >> 19n);
  }
});

Deno.test("Random refuses seeds, indices and states that are none", () => {
  assertThrows(() => new Random(-1), RangeError, "Random: the seed must be");
  assertThrows(() => new Random(1).split(0.5), RangeError, "Random.split");
  assertThrows(
    () => new Random(1).restore([1, 2]),
    RangeError,
    "Random.restore: not a state: got [1,2]",
  );
});

Deno.test("jit() gives the remainder of any number by a constant", () => {
  const numbers = [0, -0, 1, -1, 2.5, -2.5, 7, -8, 1e300, 1e-320, NaN];
  numbers.push(2 ** 53, 2 ** 62, 2 ** 63, 2 ** 64, 4294967297, -4294967295.5);
  numbers.push(-(2 ** 53), -(2 ** 63), 3 * 9007199254740993, Infinity);
  for (const by of [1, 2, 8, 3, 7, -4, -7, 2 ** 32, 2 ** 40, 1000003, 0.5]) {
    const plain = new Function(`return (x) => x % (${by})`)();
    const compiled = jit(plain as (x: number) => number, { signature: "f64" });
    for (const x of numbers) {
      assertEquals(compiled(x), plain(x), `${x} % ${by}`);
    }
  }
});

Deno.test("jit() stores what no variable of 32 bits holds", () => {
  const lowest = (x: Int32Array, y: Uint8Array) => {
    for (let i = 1; i < x.length; i++) {
      x[i] = Math.min(x[i - 1]! + 1, x[i]! - 1, 2 ** 31 - i);
      y[i] = Math.max(x[i]! * 3, -x[i]!);
    }
  };
  const numbers = [2147483647, 2147483647, -2147483648, 5, -7, 300];
  const [got, want] = [0, 1].map(() => Int32Array.from(numbers));
  const [bytes, wanted] = [0, 1].map(() => new Uint8Array(numbers.length));
  jit(lowest)(got!, bytes!);
  lowest(want!, wanted!);
  assertEquals([got, bytes], [want, wanted]);
});
