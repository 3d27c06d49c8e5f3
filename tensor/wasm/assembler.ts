/**
 * Builds WebAssembly modules: a method call an instruction, binary out.
 *
 * @module
 */

import { LANE, MEMORY, MEMORY_LANE, PLAIN } from "./opcodes.ts";

/** Type of a local, a parameter or a result. */
export type WasmType = "i32" | "i64" | "f32" | "f64" | "v128";

/** An instruction without immediates. */
export type PlainOp = keyof typeof PLAIN;

/** An instruction that names a place in memory. */
export type MemoryOp = keyof typeof MEMORY;

/** An instruction that names a lane. */
export type LaneOp = keyof typeof LANE;

/** An instruction that names a place in memory and a lane. */
export type MemoryLaneOp = keyof typeof MEMORY_LANE;

const TYPE_CODES: Record<WasmType, number> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** A variable of a function, its parameters included. */
export interface Local {
  /** Position among the parameters and locals. */
  readonly index: number;
  /** Type. */
  readonly type: WasmType;
}

/** Where a branch goes: the end of a block, or the start of a loop. */
export interface Label {
  /** Nesting depth at which it was opened. */
  readonly depth: number;
}

/** A function that can be called: imported, or of this module. */
export interface Callable {
  /** Position among the functions. */
  readonly index: number;
}

/** The one memory that a module works on. */
export interface MemoryImport {
  /** Whether threads share it. */
  readonly shared: boolean;
  /** Least number of pages of 64 KiB. */
  readonly initial: number;
  /** Most pages. */
  readonly maximum: number;
}

/** What a binary module begins with: its name, and version 1. */
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

function unsigned(out: Code, value: number): void {
  value >>>= 0;
  while (value >= 0x80) {
    out.push((value & 0x7f) | 0x80);
    value >>>= 7;
  }
  out.push(value);
}

function numberBytes(value: number): number[] {
  const bytes: number[] = [];
  unsigned(bytes, value);
  return bytes;
}

function lengthOf(parts: readonly (readonly number[])[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function signed(out: Code, value: bigint): void {
  while (value < -64n || value >= 64n) {
    out.push(Number(value & 0x7fn) | 0x80);
    value >>= 7n;
  }
  out.push(Number(value & 0x7fn));
}

function signedSmall(out: Code, value: number): void {
  while (value < -64 || value >= 64) {
    out.push((value & 0x7f) | 0x80);
    value >>= 7;
  }
  out.push(value & 0x7f);
}

function opcode(out: Code, code: number): void {
  if (code <= 0xff) {
    out.push(code);
    return;
  }
  out.push(code >>> 20);
  unsigned(out, code & 0xfffff);
}

/** Instructions with holes in them that are filled later. */
type Code = (number | Code)[];

function flattenInto(out: number[], code: Code): void {
  for (const part of code) {
    if (typeof part === "number") out.push(part);
    else flattenInto(out, part);
  }
}

/** A place in a function to which instructions can still be added. */
export interface Hole {
  /** Its instructions. */
  readonly code: Code;
  /** How many blocks it lies in. */
  readonly depth: number;
}

function text(out: number[], value: string): void {
  const bytes = new TextEncoder().encode(value);
  unsigned(out, bytes.length);
  out.push(...bytes);
}

const scratch = new DataView(new ArrayBuffer(8));

/** Writes one function: each method appends an instruction and returns this. */
export class FunctionBuilder {
  /** Its parameters, in order. */
  readonly params: readonly Local[];
  readonly #locals: WasmType[] = [];
  readonly #entry: Code = [];
  readonly #constants = new Map<string, Local>();
  #code: Code = [];
  #depth = 0;

  /** Begins a function; made by {@link ModuleBuilder}. */
  constructor(params: readonly WasmType[]) {
    this.params = params.map((type, index) => ({ index, type }));
  }

  /** A new variable; it starts as zero. */
  local(type: WasmType): Local {
    const index = this.params.length + this.#locals.length;
    this.#locals.push(type);
    return { index, type };
  }

  /** Pushes a variable. */
  get(local: Local): this {
    return this.#emit(0x20, local.index);
  }

  /** Pops into a variable. */
  set(local: Local): this {
    return this.#emit(0x21, local.index);
  }

  /** Copies the top of the stack into a variable. */
  tee(local: Local): this {
    return this.#emit(0x22, local.index);
  }

  /** An instruction without immediates. */
  op(name: PlainOp): this {
    this.#opcode(PLAIN[name]);
    return this;
  }

  /** Pushes an i32: signed or unsigned, wrapped to 32 bits. */
  i32(value: number): this {
    this.#code.push(0x41);
    signedSmall(this.#code, value | 0);
    return this;
  }

  /** Pushes an i64. */
  i64(value: bigint): this {
    this.#code.push(0x42);
    this.#signed(BigInt.asIntN(64, value));
    return this;
  }

  /** Pushes an f32. */
  f32(value: number): this {
    scratch.setFloat32(0, value, true);
    this.#code.push(0x43);
    return this.#bytes(4);
  }

  /** Pushes an f64. */
  f64(value: number): this {
    scratch.setFloat64(0, value, true);
    this.#code.push(0x44);
    return this.#bytes(8);
  }

  /** Pushes four 32-bit words. */
  v128(a: number, b: number, c: number, d: number): this {
    this.#opcode(0xfd_0000c);
    for (const word of [a, b, c, d]) {
      scratch.setInt32(0, word | 0, true);
      this.#bytes(4);
    }
    return this;
  }

  /** Pushes an i32 in each of four lanes, held from the entry on. */
  i32x4(value: number): this {
    return this.get(this.constant(value, value, value, value));
  }

  /** Pushes an f32 in each of four lanes, held from the entry on. */
  f32x4(value: number): this {
    scratch.setFloat32(0, value);
    return this.i32x4(scratch.getInt32(0));
  }

  /** Pushes an f64 in each of two lanes, held from the entry on. */
  f64x2(value: number): this {
    scratch.setFloat64(0, value);
    const high = scratch.getInt32(0);
    const low = scratch.getInt32(4);
    return this.get(this.constant(low, high, low, high));
  }

  /**
   * A variable that holds four 32-bit words from the function's entry on: an
   * engine builds a constant anew at each place that pushes it.
   */
  constant(a: number, b: number, c: number, d: number): Local {
    const key = `${[a | 0, b | 0, c | 0, d | 0]}`;
    const present = this.#constants.get(key);
    if (present) return present;
    const local = this.local("v128");
    this.fill({ code: this.#entry, depth: 0 }, () => {
      this.v128(a, b, c, d).set(local);
    });
    this.#constants.set(key, local);
    return local;
  }

  /** Leaves a place here that {@link fill} adds instructions to. */
  hole(): Hole {
    const code: Code = [];
    this.#code.push(code);
    return { code, depth: this.#depth };
  }

  /** Appends to a hole what `body` writes; it must leave the stack as it was. */
  fill(hole: Hole, body: () => void): this {
    const [code, depth] = [this.#code, this.#depth];
    [this.#code, this.#depth] = [hole.code, hole.depth];
    body();
    [this.#code, this.#depth] = [code, depth];
    return this;
  }

  /**
   * Loads, stores and atomics. Pops the address (and what is stored).
   *
   * @param name Which.
   * @param offset Bytes added to the address, up to 2^32 - 1.
   * @param align log2 of the alignment that holds; by default that of a 32-bit
   * word or of the type, whichever is less.
   */
  memory(name: MemoryOp, offset: number = 0, align?: number): this {
    const [code, natural] = MEMORY[name];
    this.#opcode(code);
    this.#unsigned(align ?? Math.min(natural, 2));
    this.#unsigned(offset);
    return this;
  }

  /** Loads or stores one lane. */
  memoryLane(name: MemoryLaneOp, lane: number, offset: number = 0): this {
    const [code, natural] = MEMORY_LANE[name];
    this.#opcode(code);
    this.#unsigned(Math.min(natural, 2));
    this.#unsigned(offset);
    this.#code.push(lane);
    return this;
  }

  /** Takes a lane out, or puts one in. */
  lane(name: LaneOp, lane: number): this {
    this.#opcode(LANE[name]);
    this.#code.push(lane);
    return this;
  }

  /** Picks four 32-bit lanes: 0 to 3 of the first vector, 4 to 7 of the second. */
  shuffle(a: number, b: number, c: number, d: number): this {
    this.#opcode(0xfd_0000d);
    for (const lane of [a, b, c, d]) {
      for (let byte = 0; byte < 4; byte++) this.#code.push(4 * lane + byte);
    }
    return this;
  }

  /** Copies bytes; pops length, source, destination. */
  memoryCopy(): this {
    this.#opcode(0xfc_0000a);
    this.#code.push(0, 0);
    return this;
  }

  /** Sets bytes; pops length, value, destination. */
  memoryFill(): this {
    this.#opcode(0xfc_0000b);
    this.#code.push(0);
    return this;
  }

  /** A block; a branch to its label leaves it. */
  block(body: (label: Label) => void): this {
    return this.#nest(0x02, undefined, body);
  }

  /** A loop; a branch to its label runs it again, its end leaves it. */
  loop(body: (label: Label) => void): this {
    return this.#nest(0x03, undefined, body);
  }

  /** Pops a condition; each branch leaves a value of type `result`, if given. */
  if(
    then: (label: Label) => void,
    otherwise?: () => void,
    result?: WasmType,
  ): this {
    return this.#nest(0x04, result, (label) => {
      then(label);
      if (!otherwise) return;
      this.#code.push(0x05);
      otherwise();
    });
  }

  /** Jumps. */
  br(label: Label): this {
    return this.#emit(0x0c, this.#depth - label.depth);
  }

  /** Pops a condition and jumps if it is not zero. */
  brIf(label: Label): this {
    return this.#emit(0x0d, this.#depth - label.depth);
  }

  /** Calls a function. */
  call(target: Callable): this {
    return this.#emit(0x10, target.index);
  }

  /** The body as it stands in the code section. */
  finish(): number[] {
    const runs: [count: number, type: WasmType][] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last && last[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    const head: number[] = [];
    unsigned(head, runs.length);
    for (const [count, type] of runs) {
      unsigned(head, count);
      head.push(TYPE_CODES[type]);
    }
    flattenInto(head, this.#entry);
    flattenInto(head, this.#code);
    head.push(0x0b);
    return head;
  }

  #nest(
    code: number,
    result: WasmType | undefined,
    body: (label: Label) => void,
  ): this {
    this.#code.push(code, result ? TYPE_CODES[result] : 0x40);
    this.#depth++;
    body({ depth: this.#depth });
    this.#depth--;
    this.#code.push(0x0b);
    return this;
  }

  #emit(code: number, immediate: number): this {
    this.#code.push(code);
    this.#unsigned(immediate);
    return this;
  }

  #unsigned(value: number): void {
    unsigned(this.#code, value);
  }

  #signed(value: bigint): void {
    signed(this.#code, value);
  }

  #opcode(code: number): void {
    opcode(this.#code, code);
  }

  #bytes(count: number): this {
    for (let i = 0; i < count; i++) this.#code.push(scratch.getUint8(i));
    return this;
  }
}

/**
 * A module under construction. It imports its memory as `env.memory`.
 *
 * @example A function that adds
 * ```ts ignore
 * const module = new ModuleBuilder();
 * module.function("add", ["i32", "i32"], ["i32"], (f) => {
 *   f.get(f.params[0]!).get(f.params[1]!).op("i32.add");
 * });
 * const bytes = module.finish();
 * ```
 */
export class ModuleBuilder {
  readonly #types: number[][] = [];
  readonly #typeIds = new Map<string, number>();
  readonly #imports: number[][] = [];
  #importedFunctions = 0;
  readonly #functions: number[] = [];
  readonly #bodies: number[][] = [];
  readonly #exports: number[][] = [];

  /** Imports the memory, as `env.memory`. */
  importMemory({ shared, initial, maximum }: MemoryImport): void {
    const entry: number[] = [];
    text(entry, "env");
    text(entry, "memory");
    entry.push(0x02, shared ? 0x03 : 0x01);
    unsigned(entry, initial);
    unsigned(entry, maximum);
    this.#imports.push(entry);
  }

  /** Imports a function; before the first function of its own. */
  importFunction(
    module: string,
    name: string,
    params: readonly WasmType[],
    results: readonly WasmType[],
  ): Callable {
    if (this.#functions.length > 0) {
      throw new Error("importFunction: a function is already there");
    }
    const entry: number[] = [];
    text(entry, module);
    text(entry, name);
    entry.push(0x00);
    unsigned(entry, this.#typeId(params, results));
    this.#imports.push(entry);
    return { index: this.#importedFunctions++ };
  }

  /**
   * Adds a function.
   *
   * @param name Its export name; undefined keeps it inside.
   * @param params Types of its parameters.
   * @param results Types of its results.
   * @param body Writes its instructions.
   */
  function(
    name: string | undefined,
    params: readonly WasmType[],
    results: readonly WasmType[],
    body: (builder: FunctionBuilder) => void,
  ): Callable {
    const builder = new FunctionBuilder(params);
    body(builder);
    const index = this.#importedFunctions + this.#functions.length;
    this.#functions.push(this.#typeId(params, results));
    this.#bodies.push(builder.finish());
    if (name !== undefined) {
      const entry: number[] = [];
      text(entry, name);
      entry.push(0x00);
      unsigned(entry, index);
      this.#exports.push(entry);
    }
    return { index };
  }

  /** The module's binary form. */
  finish(): Uint8Array<ArrayBuffer> {
    const parts: (readonly number[])[] = [HEADER];
    const section = (
      id: number,
      count: number,
      entries: readonly (readonly number[])[],
    ) => {
      if (count === 0) return;
      const counted = [numberBytes(count), ...entries];
      parts.push([id], numberBytes(lengthOf(counted)), ...counted);
    };
    section(1, this.#types.length, this.#types);
    section(2, this.#imports.length, this.#imports);
    section(3, this.#functions.length, this.#functions.map(numberBytes));
    section(7, this.#exports.length, this.#exports);
    section(
      10,
      this.#bodies.length,
      this.#bodies.flatMap((body) => [numberBytes(body.length), body]),
    );
    const out = new Uint8Array(lengthOf(parts));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  #typeId(params: readonly WasmType[], results: readonly WasmType[]): number {
    const key = `${params}>${results}`;
    const present = this.#typeIds.get(key);
    if (present !== undefined) return present;
    const entry = [0x60];
    unsigned(entry, params.length);
    entry.push(...params.map((type) => TYPE_CODES[type]));
    unsigned(entry, results.length);
    entry.push(...results.map((type) => TYPE_CODES[type]));
    this.#typeIds.set(key, this.#types.length);
    this.#types.push(entry);
    return this.#types.length - 1;
  }
}
