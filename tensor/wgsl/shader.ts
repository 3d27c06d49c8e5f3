/**
 * A WGSL program as it grows: bindings, uniform words, helpers, and scopes of
 * named values.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import type { BufferSlot } from "../kernel/kernel.ts";
import { bitsOf, literal, storedTypeOf, typeOf } from "./literal.ts";
import type { Binding, Dispatch, Word } from "./program.ts";

/** A named or literal value, and the innermost scope that it depends on. */
export interface Operand {
  /** A name or a literal. */
  readonly text: string;
  /** 0 for what is known once an invocation, then one a loop. */
  readonly level: number;
  /** Set on a literal: WGSL computes with it when it compiles. */
  readonly isLiteral?: true;
}

interface Scope {
  lines: string[];
  readonly names: Map<string, Operand>;
}

/** Collects the parts of one WGSL program. */
export class Shader {
  readonly #slots: readonly BufferSlot[];
  /** For an input that is overwritten, the output that is bound for both. */
  readonly #overwriters = new Map<number, number>();
  readonly #bindings: Binding[] = [];
  readonly #declarations: string[] = [];
  readonly #scopes: Scope[] = [{ lines: [], names: new Map() }];
  readonly #words: Word[] = [];
  readonly #wordNames = new Map<string, string>();
  readonly #helpers = new Map<string, string>();
  readonly #globals: string[] = [];
  #subgroups: string | undefined;
  #names = 0;

  /** @param slots What the buffers are; those that code names are bound. */
  constructor(slots: readonly BufferSlot[]) {
    this.#slots = slots;
    slots.forEach(({ overwrites }, slot) => {
      if (overwrites !== undefined) this.#overwriters.set(overwrites, slot);
    });
  }

  /** The level of the innermost open scope. */
  get level(): number {
    return this.#scopes.length - 1;
  }

  /**
   * The name of the buffer at a slot, bound from now on.
   *
   * @param width Numbers in one of its elements: the same in all of a program.
   */
  buffer(slot: number, width: 1 | 4 = 1): string {
    const resource = this.#overwriters.get(slot) ?? slot;
    const name = `b${resource}`;
    const { dtype, output, size } = this.#slots[resource]!;
    const type = storedTypeOf(dtype);
    this.#bind(
      { resource, kind: "buffer", writable: output },
      `var<storage, ${output ? "read_write" : "read"}> ${name}: ` +
        `array<${width === 1 ? type : `vec4<${type}>`}>; // [${size}]`,
    );
    return name;
  }

  /** The name of a temporary texture, bound from now on. */
  texture(resource: number, writable: boolean): string {
    const name = `t${resource}`;
    const type = writable
      ? "texture_storage_2d<rgba32float, write>"
      : "texture_2d<f32>";
    this.#bind(
      { resource, kind: "texture", writable },
      `var ${name}: ${type};`,
    );
    return name;
  }

  #bind(binding: Binding, declaration: string): void {
    const known = this.#bindings.some(({ resource }) =>
      resource === binding.resource
    );
    if (known) return;
    const number = this.#bindings.push(binding) - 1;
    this.#declarations.push(`@group(0) @binding(${number}) ${declaration}`);
  }

  /** A name not used before. */
  fresh(prefix: string): string {
    // The underscore keeps names apart from types: i_32, not i32.
    return `${prefix}_${this.#names++}`;
  }

  /** Enters a loop or block. */
  open(): void {
    this.#scopes.push({ lines: [], names: new Map() });
  }

  /** Leaves the innermost scope and gives its lines. */
  close(): string[] {
    return this.#scopes.pop()!.lines;
  }

  /** Adds a line at a level, by default the innermost. */
  line(text: string, level: number = this.level): void {
    this.#scopes[level]!.lines.push(text);
  }

  /** Adds a block at the innermost level. */
  block(head: string, lines: readonly string[], tail: string = "}"): void {
    this.line(`${head} {`);
    for (const text of lines) this.line(`  ${text}`);
    this.line(tail);
  }

  /** Names the value of a pure expression; the same text is named once. */
  let(expression: string, level: number, prefix: string = "v"): Operand {
    for (let outer = 0; outer <= level; outer++) {
      const known = this.#scopes[outer]!.names.get(expression);
      if (known) return known;
    }
    const operand = { text: this.fresh(prefix), level };
    this.line(`let ${operand.text} = ${expression};`, level);
    this.#scopes[level]!.names.set(expression, operand);
    return operand;
  }

  /** The uniform word, as u32. */
  word(word: Word): string {
    const key = JSON.stringify(word);
    let name = this.#wordNames.get(key);
    if (name === undefined) {
      name = `uniforms.w${this.#words.push(word) - 1}`;
      this.#wordNames.set(key, name);
    }
    return name;
  }

  /** A size that the same text serves several of, as i32. */
  size(bits: number): string {
    const word = this.#words.push({ kind: "bits", bits }) - 1;
    return `i32(uniforms.w${word})`;
  }

  /** A constant of any value. */
  constant(value: number, dtype: DType): Operand {
    const text = literal(value, dtype);
    if (text !== undefined) return { text, level: 0, isLiteral: true };
    const word = this.word({ kind: "bits", bits: bitsOf(value) });
    return this.let(`bitcast<f32>(${word})`, 0);
  }

  /** A parameter of the run. */
  param(slot: number, dtype: DType): Operand {
    const word = this.word({ kind: "param", slot });
    if (dtype === "uint32") return this.let(word, 0);
    return dtype === "bool"
      ? this.let(`${word} != 0u`, 0)
      : this.let(`bitcast<${typeOf(dtype)}>(${word})`, 0);
  }

  /** Adds a function once. */
  helper(name: string, text: string): void {
    this.#helpers.set(name, text);
  }

  /** Adds a declaration of the module. */
  global(text: string): void {
    this.#globals.push(text);
  }

  /**
   * From now on `subgroupSize` and `subgroupLane` are known.
   *
   * @param enable What enables subgroups.
   */
  useSubgroups(enable: string): void {
    this.#subgroups = enable;
  }

  /** The finished program; its body is what the outermost scope holds. */
  finish(
    name: string,
    workgroupSize: number,
    workgroups: readonly [number, number, number],
  ): Dispatch {
    const lines = [...this.#declarations];
    const parameters = [
      "@builtin(workgroup_id) group: vec3<u32>",
      "@builtin(local_invocation_id) local: vec3<u32>",
    ];
    if (this.#subgroups !== undefined) {
      if (this.#subgroups) lines.unshift(this.#subgroups);
      parameters.push(
        "@builtin(subgroup_size) subgroupSize: u32",
        "@builtin(subgroup_invocation_id) subgroupLane: u32",
      );
    }
    if (this.#words.length > 0) {
      const fields = this.#words.map((_, word) => `w${word}: u32`);
      lines.push(
        `struct Uniforms { ${fields.join(", ")} }`,
        `@group(0) @binding(${this.#bindings.length}) ` +
          "var<uniform> uniforms: Uniforms;",
      );
    }
    lines.push(
      ...this.#globals,
      ...this.#helpers.values(),
      `@compute @workgroup_size(${workgroupSize})`,
      `fn main(${parameters.join(", ")}) {`,
      ...this.#scopes[0]!.lines.map((line) => `  ${line}`),
      "}",
    );
    return {
      name,
      wgsl: lines.join("\n") + "\n",
      bindings: this.#bindings,
      words: this.#words,
      workgroups,
    };
  }
}
