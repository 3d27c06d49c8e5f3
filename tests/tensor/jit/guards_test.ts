import { assert, assertEquals } from "@std/assert";
import { Random } from "@heddle/tensor/jit";
import { type Guard, guardOf } from "../../../tensor/jit/guards.ts";
import type { Statement } from "../../../tensor/jit/ir.ts";
import type { ArgumentType } from "../../../tensor/jit/signature.ts";
import { parseFunction, parseText } from "../../../tensor/jit/source.ts";
import { analyze, Specialization } from "../../../tensor/jit/specialization.ts";
import { walkStatements } from "../../../tensor/jit/walk.ts";

/** The guards of all loops of a function, each by itself, the outer first. */
function guardsOf(
  // deno-lint-ignore no-explicit-any
  f: (...args: any[]) => unknown,
  types: readonly ArgumentType[],
): (Guard | undefined)[] {
  const { functions } = analyze(parseFunction(f), {}, types);
  const guards: (Guard | undefined)[] = [];
  walkStatements(functions[0]!.body, (s: Statement) => {
    if (s.op === "loop") guards.push(guardOf(s, () => false));
  });
  return guards;
}

/** How many conditions a guard has, for how many accesses. */
function sizesOf(guards: readonly (Guard | undefined)[]): unknown[] {
  return guards.map((guard) =>
    guard && [guard.conditions.length, guard.indices.size]
  );
}

Deno.test("guardOf() bounds all accesses of nested loops where the first begins", () => {
  const product = (
    a: Float64Array,
    b: Float64Array,
    c: Float64Array,
    n: number,
    m: number,
    k: number,
  ) => {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) sum += a[i * k + l]! * b[l * m + j]!;
        c[i * m + j] = sum;
      }
    }
  };
  const types = ["f64[]", "f64[]", "f64[]", "u31", "u31", "u31"] as const;
  assertEquals(sizesOf(guardsOf(product, types)), [[3, 3], [3, 3], [2, 2]]);
});

Deno.test("guardOf() follows what a loop only raises or only lowers", () => {
  const insert = (x: Float64Array, count: number, value: number) => {
    let at = count;
    while (at > 0 && x[at - 1]! > value) {
      x[at] = x[at - 1]!;
      at--;
    }
    x[at] = value;
  };
  assertEquals(sizesOf(guardsOf(insert, ["f64[]", "u31", "f64"])), [[1, 3]]);
  const back = (x: Float64Array, from: number) => {
    for (let i = from; i >= 1; i -= 2) x[i] = x[i - 1]!;
  };
  assertEquals(sizesOf(guardsOf(back, ["f64[]", "i32"])), [[1, 2]]);
});

Deno.test("guardOf() makes none where nothing bounds an index", () => {
  const follow = (next: Int32Array, from: number) => {
    let [at, steps] = [from, 0];
    while (at !== 0 && steps < 100) {
      at = next[at]!;
      steps++;
    }
    return steps;
  };
  const walk = (x: Float64Array, n: number) => {
    let at = 0;
    for (let i = 0; i < n; i++) at += x[at]! > 0 ? 1 : -1;
    return at;
  };
  assertEquals(guardsOf(walk, ["f64[]", "u31"]), [undefined]);
  const list = (next: Int32Array, from: number) => {
    let at = from;
    for (let i = 0; i < 100; i++) at = next[at]!;
    return at;
  };
  assertEquals(guardsOf(list, ["i32[]", "i32"]), [undefined]);
  assertEquals(guardsOf(follow, ["i32[]", "i32"]), [undefined]);
  // That it is below 2^15 is no reason to ask for arrays of that length.
  const half = (x: Float64Array, n: number) => {
    let at = n;
    while (at > 1) at = x[at]! > 0 ? at >> 1 : (at + 1) >> 1;
    return at;
  };
  assertEquals(guardsOf(half, ["f64[]", "u15"]), [undefined]);
});

const ARRAYS = ["x", "y", "k"] as const;
const TYPES: readonly ArgumentType[] = ["u15", "u31", "i32", "f64"];

/** Loops over arrays, by chance: what an index can be is hard to see. */
class RandomLoops {
  readonly #random: Random;
  #names = ["n", "m", "s"];
  #loops: string[] = [];
  #counter = 0;
  #depth = 0;
  #budget = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /**
   * The body of a function of two arrays of f64, one of i32 and three numbers.
   * Elements are written `get(x, i)` and `set(x, i, value)`.
   */
  write(): string {
    this.#budget = 3 + this.#random.integer(8);
    return `let p = 0;\n${this.#statements(["p"])}\n` +
      `return ${this.#value()};`;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random.integer(list.length)]!;
  }

  #chance(p: number): boolean {
    return this.#random.next() < p;
  }

  #statements(more: readonly string[] = []): string {
    const names = this.#names;
    this.#names = [...names, ...more];
    const lines: string[] = [];
    for (let i = 1 + this.#random.integer(3); i > 0; i--) {
      lines.push(this.#statement());
    }
    this.#names = names;
    return lines.join("\n");
  }

  #statement(): string {
    if (this.#budget-- <= 0) return this.#store();
    const kinds = this.#depth > 2 ? 6 : 11;
    switch (this.#random.integer(kinds)) {
      case 0:
      case 1:
      case 2:
        return this.#store();
      case 3: {
        const name = `t${this.#counter++}`;
        const text = `const ${name} = ${this.#index(2)};`;
        this.#names = [...this.#names, name];
        return text;
      }
      case 4: {
        const other = this.#chance(0.5)
          ? ` else {\n${this.#inside(() => this.#statements())}\n}`
          : "";
        return `if (${this.#test()}) {\n` +
          `${this.#inside(() => this.#statements())}\n}${other}`;
      }
      case 5:
        return this.#loops.length > 0 && this.#chance(0.5)
          ? `if (${this.#test()}) ${this.#pick(["break", "continue"])};`
          : `p ${this.#pick(["+=", "-=", "="])} ${this.#index(1)};`;
      default:
        return this.#loop();
    }
  }

  #inside<T>(body: () => T): T {
    this.#depth++;
    const result = body();
    this.#depth--;
    return result;
  }

  #loop(): string {
    const i = `i${this.#counter++}`;
    const [from, to] = [this.#index(1), this.#index(1)];
    const by = this.#pick(["1", "1", "1", "2", "3"]);
    const head = this.#pick([
      `for (let ${i} = 0; ${i} < ${to}; ${i} += ${by})`,
      `for (let ${i} = 0; ${i} < ${this.#pick(ARRAYS)}.length; ${i} += ${by})`,
      `for (let ${i} = ${from}; ${i} < ${to}; ${i} += ${by})`,
      `for (let ${i} = ${from}; ${i} <= ${to}; ${i} += ${by})`,
      `for (let ${i} = ${from}; ${i} >= ${to}; ${i} -= ${by})`,
      `for (let ${i} = ${from}; ${i} > 0 && ${this.#test()}; ${i} -= ${by})`,
      `for (let ${i} = ${from}; ${i} !== ${to} && ${i} < 20 && ${i} > -20; ` +
      `${i}${this.#pick(["++", "--"])})`,
    ]);
    this.#loops.push(i);
    const body = this.#inside(() => this.#statements([i]));
    this.#loops.pop();
    const early = this.#chance(0.15)
      ? `\n${i} += ${this.#pick(["1", "0", "2"])};\n${this.#store()}`
      : "";
    // No loop goes on for ever, whatever it does to its variable.
    const end = `left${this.#counter++}`;
    return `let ${end} = 30;\n${head} {\nif (${end}-- <= 0) break;\n` +
      `${body}${early}\n}`;
  }

  #test(): string {
    const order = this.#pick(["<", "<=", ">", ">=", "===", "!=="]);
    // What a test does not need to know is not loaded: no elements here.
    const [a, b] = [this.#index(1, false), this.#index(1, false)];
    const test = `${a} ${order} ${b}`;
    if (this.#chance(0.2)) return `!(${test})`;
    if (!this.#chance(0.25)) return test;
    return `(${test} ${this.#pick(["&&", "||"])} ${this.#value()} > 0)`;
  }

  /** A small whole number. */
  #index(depth: number, loads = true): string {
    if (depth === 0 || this.#chance(0.4)) {
      return this.#chance(0.25)
        ? `${this.#random.integer(5)}`
        : this.#pick([...this.#names, ...this.#loops, ...this.#loops]);
    }
    const [a, b] = [
      this.#index(depth - 1, loads),
      this.#index(depth - 1, loads),
    ];
    const constant = this.#random.integer(4);
    return this.#pick([
      `(${a} + ${b})`,
      `(${a} + ${constant})`,
      `(${a} - ${constant})`,
      `(${a} - ${b})`,
      `(${constant} * ${a} + ${b})`,
      `${a} * ${b}`,
      `Math.min(${a}, ${b})`,
      `Math.max(${a}, ${b})`,
      `(${a} >> ${constant})`,
      `((${a} / ${constant + 1}) | 0)`,
      `Math.floor(${a} / ${constant + 1})`,
      `(${this.#index(0)} < ${this.#index(0)} ? ${a} : ${b})`,
      `(Math.max(${a}, 0) % (Math.max(${b}, 0) + 1))`,
      `(${this.#pick(ARRAYS)}.length - 1 - ${a})`,
      loads ? `get(k, ${a})` : `(${a} - ${b})`,
    ]);
  }

  #value(): string {
    return this.#pick([
      () => `get(${this.#pick(ARRAYS)}, ${this.#index(2)})`,
      () => this.#index(1),
    ])();
  }

  #store(): string {
    const index = this.#index(2);
    return `set(${this.#pick(ARRAYS)}, (${index}), ${this.#value()});`;
  }
}

/** `get` and `set` as elements. */
function withElements(text: string): string {
  let all = text;
  for (;;) {
    const at = Math.max(all.lastIndexOf("get("), all.lastIndexOf("set("));
    if (at < 0) return all;
    const parts = [""];
    let end = at + 4;
    for (let depth = 0;; end++) {
      const c = all[end]!;
      if (c === ")" && depth === 0) break;
      if (c === "," && depth === 0) {
        parts.push("");
        continue;
      }
      depth += c === "(" ? 1 : c === ")" ? -1 : 0;
      parts[parts.length - 1] += c;
    }
    const [array, index, value] = parts;
    const element = value === undefined
      ? `${array}[${index}]`
      : `${array}[${index}] = ${value}`;
    all = all.slice(0, at) + element + all.slice(end + 1);
  }
}

type TypedArray = Float64Array | Int32Array;

/** The function, with errors for what is out of range. */
function interpreted(text: string): (...args: unknown[]) => unknown {
  const check = (name: string, array: TypedArray, index: number) => {
    if (Number.isInteger(index) && index >= 0 && index < array.length) return;
    throw new RangeError(
      `index ${index === 0 ? 0 : index} is out of range for ${name} ` +
        `of length ${array.length}`,
    );
  };
  // What is stored is computed before its place is looked at.
  const named = text.replace(/\b(get|set)\((\w+),/g, `$1("$2", $2,`)
    .replace(/\bset\(("\w", \w),/g, `set($1, () =>`);
  const make = new Function(
    "get",
    "set",
    `return (x, y, k, n, m, s) => {\n${named}\n};`,
  );
  return make(
    (name: string, array: TypedArray, index: number) => {
      check(name, array, index);
      return array[index];
    },
    (name: string, array: TypedArray, at: () => number, value: number) => {
      const index = at();
      check(name, array, index);
      array[index] = value;
    },
  );
}

function outcomeOf(run: () => unknown, arrays: readonly TypedArray[]) {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    result = error.message.replace(/^jit: .*?:\d+:\d+: /, "");
  }
  return [result, ...arrays.map((array) => [...array])];
}

Deno.test("jit() gives the same with guards, over random loops", () => {
  const programs = Number(Deno.env.get("GUARD_PROGRAMS") ?? 250);
  const random = new Random(Number(Deno.env.get("GUARD_SEED") ?? 0));
  let [guarded, failed, passed] = [0, 0, 0];
  for (let program = 0; program < programs; program++) {
    const text = new RandomLoops(random).write();
    const types: ArgumentType[] = ["f64[]", "f64[]", "i32[]"];
    for (let i = 0; i < 3; i++) types.push(TYPES[random.integer(4)]!);
    const source = `(x, y, k, n, m, s) => {\n${withElements(text)}\n}`;
    const parsed = parseText("f", source);
    const compiled = new Specialization(parsed, {}, types, false);
    walkStatements(compiled.program.functions[0]!.body, (s) => {
      if (s.op === "loop" && s.reached && guardOf(s, () => false)) guarded++;
    });
    const plain = interpreted(text);
    for (let input = 0; input < 8; input++) {
      const length = () => random.integer(random.next() < 0.3 ? 3 : 60);
      const small = () => random.integer(8) - 2;
      const [x, y] = [length(), length()].map((n) =>
        Float64Array.from({ length: n }, small)
      ) as [Float64Array, Float64Array];
      const k = Int32Array.from({ length: length() }, small);
      // What is stored in one array changes what was loaded from another.
      const isOne = random.next() < 0.2;
      const numbers = types.slice(3).map((type) =>
        type.startsWith("u") ? random.integer(7) : small()
      );
      const copy = x.slice();
      const wanted = [copy, isOne ? copy : y.slice(), k.slice()] as const;
      const got = [x, isOne ? x : y, k] as const;
      const want = outcomeOf(() => plain(...wanted, ...numbers), wanted);
      const found = outcomeOf(() => compiled.run([...got, ...numbers]), got);
      const given = JSON.stringify([types, numbers, x.length, y.length]);
      assertEquals(found, want, `program ${program}: ${source}\n${given}`);
      if (typeof want[0] === "string") failed++;
      else passed++;
    }
  }
  const runs = [guarded, failed, passed];
  assert(guarded > programs / 2, `too few guards: ${runs}`);
  assert(Math.min(failed, passed) > programs, `too few of a kind: ${runs}`);
});
