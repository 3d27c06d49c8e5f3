/**
 * A function over a range of numbers, on all threads: what it returns, the sum
 * or an extreme of that, or only what it writes.
 *
 * The range is cut into blocks by its length alone, and what blocks give is put
 * together in their order, so that the threads do not change a bit of it.
 *
 * @module
 */

import type { FunctionBuilder, Local } from "../wasm/assembler.ts";
import { locals } from "../wasm/kernel_function.ts";
import type { Program, Stage, ThreadPool } from "../wasm/threads.ts";
import {
  emitWasm,
  type ModuleEmitter,
  parameterTypes,
  type Site,
  wasmType,
} from "./emit_wasm.ts";
import type { ArrayElement, FunctionIr } from "./ir.ts";
import type { JitNames } from "./lower.ts";
import { type JitMemory, jitMemory } from "./memory.ts";
import { emitSplit } from "./emit_random.ts";
import { checkRandoms, Random, wordsOf } from "./random.ts";
import { hasLoop, representationOf } from "./representation.ts";
import {
  type ArgumentType,
  arrayClass,
  elementOf,
  type JitArray,
} from "./signature.ts";
import type { ParsedFunction } from "./source.ts";
import { analyze } from "./specialization.ts";
import { failureOf } from "./failure.ts";
import { giveBack, lend, type Loan } from "./lending.ts";
import { rangeProgram } from "./range_program.ts";

/** What becomes of the results of a range. */
export type Reduction = "map" | "each" | "sum" | "min" | "max";

const LARGEST_BLOCK = 8192;
const BLOCKS = 256;
/** The range is tried so long on the calling thread, to see what it takes. */
const PROBE_MS = 2;
const PROBE_MS_WITH_THREADS = 0.05;
/** Threads start for what takes longer. */
const START_MS = 20;
/** What a thread takes at once should last about so long. */
const TURN_MS = 0.2;

/** Words at the beginning of a frame; arguments follow, 8 bytes each. */
const FRAME = {
  count: 0,
  block: 4,
  first: 8,
  results: 12,
  states: 16,
} as const;
const ARGUMENTS = 24;
const STATE_BYTES = 32;

/** How many numbers a block has. */
function blockSize(count: number): number {
  return Math.max(1, Math.min(LARGEST_BLOCK, Math.ceil(count / BLOCKS)));
}

/** A function compiled for one way over a range, and types of arguments. */
export class ParallelRange {
  readonly types: readonly ArgumentType[];
  readonly reduction: Reduction;
  readonly #memory: JitMemory = jitMemory();
  readonly #name: string;
  readonly #main: FunctionIr;
  readonly #element: ArrayElement | undefined;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #sites: readonly Site[];
  readonly #programs = new WeakMap<ThreadPool, Program>();

  /**
   * Compiles.
   *
   * @param types Those of the arguments behind the number of the range.
   */
  constructor(
    parsed: ParsedFunction,
    outside: JitNames,
    types: readonly ArgumentType[],
    reduction: Reduction,
  ) {
    this.#name = parsed.source.name;
    this.types = types;
    this.reduction = reduction;
    const one = analyze(parsed, outside, ["u31", ...types]);
    const { result } = one.functions[0]!;
    const { program, element } = rangeProgram(
      parsed,
      outside,
      types,
      reduction,
      result,
    );
    this.#element = element;
    this.#main = program.functions[0]!;
    const { bytes, sites } = emitWasm(
      program,
      this.#memory.shared,
      (module, main) => emitStage(module, main, types, reduction),
    );
    this.#bytes = bytes;
    this.#sites = sites;
  }

  /** Does the range `[0, count)`, after those that were asked for before. */
  run(count: number, args: readonly unknown[]): Promise<unknown> {
    checkRandoms(this.#name, args);
    return this.#memory.inTurn(() => this.#run(count, args));
  }

  async #run(count: number, args: readonly unknown[]): Promise<unknown> {
    const memory = this.#memory;
    const { pool } = memory;
    const size = blockSize(count);
    const blocks = Math.ceil(count / size);
    const out = this.#element && new (arrayClass(this.#element))(count);
    const arrays = [...out ? [out] : [], ...args.filter(isArray)];
    const loans: Loan[] = [];
    const randoms = args.filter((arg) => arg instanceof Random);
    const frame = memory.take(
      ARGUMENTS + 8 * (args.length + 1) + STATE_BYTES * randoms.length,
    );
    const results = memory.take(8 * blocks);
    const states = memory.take(STATE_BYTES * blocks * randoms.length);
    try {
      lend(memory, arrays, loans);
      const words = memory.words;
      const at = frame.address / 4;
      words[at + FRAME.count / 4] = count;
      words[at + FRAME.block / 4] = size;
      words[at + FRAME.results / 4] = results.address;
      words[at + FRAME.states / 4] = states.address;
      this.#fill(frame.address, out ? [out, ...args] : args, loans);
      await this.#blocks(pool, frame.address, blocks);
      if (out) {
        loans[0]!.written = true;
        giveBack(memory, loans.splice(0, 1));
      }
      for (const random of randoms) {
        random.restore(random.split(0x7fffffff).state());
      }
      return out ?? this.#combine(results.address, blocks);
    } catch (error) {
      throw failureOf(memory, this.#sites, error);
    } finally {
      giveBack(memory, loans);
      for (const block of [frame, results, states]) memory.release(block);
    }
  }

  /** Writes the arguments into a frame. */
  #fill(frame: number, args: readonly unknown[], loans: Loan[]): void {
    const { words, numbers } = this.#memory;
    // The first two parameters are the ends of a block.
    const params = this.#main.params.slice(2);
    let array = 0;
    let state = frame + ARGUMENTS + 8 * args.length;
    args.forEach((arg, i) => {
      const param = params[i]!;
      const at = frame + ARGUMENTS + 8 * i;
      if (param.kind === "array") {
        const loan = loans[array++]!;
        loan.written = param.written;
        words[at / 4] = loan.address;
        words[at / 4 + 1] = loan.array.length;
      } else if (param.kind === "random") {
        words[at / 4] = state;
        words.set(wordsOf(arg as Random), state / 4);
        state += STATE_BYTES;
      } else if (wasmType(representationOf(param.value!)) === "i32") {
        words[at / 4] = Number(arg);
      } else numbers[at / 8] = Number(arg);
    });
  }

  /** Does all blocks: some alone, to see how long they take, then together. */
  async #blocks(
    pool: ThreadPool,
    frame: number,
    blocks: number,
  ): Promise<void> {
    const program = this.#program(pool);
    const alone = program.stages.get("stage") as Stage;
    const first = frame / 4 + FRAME.first / 4;
    const probe = pool.threads === 1
      ? Infinity
      : pool.active > 1
      ? PROBE_MS_WITH_THREADS
      : PROBE_MS;
    this.#memory.words[first] = 0;
    let done = 0;
    let spent = 0;
    // Twice as many each time, so that the clock costs nothing.
    for (let turn = 1; done < blocks && spent < probe; turn *= 2) {
      const to = Math.min(blocks, done + turn);
      const start = performance.now();
      alone(frame, done, to);
      spent += performance.now() - start;
      done = to;
    }
    if (done === blocks) return;
    const each = spent / done;
    const left = each * (blocks - done);
    if (left > START_MS && pool.active < pool.threads) await pool.start();
    const sequence = pool.sequence([{
      program,
      stage: "stage",
      frame: 0,
      items: blocks - done,
      grain: Math.max(1, Math.ceil(TURN_MS / each)),
    }]);
    // Others may have run, and grown the memory, in the meantime.
    this.#memory.words[first] = done;
    try {
      pool.run(sequence, frame);
    } finally {
      pool.unload(sequence);
    }
  }

  #program(pool: ThreadPool): Program {
    let program = this.#programs.get(pool);
    if (!program) {
      program = pool.load(this.#bytes);
      this.#programs.set(pool, program);
    }
    return program;
  }

  #combine(address: number, blocks: number): number | undefined {
    const parts = this.#memory.numbers.subarray(
      address / 8,
      address / 8 + blocks,
    );
    switch (this.reduction) {
      case "sum":
        return parts.reduce((a, b) => a + b, 0);
      case "min":
        return parts.reduce((a, b) => Math.min(a, b), Infinity);
      case "max":
        return parts.reduce((a, b) => Math.max(a, b), -Infinity);
      default:
        return undefined;
    }
  }
}

function isArray(arg: unknown): arg is JitArray {
  return ArrayBuffer.isView(arg);
}

/** `stage(frame, start, end)`: the blocks from `start` up to `end`. */
function emitStage(
  module: ModuleEmitter,
  main: FunctionIr,
  types: readonly ArgumentType[],
  reduction: Reduction,
): void {
  const scalars = parameterTypes(main);
  module.builder.function("stage", ["i32", "i32", "i32"], [], (f) => {
    const [frame, start, end] = f.params as [Local, Local, Local];
    const [block, from, state] = locals(f, "i32", 3);
    const word = (offset: number) => f.get(frame).memory("i32.load", offset);
    word(FRAME.first).get(start).op("i32.add").set(block);
    word(FRAME.first).get(end).op("i32.add").set(end);
    f.block((done) =>
      f.loop((again) => {
        f.get(block).get(end).op("i32.ge_s").brIf(done);
        if (reduction !== "map" && reduction !== "each") {
          word(FRAME.results).get(block).i32(3).op("i32.shl").op("i32.add");
        }
        f.get(block);
        word(FRAME.block).op("i32.mul").tee(from);
        emitEnd(f, frame, from);
        pushArguments();
        if (hasLoop(main)) f.i32(0);
        f.call(module.callable(main));
        if (main.result) emitResult(f, main);
        f.get(block).i32(1).op("i32.add").set(block).br(again);
      })
    );

    /** Each as main takes it; generators as streams of this block. */
    function pushArguments(): void {
      const all = reduction === "map" ? ["f64[]" as const, ...types] : types;
      const randoms = all.filter((type) => type === "random").length;
      let [at, passed, random] = [ARGUMENTS, 2, 0];
      for (const type of all) {
        if (elementOf(type)) {
          word(at);
          word(at + 4);
          passed += 2;
        } else if (type === "random") {
          word(FRAME.states).get(block).i32(randoms).op("i32.mul");
          f.i32(random++).op("i32.add").i32(STATE_BYTES).op("i32.mul");
          f.op("i32.add").set(state);
          emitSplit(f, () => word(at), block, state);
          f.get(state);
          passed++;
        } else {
          const scalar = scalars[passed++]!;
          if (scalar === "i32") word(at);
          else {
            f.get(frame).memory("f64.load", at);
            if (scalar === "f32") f.op("f32.demote_f64");
          }
        }
        at += 8;
      }
    }
  });
}

/** Pushes the end of a block: no more than the count. */
function emitEnd(f: FunctionBuilder, frame: Local, from: Local): void {
  const left = f.local("i32");
  const block = f.local("i32");
  f.get(frame).memory("i32.load", FRAME.count).get(from).op("i32.sub");
  f.set(left).get(frame).memory("i32.load", FRAME.block).set(block);
  f.get(from).get(left).get(block).get(left).get(block).op("i32.lt_s");
  f.op("select").op("i32.add");
}

/** Stores what main returned, as an f64. */
function emitResult(f: FunctionBuilder, main: FunctionIr): void {
  const held = representationOf(main.result!);
  if (held === "u32") f.op("f64.convert_i32_u");
  else if (held === "i32" || held === "bool") f.op("f64.convert_i32_s");
  else if (held === "f32") f.op("f64.promote_f32");
  f.memory("f64.store", 0, 3);
}
