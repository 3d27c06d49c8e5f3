import { warn } from "../warnings.ts";
import { printProgram } from "./inspect.ts";
import { JitError } from "./jit_error.ts";
import { type JitNames, noteOrigin } from "./lower.ts";
import {
  accepts,
  type ArgumentType,
  describe,
  parseSignature,
  typeOfArgument,
  widerType,
} from "./signature.ts";
import { type AnyFunction, parseFunction } from "./source.ts";
import { Specialization } from "./specialization.ts";

/** How a function is compiled. */
export interface JitOptions {
  /**
   * Types of the arguments: `["f64", "i32", "f64[]"]` or `"f64, i32, f64[]"`.
   * The function is then compiled at once, and takes nothing else.
   *
   * @default what each call passes
   */
  readonly signature?: string | readonly ArgumentType[];
  /**
   * What the function uses from outside, by name: numbers, booleans, and
   * functions, compiled or plain. Numbers are part of the code.
   */
  readonly with?: JitNames;
  /**
   * Whether a function that cannot be compiled runs as JavaScript, with a
   * warning, instead of throwing.
   *
   * @default false
   */
  readonly fallback?: boolean;
}

/** What a compiled function has beside the call. */
export interface JitMethods {
  /** The signatures that it was compiled for. */
  readonly signatures: readonly string[];
  /** What was made of it, for each signature: its types and statements. */
  inspect(): string;
}

/** A compiled function: it is called as the one that it was made from. */
export type Jitted<F extends AnyFunction> = F & JitMethods;

/** Beyond so many signatures, arguments that are numbers are f64. */
const MOST_SIGNATURES = 8;

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
 * functions inside and of those in `with`, recursion, `Math`, typed arrays,
 * which are read and written in place, and {@link Random}. An index that is out
 * of range throws, where plain JavaScript gives undefined.
 *
 * @param f The function; only its text is used.
 * @param options Signature, names from outside, what to do with other functions.
 * @returns A function that is called like `f`.
 * @throws {JitError} If something in `f` is outside of that: with line and
 * column, and what to write instead. Without a signature the first call throws.
 * @throws {TypeError} If the signature names a type that there is not; from a
 * call, if an argument has no type or not the one that the signature says.
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
  const compiled = new Compiled(f, options);
  const call = (...args: unknown[]) => compiled.call(args);
  Object.defineProperty(call, "name", { value: f.name });
  Object.defineProperty(call, "length", { value: f.length });
  noteOrigin(call, { f, outside: options.with ?? {} });
  const methods: JitMethods = {
    get signatures() {
      return compiled.signatures;
    },
    inspect: () => compiled.inspect(),
  };
  return Object.defineProperties(
    call,
    Object.getOwnPropertyDescriptors(methods),
  ) as unknown as Jitted<F>;
}

class Compiled {
  readonly #f: AnyFunction;
  readonly #outside: JitNames;
  readonly #fallback: boolean;
  readonly #fixed: readonly ArgumentType[] | undefined;
  readonly #made: Specialization[] = [];
  #last: Specialization | undefined;
  #interpreted = false;

  constructor(f: AnyFunction, options: JitOptions) {
    this.#f = f;
    this.#outside = options.with ?? {};
    this.#fallback = options.fallback ?? false;
    if (options.signature !== undefined) {
      this.#fixed = parseSignature(options.signature);
      this.#orFallBack(() => this.#make(this.#fixed!));
    }
  }

  get signatures(): string[] {
    return this.#made.map(({ types }) => `(${types.join(", ")})`);
  }

  inspect(): string {
    return this.#made.map(({ program }) => printProgram(program)).join("\n\n");
  }

  call(args: readonly unknown[]): unknown {
    const last = this.#last;
    if (last && fits(last.types, args)) return last.run(args);
    if (this.#interpreted) return this.#f(...args);
    const chosen = this.#choose(args);
    return chosen ? chosen.run(args) : this.#f(...args);
  }

  #choose(args: readonly unknown[]): Specialization | undefined {
    if (this.#fixed) {
      this.#check(this.#fixed, args);
      return this.#last;
    }
    let types = args.map((arg, at) => {
      const type = typeOfArgument(arg);
      if (type) return type;
      throw new TypeError(
        `jit: ${this.#f.name}: argument ${at} cannot be compiled for: got ` +
          `${
            describe(arg)
          }: pass a number, a boolean, a typed array or a Random`,
      );
    });
    if (args.length !== this.#f.length) {
      throw new TypeError(
        `jit: ${this.#f.name} takes ${this.#f.length} arguments: ` +
          `got ${args.length}`,
      );
    }
    const wanted = types;
    let found = this.#made.find((made) => same(made.types, wanted));
    if (!found && this.#made.length >= MOST_SIGNATURES) {
      types = types.map((type) =>
        ["u31", "i32"].includes(type) ? widerType(type, "f64") : type
      );
      found = this.#made.find((made) => same(made.types, types));
    }
    if (found) return this.#last = found;
    return this.#orFallBack(() => this.#make(types));
  }

  #make(types: readonly ArgumentType[]): Specialization {
    const made = new Specialization(
      parseFunction(this.#f),
      this.#outside,
      types,
    );
    this.#made.push(made);
    return this.#last = made;
  }

  #orFallBack(make: () => Specialization): Specialization | undefined {
    try {
      return make();
    } catch (error) {
      if (!this.#fallback || !(error instanceof JitError)) throw error;
      this.#interpreted = true;
      warn(`${error.message}\n  it runs as JavaScript`);
      return undefined;
    }
  }

  #check(types: readonly ArgumentType[], args: readonly unknown[]): void {
    if (args.length !== types.length) {
      throw new TypeError(
        `jit: ${this.#f.name} takes ${types.length} arguments: ` +
          `got ${args.length}`,
      );
    }
    types.forEach((type, at) => {
      if (accepts(type, args[at])) return;
      throw new TypeError(
        `jit: ${this.#f.name}: argument ${at} must be ${type}: ` +
          `got ${describe(args[at])}`,
      );
    });
  }
}

function same(
  a: readonly ArgumentType[],
  b: readonly ArgumentType[],
): boolean {
  return a.length === b.length && a.every((type, at) => type === b[at]);
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
