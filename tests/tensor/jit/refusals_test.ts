// deno-lint-ignore-file no-explicit-any
import { assertEquals, assertThrows } from "@std/assert";
import {
  type AnyFunction,
  jit,
  JitError,
  onWarning,
  Random,
} from "@heddle/heddle";

/** A function whose text is exactly this: types are gone when it runs. */
function written(text: string): AnyFunction {
  return new Function(`return ${text}`)();
}

/** Text, place, and what is said about it. */
const WRONG: readonly (readonly [text: string, at: string, says: string])[] = [
  [`(n) => {\n  const s = "x";\n  return n;\n}`, "2:13", "strings are not"],
  ["(n) => `${n}`", "1:8", "strings are not compiled: use numbers"],
  ["(n) => 3n", "1:8", "bigints are not compiled: use a number"],
  ["(n) => null", "1:8", "null is not compiled: use NaN or -1"],
  ["(n) => undefined", "1:8", "undefined is not compiled: use NaN or -1"],
  ["(n) => /x/", "1:8", "regular expressions are not compiled"],
  ["(n) => [n]", "1:8", "arrays are not made inside: pass a typed array"],
  ["(n) => ({ n })", "1:9", "objects are not compiled: use variables"],
  ["(n) => new Map()", "1:8", "objects are not made inside"],
  ["(n) => this", "1:8", "this is not compiled"],
  [
    "function (n) { return arguments[0]; }",
    "1:23",
    "arguments is not compiled",
  ],
  ["function (n) { return this.n; }", "1:23", "this is not compiled"],
  ["function (n) { return arguments; }", "1:23", "name the parameters"],
  ["(n) => n ?? 1", "1:8", "?? is not compiled"],
  ["(n) => n?.x", "1:8", "?. is not compiled"],
  ["(n) => typeof n", "1:8", "typeof is not compiled"],
  ["(n) => 'x' in n", "1:8", "in is not compiled: values have no"],
  ["(n) => n in n", "1:8", "in is not compiled: values have no properties"],
  ["(n) => n.foo", "1:10", "only arrays have a .length"],
  ["(n) => n[0]", "1:8", "n is a variable, not an array: pass a typed array"],
  ["(n) => n.length", "1:8", "n is a variable, not an array"],
  ["(n) => N * n", "1:8", "pass it as jit(f, { with: { N } })"],
  ["(n) => g(n)", "1:8", "pass it as jit(f, { with: { g } })"],
  ["(n) => lib.g(n)", "1:8", "jit(f, { with: { g } }) and call g(...)"],
  ["(n) => { x = n; }", "1:10", "x is not known inside the function"],
  ["(n) => Math.random()", "1:8", "it has no seed: pass a Random"],
  ["(n) => Math.foo(n)", "1:8", "Math.foo is not compiled"],
  ["(n) => Math['foo'](n)", "1:8", "Math.foo is not compiled"],
  ["(n) => Math.constructor(n)", "1:8", "Math.constructor is not compiled"],
  ["(n) => Math.f16round(n)", "1:8", "round to float32, with Math.fround"],
  ["(n) => Math.sumPrecise([n])", "1:8", "add up in a loop"],
  ["(n) => Math.TAU", "1:8", "Math.TAU is not compiled: compute it"],
  ["(n) => Math.sin", "1:8", "Math.sin is a function: call it, Math.sin(...)"],
  ["(n) => Math", "1:8", "Math is an object: use its functions"],
  ["(n) => Math.max.apply(0, n)", "1:8", "Math.max is a function: call it"],
  ["(n) => isNaN", "1:8", "isNaN is a function: call it, isNaN(...)"],
  ["(n) => parseInt(n)", "1:8", "all values are numbers: use Math.trunc"],
  ["(n) => parseFloat(n)", "1:8", "all values are numbers: leave it out"],
  ["(n) => String(n)", "1:8", "all values are numbers and booleans"],
  ["(n) => Date.now()", "1:8", "measure around the call"],
  ["(n) => performance.now()", "1:8", "measure around the call"],
  ["(n) => crypto.randomUUID()", "1:8", "pass a Random as an argument"],
  ["(n) => Object.is(n, 1)", "1:8", "use operators, variables"],
  ["(n) => Float64Array.of(n)", "1:8", "pass a typed array"],
  ["(n) => globalThis.Math.abs(n)", "1:8", "globalThis is not compiled"],
  ["(n) => setTimeout(n)", "1:8", "nothing waits inside"],
  ["(n) => eval(n)", "1:8", "write the code out"],
  ["(n) => RangeError(n)", "1:8", "return NaN, or check before the call"],
  ["(n) => n.toFixed(2)", "1:10", "methods of numbers are not compiled: got"],
  ["(n) => 'abc'.length", "1:8", "strings are not compiled"],
  ["(n) => void n + 1", "1:8", "void gives undefined"],
  ["(n) => delete n.x", "1:8", "delete is not compiled: elements stay"],
  ["(n) => n instanceof n", "1:8", "instanceof is not compiled"],
  ["(n) => f`x`", "1:8", "strings are not compiled: use numbers"],
  ["(n) => (async () => n)()", "1:9", "async functions are not compiled"],
  ["(n) => (function* () {})()", "1:9", "generators are not compiled"],
  ["(n) => Math.sin()", "1:8", "Math.sin takes 1 argument: got 0"],
  ["(n) => Math.sin(...n)", "1:17", "spreading is not compiled"],
  ["(n) => Number.parseFloat(n)", "1:8", "Number.parseFloat is not compiled"],
  ["(n) => console.log(n)", "1:8", "print it after the call"],
  ["(n) => n()", "1:8", "n is not a function: use its value"],
  ["(n) => (n, n)()", "1:9", "only functions with a name"],
  ["(n) => { const f = (m) => m; return f; }", "1:37", "f is a function: call"],
  ["(n) => { let f = (m) => m; return 1; }", "1:14", "declare it with const"],
  ["(n) => { const f = (m) => m; return f(); }", "1:37", "f takes 1 argument"],
  ["(n) => { const f = async () => 1; return n; }", "1:20", "async functions"],
  ["(n) => { var i = 0; return i; }", "1:10", "var is not compiled"],
  ["(n) => { const i = 0; i = 1; return i; }", "1:23", "i is a const"],
  ["(n) => { let [a] = n; }", "1:20", "n is a variable, not an array"],
  ["(n) => { let [a, b] = [n]; }", "1:23", "there are 2 names for 1 values"],
  ["(n) => { let [a = 1] = [n]; }", "1:15", "default values are not compiled"],
  ["(n) => { let [...a] = [n]; }", "1:15", "rest elements are not compiled"],
  ["(n) => { let [[a]] = [n]; }", "1:15", "taking apart is not compiled here"],
  ["(n) => { const { a } = { a: n }; }", "1:24", "assign one by one"],
  ["(n) => { const { foo } = Math; }", "1:18", "Math.foo is not compiled"],
  ["(n) => { let { abs } = Math; }", "1:16", "declare it with const"],
  ["(n) => { n = [n] = [1]; }", "1:14", "assign one by one"],
  ["(n) => { for (const [a] of n) {} }", "1:15", "for-of takes one variable"],
  ["(n) => { for (n of n) {} }", "1:15", "for-of has no variable of its own"],
  ["(n) => { for (const k in n) {} }", "1:10", "for-in is not compiled"],
  ["(n) => { try { n = 1; } catch {} }", "1:10", "try is not compiled"],
  ["(n) => { throw n; }", "1:10", "throw is not compiled"],
  ["(n) => { debugger; }", "1:10", "debugger is not compiled"],
  ["(n) => { class A {} }", "1:10", "classes are not compiled"],
  ["(n) => { function* g() {} }", "1:10", "generators are not compiled"],
  [
    "(n) => { const m = 1; { n += m; let m = 2; } return n; }",
    "1:30",
    "m is used before it is declared",
  ],
  [
    "(n) => { let m = 1; switch (n) { case 1: return m; case 2: let m = 3; } " +
    "return m; }",
    "1:49",
    "m is used before it is declared",
  ],
  [
    "(n) => { let m = 1; switch (n) { case m: let m = 3; } return m; }",
    "1:39",
    "m is used before it is declared",
  ],
  [
    "(n) => { switch (n) { case 2: let m = 3; case 1: return m; } return 0; }",
    "1:57",
    "m may have no value here",
  ],
  ["(n) => { for (let i = i; ;) {} }", "1:23", "i is used before it is"],
  [
    "(n) => { const g = () => {}; return g(); }",
    "1:37",
    "the function returns nothing",
  ],
  [
    "(n) => { function g(f, k) { return k ? g(f, k - 1) : f(n); } " +
    "return g((x) => x, n); }",
    "1:71",
    "functions are not passed to one that calls itself",
  ],
  ["(n) => { let m = m + 1; return m; }", "1:18", "m is used before it is"],
  ["(n) => g(n)", "1:8", "if it is this one, write jit(function g(...) ...)"],
  ["(n) => { let m; return m; }", "1:24", "m may have no value here"],
  [
    "(n) => { let m; if (n > 1) { m = 1; n = 2; } return m; }",
    "1:53",
    "m may have no value here: give it one where it is declared",
  ],
  ["(n) => { if (n > 1) return 1; }", "1:1", "on some paths only"],
  ["(n) => { if (n > 1) return; return 1; }", "1:21", "on some paths only"],
  ["(n) => n > 1 ? true : 2", "1:8", "a number here and a boolean there"],
  ["(n) => { let m = 1; m = n > 1; return m; }", "1:25", "m holds a number"],
  ["(n) => (n > 1) + 1", "1:9", "an operand is a boolean"],
  ["(n) => (n > 1) === 1", "1:8", "a number is compared with a boolean"],
  ["(n = 1) => n", "1:2", "default values are not compiled"],
  ["(...n) => 1", "1:2", "rest parameters are not compiled"],
  ["({ n }) => n", "1:2", "parameters are not taken apart"],
  ["async (n) => n", "1:1", "async functions are not compiled"],
  ["function* (n) { yield n; }", "1:1", "generators are not compiled"],
  ["class { constructor(n) {} }", "1:1", "classes are not compiled"],
  [
    "(n) => { const f = (m) => m > 0 ? f(m - 1) + n : 0; return f(3); }",
    "1:46",
    "n is from around a function that calls itself",
  ],
];

Deno.test("jit() refuses what it does not compile, with line and column", () => {
  for (const [text, at, says] of WRONG) {
    const error = assertThrows(
      () => jit(written(text), { signature: "f64" }),
      JitError,
      says,
      text,
    );
    assertEquals(`${error.line}:${error.column}`, at, `${text}\n${error}`);
  }
});

Deno.test("JitError shows the line and points at the place", () => {
  const f = written("function area(r) {\n  return PI * r;\n}");
  const { message } = assertThrows(() => jit(f)(1), JitError);
  assertEquals(
    message,
    "jit: area:2:10: PI is not known inside the function: pass it as " +
      "jit(f, { with: { PI } }), or as an argument\n" +
      "  2 |   return PI * r;\n" +
      "    |          ^",
  );
});

Deno.test("jit() refuses what is no function of numbers", () => {
  assertThrows(
    () => jit(3 as unknown as AnyFunction),
    TypeError,
    "jit: not a function: got 3",
  );
  assertThrows(() => jit(Math.sin)(1), JitError, "a native or bound function");
  const f = jit((n: number) => n + 1);
  for (const wrong of ["1", null, undefined, {}, [1], 1n]) {
    assertThrows(
      () => f(wrong as number),
      TypeError,
      "argument 0 cannot be compiled for",
    );
  }
  assertThrows(
    () => (f as any)(),
    TypeError,
    "jit: (anonymous): arguments: 1 wanted, 0 given",
  );
  assertThrows(
    () => jit((n: number) => n)("1" as any),
    TypeError,
    "jit: (anonymous): argument 0 cannot be compiled for: got a string",
  );
  // What is wrong is in the function, not in the call.
  for (const text of ["(n, m = 2) => n", "(...n) => 1"]) {
    assertThrows(() => jit(written(text))(1, 2), JitError, "not compiled");
  }
  for (const wrong of [null, "f64", 5]) {
    assertThrows(
      () => jit((n: number) => n, wrong as any),
      TypeError,
      "jit: the options are not an object",
    );
  }
  assertThrows(
    () => jit((n: number) => n, { fallbak: true } as any),
    TypeError,
    "jit: no such option: got fallbak: use signature, with, device, fallback",
  );
  assertThrows(
    () => jit((n: number) => n, { signature: 5 as any }),
    TypeError,
    "jit: the signature is not a text or a list: got 5",
  );
  assertThrows(
    () => jit((a: Float64Array) => a.length)(new BigInt64Array(1) as any),
    TypeError,
    "got BigInt64Array",
  );
  assertThrows(
    () => jit((n: number) => n * k, { with: { k: "2" as any } })(1),
    TypeError,
    "jit: with.k must be a number, a boolean or a function: got string",
  );
  const both = jit((a: Random, b: Random) => a.next() - b.next());
  const random = new Random(1);
  assertThrows(() => both(random, random), TypeError, "is passed twice");
});
declare const k: number;

Deno.test("jit() keeps to a signature", () => {
  assertThrows(
    () => jit((n: number) => n, { signature: "int" }),
    TypeError,
    'no such type in the signature: got "int": use f64, f32, i32',
  );
  assertThrows(
    () => jit((n: number) => n, { signature: "i32, i32" }),
    JitError,
    "the function has 1 parameters: got 2 types",
  );
  const half = jit((n: number) => n / 2, { signature: ["i32"] });
  assertEquals([half(3), half.signatures], [1.5, ["(i32)"]]);
  for (const wrong of [0.5, 2 ** 31, -0, NaN, true as unknown as number]) {
    assertThrows(() => half(wrong), TypeError, "argument 0 must be i32");
  }
  const round = jit((n: number) => n, { signature: "(f32)" });
  assertEquals(round(0.1), Math.fround(0.1));
});

Deno.test("jit() with fallback runs the function itself, and says so once", async () => {
  const warnings: string[] = [];
  onWarning((message) => warnings.push(message));
  try {
    const f = jit((text: number) => `${text}!`, { fallback: true });
    assertEquals([f(1), f(2)], ["1!", "2!"]);
    assertEquals(await f.map(2), Float64Array.of(NaN, NaN));
    assertEquals(warnings.length, 1);
    assertEquals(
      warnings[0]!.includes("strings are not compiled") &&
        warnings[0]!.endsWith("it runs as JavaScript"),
      true,
    );
    const g = jit((n: number) => n + 1, { fallback: true });
    assertEquals([g(1), warnings.length], [2, 1]);
    const h = jit((n: number) => Number(`${n}`), { fallback: true });
    assertEquals([await h.sum(4), await h.max(4), await h.min(4)], [6, 3, 0]);
    assertEquals(warnings.length, 2);
    // Of arguments that are not compiled for, only that call.
    const length = jit((x: any) => x.length, { fallback: true });
    assertEquals([length([1, 2]), length("abc")], [2, 3]);
    assertEquals(length(Int32Array.of(1)), 1);
    assertEquals(length.signatures, ["(i32[])"]);
    const add = jit((a: any, b: any = 2) => a + b, { fallback: true });
    assertEquals([add(1), add(1, 1)], [3, 2]);
    assertEquals(warnings.length, 4);
  } finally {
    onWarning(null);
  }
});
