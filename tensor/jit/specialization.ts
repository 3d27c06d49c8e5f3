/**
 * A function compiled for one signature, and how it is called.
 *
 * @module
 */

import type { Block } from "../wasm/allocator.ts";
import { FAILURE } from "./emit_memory.ts";
import { emitWasm, type Site } from "./emit_wasm.ts";
import { infer } from "./infer.ts";
import type { FunctionIr, ProgramIr, Variable } from "./ir.ts";
import { locate } from "./jit_error.ts";
import { type Called, type JitNames, lower } from "./lower.ts";
import { type JitMemory, jitMemory } from "./memory.ts";
import { type Random, wordsOf } from "./random.ts";
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
const WARM_ROUNDS = 2000;
const WARM_MS = 30;

/** Compiled code for one signature. */
export class Specialization {
  readonly types: readonly ArgumentType[];
  readonly program: ProgramIr;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #memory: JitMemory;
  readonly #sites: readonly Site[];
  readonly #call: Call;
  readonly #main: FunctionIr;
  readonly #plain: boolean;
  readonly #finish: (result: number | undefined) => unknown;
  readonly #randoms: readonly (Block | undefined)[];

  constructor(
    parsed: ParsedFunction,
    outside: JitNames,
    types: readonly ArgumentType[],
    warm = true,
  ) {
    this.types = types;
    this.program = analyze(parsed, outside, types);
    this.#main = this.program.functions[0]!;
    this.#memory = jitMemory();
    const { bytes, sites } = emitWasm(this.program, this.#memory.shared);
    this.bytes = bytes;
    this.#sites = sites;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { memory: this.#memory.memory },
      Math: Math as unknown as WebAssembly.ModuleImports,
    });
    this.#call = instance.exports.call as Call;
    this.#plain = types.every((type) => type !== "random" && !elementOf(type));
    this.#finish = finisher(this.#main.result);
    this.#randoms = types.map((type) =>
      type === "random" ? this.#memory.take(32) : undefined
    );
    if (warm && hasLoop(this.#main)) this.#warm();
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
  #warm(): void {
    const zeros = this.types.flatMap((type) => elementOf(type) ? [0, 0] : [0]);
    const time = () => {
      const start = performance.now();
      this.#call(...zeros, WARM_ROUNDS);
      return performance.now() - start;
    };
    const first = Math.min(time(), time());
    const end = performance.now() + WARM_MS;
    while (time() > first / 4 && performance.now() < end);
  }

  #callWithArrays(args: readonly unknown[]): number | undefined {
    const memory = this.#memory;
    const { params } = this.#main;
    const passed: number[] = [];
    const loans: Loan[] = [];
    const randoms: [Random, number][] = [];
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
          if (randoms.some(([other]) => other === random)) {
            throw new TypeError(
              `jit: ${this.#main.name}: the same Random is passed twice: ` +
                "pass it once, or one of its split()",
            );
          }
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
export function finisher(
  result: Value | undefined,
): (result: number | undefined) => unknown {
  if (!result) return () => undefined;
  const held = representationOf(result);
  if (held === "bool") return (result) => result !== 0;
  if (held === "u32") return (result) => result! >>> 0;
  return (result) => result;
}

/** An array in the memory of compiled functions, for one call. */
export interface Loan {
  readonly array: JitArray;
  readonly address: number;
  /** Whether it is copied back. */
  written: boolean;
  /** What was taken for it; of arrays that overlap, by one of them. */
  readonly block: Block | undefined;
  readonly copied: boolean;
}

const MOST_ELEMENTS = 0x7fffffff;

/** Brings arrays into memory: those of it as they are, others as copies. */
export function lend(
  memory: JitMemory,
  arrays: readonly JitArray[],
  loans: Loan[],
): void {
  const addresses = new Array<number>(arrays.length);
  const blocks = new Array<Block | undefined>(arrays.length);
  arrays.forEach((array, at) => {
    if (array.length > MOST_ELEMENTS) {
      throw new RangeError(
        `jit: an array has too many elements: ${array.length}: ` +
          "pass parts of it, with subarray",
      );
    }
    const { buffer, byteOffset, byteLength } = array;
    if (memory.holds(buffer)) {
      addresses[at] = byteOffset;
      return;
    }
    // What overlaps with an array before it lies in the same copy.
    const span = spanOf(arrays, array);
    const before = arrays.findIndex((other, i) =>
      i < at && blocks[i] && other.buffer === buffer &&
      other.byteOffset < span.end && other.byteOffset + other.byteLength >
        span.start &&
      byteLength > 0
    );
    if (before >= 0) {
      addresses[at] = addresses[before]! + byteOffset -
        arrays[before]!.byteOffset;
      return;
    }
    const skew = span.start & 7;
    const block = memory.take(span.end - span.start + skew);
    blocks[at] = block;
    memory.bytes.set(
      new Uint8Array(buffer, span.start, span.end - span.start),
      block.address + skew,
    );
    addresses[at] = block.address + skew + byteOffset - span.start;
  });
  arrays.forEach((array, at) =>
    loans.push({
      array,
      address: addresses[at]!,
      written: false,
      block: blocks[at],
      copied: !memory.holds(array.buffer),
    })
  );
}

/** The bytes of an array and of all that overlap with it, directly or not. */
function spanOf(
  arrays: readonly JitArray[],
  { buffer, byteOffset, byteLength }: JitArray,
): { start: number; end: number } {
  let [start, end] = [byteOffset, byteOffset + byteLength];
  for (let grown = arrays.length > 1; grown;) {
    grown = false;
    for (const other of arrays) {
      const from = other.byteOffset;
      const to = from + other.byteLength;
      if (other.buffer !== buffer || from >= end || to <= start) continue;
      if (from >= start && to <= end) continue;
      [start, end] = [Math.min(start, from), Math.max(end, to)];
      grown = true;
    }
  }
  return { start, end };
}

/** Copies back what was written, and gives the memory back. */
export function giveBack(memory: JitMemory, loans: readonly Loan[]): void {
  for (const { array, address, written, copied } of loans) {
    if (!written || !copied) continue;
    const { buffer, byteOffset, byteLength } = array;
    new Uint8Array(buffer, byteOffset, byteLength).set(
      memory.bytes.subarray(address, address + byteLength),
    );
  }
  for (const { block } of loans) if (block) memory.release(block);
}

/** What a failure of compiled code means. */
export function failureOf(
  memory: JitMemory,
  sites: readonly Site[],
  error: unknown,
): unknown {
  const noted = memory.words[FAILURE.site / 4]! - 1;
  memory.words[FAILURE.site / 4] = 0;
  const site = sites[noted];
  if (!site) return error;
  const { source, offset } = site.place;
  const { line, column } = locate(source, offset);
  const index = memory.numbers[FAILURE.index / 8]!;
  const length = memory.words[FAILURE.length / 4]!;
  return new RangeError(
    `jit: ${source.name}:${line}:${column}: index ${index} is out of range ` +
      `for ${site.array} of length ${length}`,
  );
}
