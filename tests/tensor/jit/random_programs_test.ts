import { assert, assertEquals } from "@std/assert";
import { Random } from "@heddle/tensor/jit";
import { parseFunction } from "../../../tensor/jit/source.ts";
import { Specialization } from "../../../tensor/jit/specialization.ts";
import type { ArgumentType } from "../../../tensor/jit/signature.ts";
import { checkedArray } from "./checked_array.ts";
import { LENGTH, RandomProgram } from "./random_program.ts";

const SPECIAL = [
  0,
  -0,
  1,
  -1,
  0.5,
  -2.5,
  NaN,
  Infinity,
  -Infinity,
  2147483647,
  -2147483648,
  4294967295,
  1e-320,
  2 ** 53,
  -1e300,
];

/** Numbers of a type, the ends of its range among them. */
function numberOf(type: ArgumentType, random: Random): number {
  const any = random.next() < 0.5
    ? SPECIAL[random.integer(SPECIAL.length)]!
    : (random.next() - 0.5) * 2 ** random.integer(40);
  switch (type) {
    case "i32":
      return any | 0;
    case "u31":
      return any & 0x7fffffff;
    case "u15":
      return any & 0x7fff;
    case "u32":
      return any >>> 0;
    case "f32":
      return Math.fround(any);
    default:
      return any;
  }
}

function inputs(types: readonly ArgumentType[], random: Random) {
  const fill = () => numberOf("f64", random);
  const list = () => Array.from({ length: LENGTH }, fill);
  return [
    ...types.slice(0, 3).map((type) => numberOf(type, random)),
    Float64Array.from(list()),
    Float32Array.from(list()),
    Int32Array.from(list()),
    Uint8Array.from(list()),
    new Random(random.integer(1000)),
  ] as const;
}

type Inputs = ReturnType<typeof inputs>;

function copy(values: Inputs): Inputs {
  return values.map((value) => {
    if (typeof value === "number") return value;
    if (!(value instanceof Random)) return value.slice();
    const other = new Random(0);
    other.restore(value.state());
    return other;
  }) as unknown as Inputs;
}

/** All that a call leaves behind. */
function outcome(result: unknown, values: Inputs): unknown[] {
  return [
    result,
    ...values.map((value) => value instanceof Random ? value.state() : value),
  ];
}

/** Arrays that throw where a compiled function does. */
function checked(values: Inputs): Inputs {
  return values.map((value) =>
    ArrayBuffer.isView(value) ? checkedArray(value) : value
  ) as unknown as Inputs;
}

const FAILED = "an index is out of range";

function attempt(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    const isExpected = error instanceof RangeError &&
      error.message.includes("is out of range");
    return isExpected ? FAILED : error;
  }
}

/** Quicker than `assertEquals`, which says what differs. */
function sameBits(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || a === null) return Object.is(a, b);
  const [x, y] = [a as ArrayLike<unknown>, b as ArrayLike<unknown>];
  for (let i = 0; i < x.length; i++) if (!sameBits(x[i], y[i])) return false;
  return x.length === y.length;
}

const PROGRAMS = 1200;
const INPUTS = 4;
const SIGNATURES: readonly (readonly ArgumentType[])[] = [
  ["f64", "f64", "f64"],
  ["i32", "u31", "f64"],
  ["u15", "u15", "i32"],
  ["u32", "i32", "f32"],
  ["f32", "u31", "i32"],
];
const REST: readonly ArgumentType[] = [
  "f64[]",
  "f32[]",
  "i32[]",
  "u8[]",
  "random",
];

Deno.test("jit() gives the bits of the interpreted function for random programs", () => {
  let [loops, failures] = [0, 0];
  for (let seed = 0; seed < PROGRAMS; seed++) {
    const random = new Random(seed);
    const text = new RandomProgram(random).write();
    const f = new Function(`return ${text}`)() as (...x: Inputs) => number;
    const types = [...SIGNATURES[random.integer(SIGNATURES.length)]!, ...REST];
    const where = `seed ${seed}, (${types})\n${text}`;
    let compiled: Specialization;
    try {
      compiled = new Specialization(parseFunction(f), {}, types, false);
    } catch (error) {
      throw new Error(where, { cause: error });
    }
    if (text.includes("for (")) loops++;
    for (let i = 0; i < INPUTS; i++) {
      const [plain, passed] = [inputs(types, random)].flatMap((
        made,
      ) => [made, copy(made)]) as [Inputs, Inputs];
      const before = copy(plain);
      const want = outcome(attempt(() => f(...checked(plain))), plain);
      const got = outcome(attempt(() => compiled.run(passed)), passed);
      if (want[0] === FAILED) failures++;
      if (!sameBits(got, want)) {
        assertEquals(got, want, `${where}\n${Deno.inspect(before)}`);
      }
    }
  }
  assert(loops > PROGRAMS / 4);
  const runs = PROGRAMS * INPUTS;
  assert(failures > runs / 50 && failures < runs / 2, `${failures}`);
});
