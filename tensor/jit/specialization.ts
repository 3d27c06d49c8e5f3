/**
 * A function compiled for one signature, and how it is called.
 *
 * @module
 */

import type { Block } from "../wasm/allocator.ts";
import { emitWasm, type Site } from "./emit_wasm.ts";
import { infer } from "./infer.ts";
import type { FunctionIr, ProgramIr, Variable } from "./ir.ts";
import { failureOf } from "./failure.ts";
import { giveBack, lend, type Loan } from "./lending.ts";
import { type Called, type JitNames, lower } from "./lower.ts";
import { copyMemory, type JitMemory, jitMemory } from "./memory.ts";
import { checkRandoms, type Random, wordsOf } from "./random.ts";
import {
  gatherVariables,
  hasLoop,
  representationOf,
} from "./representation.ts";
import {
  type ArgumentType,
  elementOf,
  type JitArray,
  valuesOf,
} from "./signature.ts";
import type { ParsedFunction } from "./source.ts";
import type { Value } from "./values.ts";

/**
 * A program with everything inferred.
 *
 * @param called A function that it calls, which then has the names from outside.
 */
export function analyze(
  parsed: ParsedFunction,
  outside: JitNames,
  types: readonly ArgumentType[],
  called?: Called,
): ProgramIr {
  const program = lower(
    parsed,
    outside,
    types.map((type) =>
      elementOf(type) ?? (type === "random" ? "random" : "scalar")
    ),
    called,
  );
  const [main] = program.functions;
  const entry = new Map<Variable, Value>();
  main!.params.forEach((param, at) => {
    if (param.kind === "variable") entry.set(param, valuesOf(types[at]!));
  });
  infer(program, entry);
  gatherVariables(program);
  return program;
}

type Call = (...args: number[]) => number | undefined;

/** Rounds of a loop by which it is seen whether the engine has optimized. */
const WARM_ROUNDS = 10_000;
/** Three square roots in a row take several times as long, on any processor. */
const ROUND_MS = 2e-6;
const WARM_MS = 30;

/** Compiled code for one signature. */
export class Specialization {
  readonly types: readonly ArgumentType[];
  readonly program: ProgramIr;
  readonly #warm: boolean;
  readonly #hasArrays: boolean;
  /** On copies of arrays. */
  readonly #onCopies: Code;
  /** On arrays where they lie. */
  #inPlace: Code | undefined;

  constructor(
    parsed: ParsedFunction,
    outside: JitNames,
    types: readonly ArgumentType[],
    warm = true,
  ) {
    this.types = types;
    this.program = analyze(parsed, outside, types);
    this.#warm = warm;
    this.#hasArrays = types.some((type) => elementOf(type));
    this.#onCopies = new Code(this.program, copyMemory(), types, warm);
  }

  /** Calls it with arguments that fit its types. */
  run(args: readonly unknown[]): unknown {
    if (this.#hasArrays && args.some(isInPlace)) {
      this.#inPlace ??= new Code(
        this.program,
        jitMemory(),
        this.types,
        this.#warm,
      );
      return this.#inPlace.run(args);
    }
    return this.#onCopies.run(args);
  }
}

function isInPlace(arg: unknown): boolean {
  return ArrayBuffer.isView(arg) && jitMemory().holds(arg.buffer);
}

/** Code that works on one memory. */
class Code {
  readonly #memory: JitMemory;
  readonly #sites: readonly Site[];
  readonly #call: Call;
  readonly #main: FunctionIr;
  readonly #plain: boolean;
  readonly #finish: (result: number | undefined) => unknown;
  readonly #randoms: readonly (Block | undefined)[];

  constructor(
    program: ProgramIr,
    memory: JitMemory,
    types: readonly ArgumentType[],
    warm: boolean,
  ) {
    this.#main = program.functions[0]!;
    this.#memory = memory;
    const { bytes, sites } = emitWasm(program, memory.shared);
    this.#sites = sites;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory: memory.memory },
      Math: Math as unknown as WebAssembly.ModuleImports,
    });
    this.#call = instance.exports.call as Call;
    this.#plain = types.every((type) => type !== "random" && !elementOf(type));
    this.#finish = finisher(this.#main.result);
    this.#randoms = types.map((type) =>
      type === "random" ? memory.take(32) : undefined
    );
    if (warm && hasLoop(this.#main)) this.#warm(types);
  }

  /** Calls it with arguments that fit its types. */
  run(args: readonly unknown[]): unknown {
    try {
      return this.#finish(
        this.#plain
          ? this.#call(...args as number[])
          : this.#callWithArrays(args),
      );
    } catch (error) {
      throw failureOf(this.#memory, this.#sites, error);
    }
  }

  /** Has the engine optimize it before it is called: see `emitWarm`. */
  #warm(types: readonly ArgumentType[]): void {
    const zeros = types.flatMap((type) => elementOf(type) ? [0, 0] : [0]);
    const time = () => {
      const start = performance.now();
      this.#call(...zeros, WARM_ROUNDS);
      return performance.now() - start;
    };
    const end = performance.now() + WARM_MS;
    while (time() > WARM_ROUNDS * ROUND_MS && performance.now() < end);
  }

  #callWithArrays(args: readonly unknown[]): number | undefined {
    const memory = this.#memory;
    const { params } = this.#main;
    const passed: number[] = [];
    const loans: Loan[] = [];
    const randoms: [Random, number][] = [];
    checkRandoms(this.#main.name, args);
    try {
      lend(
        memory,
        args.filter((_, at) => params[at]!.kind === "array") as JitArray[],
        loans,
      );
      let array = 0;
      args.forEach((arg, at) => {
        const param = params[at]!;
        if (param.kind === "variable") passed.push(Number(arg));
        else if (param.kind === "array") {
          const loan = loans[array++]!;
          loan.written = param.written;
          passed.push(loan.address, loan.array.length);
        } else {
          const random = arg as Random;
          const { address } = this.#randoms[at]!;
          memory.words.set(wordsOf(random), address / 4);
          randoms.push([random, address]);
          passed.push(address);
        }
      });
      return this.#call(...passed);
    } finally {
      for (const [random, address] of randoms) {
        wordsOf(random).set(
          memory.words.subarray(address / 4, address / 4 + 8),
        );
      }
      giveBack(memory, loans);
    }
  }
}

/** What becomes of a number that a function returns. */
function finisher(
  result: Value | undefined,
): (result: number | undefined) => unknown {
  if (!result) return () => undefined;
  const held = representationOf(result);
  if (held === "bool") return (result) => result !== 0;
  if (held === "u32") return (result) => result! >>> 0;
  return (result) => result;
}
