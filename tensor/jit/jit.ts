import type { Device } from "../device/device.ts";
import { warn } from "../warnings.ts";
import { ByTypes } from "./by_types.ts";
import { gpuOf, WebgpuMap } from "./webgpu_map.ts";
import { printProgram } from "./inspect.ts";
import { JitError } from "./jit_error.ts";
import { type JitNames, noteOrigin, originOf } from "./lower.ts";
import {
  accepts,
  type ArgumentType,
  describe,
  type JitArray,
  parseSignature,
  typeOfArgument,
} from "./signature.ts";
import { ParallelRange, type Reduction } from "./parallel.ts";
import { INT_MAX } from "./values.ts";
import { type AnyFunction, nameOf, parseFunction } from "./source.ts";
import { Specialization } from "./specialization.ts";

/** How a function is compiled. */
export interface JitOptions {
  /**
   * Types of the arguments: `["f64", "i32", "f64[]"]` or `"f64, i32, f64[]"`.
   * The function is then compiled at once, and takes nothing else.
   *
   * @default what each call passes; whole numbers that fit 32 bits are found
   */
  readonly signature?: string | readonly ArgumentType[];
  /**
   * What the function uses from outside, by name: numbers, booleans, and
   * functions, compiled, plain, or those of `Math`. Numbers are part of the code.
   */
  readonly with?: JitNames;
  /**
   * Where `map` runs; the call and the other ranges always use WebAssembly. On
   * `webgpu` all fractions are float32, with the precision that WGSL asks for,
   * and what the function returns comes in float32, int32, uint32 or bytes;
   * whole numbers that fit 32 bits are the same as elsewhere. Arrays are not
   * written there, and are float32, int32 or uint32. Adapters that are emulated
   * may end loops after 65535 rounds.
   *
   * @default the processor
   */
  readonly device?: Device;
  /**
   * Whether a function that cannot be compiled, or not for the arguments of a
   * call, runs as JavaScript, with one warning, instead of throwing. `map` then
   * gives float64.
   *
   * @default false
   */
  readonly fallback?: boolean;
}

/** The arguments of a function behind the first one. */
export type Rest<F extends AnyFunction> = F extends (
  first: number,
  ...rest: infer Arguments
) => unknown ? Arguments
  : never;

/**
 * What a compiled function has beside the call.
 *
 * Those over a range call it for the numbers from 0 up to `count` as its first
 * argument, on all threads if that takes longer than some ms. Neither the
 * threads nor their number change the result: sums are made of blocks of
 * neighbours, in their order, and each block has its own stream of a generator
 * that is passed, `random.split(block)`, after which the generator has moved on.
 */
export interface JitMethods<F extends AnyFunction> {
  /** The signatures that it was compiled for. */
  readonly signatures: readonly string[];
  /** What was made of it, for each signature: its types and statements. */
  inspect(): string;
  /**
   * What it returns for each number, in an array of the narrowest type that
   * holds all that it can return: float64, float32, int32, uint32, or 0 and 1 in
   * bytes. It depends on the types of the arguments, which are told apart up to
   * 8 times; then whole numbers count as f64, so that results may be float64: a
   * signature keeps it as it is.
   *
   * @throws {RangeError} If the count is no whole number from 0 to 2^31 - 1.
   * @throws {JitError} If it cannot be compiled.
   */
  map(count: number, ...args: Rest<F>): Promise<JitArray>;
  /** The sum of what it returns; 0 of nothing. */
  sum(count: number, ...args: Rest<F>): Promise<number>;
  /** The least that it returns; Infinity of nothing, NaN if one is NaN. */
  min(count: number, ...args: Rest<F>): Promise<number>;
  /** The most that it returns; -Infinity of nothing, NaN if one is NaN. */
  max(count: number, ...args: Rest<F>): Promise<number>;
  /**
   * Only what it writes to arrays. Threads share them: each number should write
   * elements of its own.
   */
  each(count: number, ...args: Rest<F>): Promise<void>;
}

/** A compiled function: it is called as the one that it was made from. */
export type Jitted<F extends AnyFunction> = F & JitMethods<F>;

/** Names of the options: the compiler sees to it that none is missing. */
const OPTIONS: Readonly<Record<keyof JitOptions, true>> = {
  signature: true,
  with: true,
  device: true,
  fallback: true,
};

/**
 * Compiles a numeric function to WebAssembly.
 *
 * The result is the same as that of the function itself, bit for bit: numbers
 * are float64 unless it can be shown that they are whole and fit 32 bits, or
 * are float32 by `Math.fround` and `Float32Array`. It is compiled when it is
 * first called, for the types of the arguments, or at once for a `signature`.
 *
 * What is compiled: `let` and `const`, all operators on numbers and booleans,
 * `if`, `for`, `while`, `do`, `for-of` over an array, `switch`, labels, calls of
 * functions inside and of those in `with`, which may be given functions,
 * recursion, `Math`, `[a, b] = [b, a]`, typed arrays, which are read and written
 * in place, and {@link Random}. An index that is out
 * of range throws, where plain JavaScript gives undefined.
 *
 * @param f The function; only its text is used.
 * @param options Signature, names from outside, what to do with other functions.
 * @returns A function that is called like `f`.
 * @throws {JitError} If something in `f` is outside of that: with line and
 * column, and what to write instead. Without a signature the first call throws.
 * @throws {TypeError} If there is no such option, or the signature names a type
 * that there is not; from a call, if an argument has no type or not the one that
 * the signature says.
 *
 * @example A sum over an array
 * ```ts
 * import { jit } from "@heddle/tensor/jit";
 * import { assertEquals } from "@std/assert";
 *
 * const sumOfSquares = jit((x: Float64Array) => {
 *   let sum = 0;
 *   for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!;
 *   return sum;
 * });
 * assertEquals(sumOfSquares(Float64Array.of(1, 2, 3)), 14);
 * ```
 */
export function jit<F extends AnyFunction>(
  f: F,
  options: JitOptions = {},
): Jitted<F> {
  if (typeof f !== "function") {
    throw new TypeError(`jit: not a function: got ${describe(f)}`);
  }
  checkOptions(options);
  const { f: plain, outside } = originOf(f, {});
  const names = { ...outside, ...options.with };
  const compiled = new Compiled(plain, names, options);
  const call = (...args: unknown[]) => compiled.call(args);
  Object.defineProperty(call, "name", { value: f.name });
  Object.defineProperty(call, "length", { value: f.length });
  noteOrigin(call, { f: plain, outside: names });
  const over = (reduction: Reduction) => (count: number, ...args: unknown[]) =>
    compiled.over(reduction, count, args);
  const methods = {
    get signatures() {
      return compiled.signatures;
    },
    inspect: () => compiled.inspect(),
    map: over("map"),
    sum: over("sum"),
    min: over("min"),
    max: over("max"),
    each: over("each"),
  };
  return Object.defineProperties(
    call,
    Object.getOwnPropertyDescriptors(methods),
  ) as unknown as Jitted<F>;
}

/** Refuses what is no option: without types, a misspelt one does nothing. */
function checkOptions(options: JitOptions): void {
  const names = Object.keys(OPTIONS);
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `jit: the options are not an object: got ${describe(options)}: ` +
        `pass them as { ${names.join(", ")} }`,
    );
  }
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(
    `jit: no such option: got ${unknown}: use ${names.join(", ")}`,
  );
}

/** Arguments that nothing is compiled for. */
class ArgumentError extends TypeError {
  override readonly name = "TypeError";
}

class Compiled {
  readonly #f: AnyFunction;
  readonly #outside: JitNames;
  readonly #fallback: boolean;
  readonly #fixed: readonly ArgumentType[] | undefined;
  readonly #made = new ByTypes<Specialization>();
  readonly #ranges = new Map<Reduction, ByTypes<ParallelRange>>();
  /** Not f64: fractions have 24 bits there. */
  readonly #maps = new ByTypes<WebgpuMap>("i32");
  readonly #gpu: GPUDevice | undefined;
  #last: Specialization | undefined;
  /** Whether it turned out that the function itself cannot be compiled. */
  #interpreted = false;
  #warned = false;

  constructor(f: AnyFunction, outside: JitNames, options: JitOptions) {
    this.#f = f;
    this.#outside = outside;
    this.#fallback = options.fallback ?? false;
    this.#gpu = options.device && gpuOf(options.device);
    if (options.signature !== undefined) {
      this.#fixed = parseSignature(options.signature);
      this.#compile(this.#fixed);
    }
  }

  get signatures(): string[] {
    return this.#made.all.map(({ types }) => `(${types.join(", ")})`);
  }

  inspect(): string {
    return this.#made.all.map(({ program }) => printProgram(program)).join(
      "\n\n",
    );
  }

  call(args: readonly unknown[]): unknown {
    const last = this.#last;
    if (last && fits(last.types, args)) return last.run(args);
    if (this.#interpreted) return this.#f(...args);
    const chosen = this.#choose(args);
    return chosen ? chosen.run(args) : this.#f(...args);
  }

  /** A range, on all threads. */
  async over(
    reduction: Reduction,
    count: number,
    args: readonly unknown[],
  ): Promise<unknown> {
    if (!Number.isInteger(count) || count < 0 || count > INT_MAX) {
      throw new RangeError(
        `jit: ${nameOf(this.#f)}.${reduction}: the count must be a whole ` +
          `number from 0 to 2^31 - 1: got ${describe(count)}`,
      );
    }
    const all = [0, ...args];
    if (this.#fixed) this.#check(this.#fixed, all);
    const types = this.#fixed ?? this.#orFallBack(() => this.#typesOf(all));
    if (!types) return this.#interpretRange(reduction, count, args);
    // The type of what map gives should not depend on how large numbers are.
    const rest = types.slice(1).map((type) => type === "u15" ? "u31" : type);
    if (reduction === "map" && this.#gpu) {
      return await this.#mapOn(this.#gpu, rest, count, args);
    }
    let ranges = this.#ranges.get(reduction);
    if (!ranges) this.#ranges.set(reduction, ranges = new ByTypes());
    const range = ranges.find(
      rest,
      (types) =>
        this.#orFallBack(() =>
          new ParallelRange(
            parseFunction(this.#f),
            this.#outside,
            types,
            reduction,
          )
        ),
    );
    return range
      ? await range.run(count, args)
      : this.#interpretRange(reduction, count, args);
  }

  #interpretRange(
    reduction: Reduction,
    count: number,
    args: readonly unknown[],
  ): unknown {
    const results = new Float64Array(count);
    for (let i = 0; i < count; i++) results[i] = Number(this.#f(i, ...args));
    switch (reduction) {
      case "map":
        return results;
      case "sum":
        return results.reduce((a, b) => a + b, 0);
      case "min":
        return results.reduce((a, b) => Math.min(a, b), Infinity);
      case "max":
        return results.reduce((a, b) => Math.max(a, b), -Infinity);
      case "each":
        return undefined;
      default:
        return reduction satisfies never;
    }
  }

  #mapOn(
    gpu: GPUDevice,
    types: readonly ArgumentType[],
    count: number,
    args: readonly unknown[],
  ): unknown {
    const map = this.#maps.find(
      types,
      (types) =>
        this.#orFallBack(() =>
          new WebgpuMap(gpu, parseFunction(this.#f), this.#outside, types)
        ),
    );
    return map
      ? map.run(count, args)
      : this.#interpretRange("map", count, args);
  }

  #choose(args: readonly unknown[]): Specialization | undefined {
    if (this.#fixed) {
      this.#check(this.#fixed, args);
      return this.#last;
    }
    const wanted = this.#orFallBack(() => this.#typesOf(args));
    if (!wanted) return undefined;
    return this.#compile(wanted);
  }

  /** The narrowest types of arguments. */
  #typesOf(args: readonly unknown[]): ArgumentType[] {
    const { params } = parseFunction(this.#f).node;
    // Parameters of other kinds are refused with their place.
    if (params.every(({ type }) => type === "Identifier")) {
      this.#checkCount(params.length, args);
    }
    return args.map((arg, at) => {
      const type = typeOfArgument(arg);
      if (type) return type;
      throw new ArgumentError(
        `jit: ${nameOf(this.#f)}: argument ${at} cannot be compiled for: got ` +
          `${
            describe(arg)
          }: pass a number, a boolean, a typed array or a Random`,
      );
    });
  }

  #checkCount(wanted: number, args: readonly unknown[]): void {
    if (args.length === wanted) return;
    throw new ArgumentError(
      `jit: ${nameOf(this.#f)}: arguments: ${wanted} wanted, ` +
        `${args.length} given`,
    );
  }

  #compile(wanted: readonly ArgumentType[]): Specialization | undefined {
    const made = this.#made.find(
      wanted,
      (types) =>
        this.#orFallBack(() =>
          new Specialization(parseFunction(this.#f), this.#outside, types)
        ),
    );
    if (made) this.#last = made;
    else this.#interpreted = true;
    return made;
  }

  #orFallBack<T>(make: () => T): T | undefined {
    try {
      return make();
    } catch (error) {
      if (!this.#fallback) throw error;
      const isExpected = error instanceof JitError ||
        error instanceof ArgumentError;
      if (!isExpected) throw error;
      if (!this.#warned) warn(`${error.message}\n  it runs as JavaScript`);
      this.#warned = true;
      return undefined;
    }
  }

  #check(types: readonly ArgumentType[], args: readonly unknown[]): void {
    this.#checkCount(types.length, args);
    types.forEach((type, at) => {
      if (accepts(type, args[at])) return;
      throw new TypeError(
        `jit: ${nameOf(this.#f)}: argument ${at} must be ${type}: ` +
          `got ${describe(args[at])}`,
      );
    });
  }
}

/** Whether these are the narrowest types of arguments, or fixed ones fit. */
function fits(
  types: readonly ArgumentType[],
  args: readonly unknown[],
): boolean {
  if (types.length !== args.length) return false;
  for (let i = 0; i < types.length; i++) {
    if (!accepts(types[i]!, args[i])) return false;
  }
  return true;
}
