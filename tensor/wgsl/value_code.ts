/**
 * Values of a kernel as WGSL: each a named constant in the outermost scope
 * that knows its operands.
 *
 * @module
 */

import type { DType } from "../dtype.ts";
import {
  argumentsOf,
  type LoopKernel,
  type Store,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import {
  type AxisOperands,
  boundsOperand,
  indexOperand,
} from "./index_code.ts";
import { expressionOf, fromStored, toStored } from "./expressions.ts";
import { storedTypeOf, typeOf } from "./literal.ts";
import type { Operand, Shader } from "./shader.ts";

/** Emits values on demand, each once. */
export class ValueCode {
  readonly #shader: Shader;
  readonly #kernel: LoopKernel;
  readonly #axes: AxisOperands;
  readonly #known: Map<ValueId, Operand>;

  constructor(
    shader: Shader,
    kernel: LoopKernel,
    axes: AxisOperands,
    known: Map<ValueId, Operand> = new Map(),
  ) {
    this.#shader = shader;
    this.#kernel = kernel;
    this.#axes = axes;
    this.#known = known;
  }

  /** Says what a value is: a reduction after its loop. */
  define(id: ValueId, operand: Operand): void {
    this.#known.set(id, operand);
  }

  /** Forgets what was computed in scopes that are closed now. */
  forget(): void {
    for (const [id, { level }] of this.#known) {
      if (level > this.#shader.level) this.#known.delete(id);
    }
  }

  /** The value, with all that it depends on. */
  operand(id: ValueId): Operand {
    const known = this.#known.get(id);
    if (known) return known;
    // In order of the kernel, not by recursion: chains can be long.
    for (const needed of this.#missing(id)) {
      this.#known.set(needed, this.#emit(this.#kernel.values[needed]!));
    }
    return this.#known.get(id)!;
  }

  /**
   * Writes values. All are computed before the first is stored, since a store
   * may lie in the memory of what another value loads.
   */
  stores(stores: readonly Store[]): void {
    for (const { value } of stores) this.operand(value);
    for (const store of stores) this.#store(store);
  }

  #store(store: Store): void {
    const { text } = this.operand(store.value);
    const place = indexOperand(this.#shader, this.#axes, store.index);
    const { dtype } = this.#kernel.values[store.value]!;
    this.#shader.line(
      `${this.#shader.buffer(store.buffer)}[${place.text}] = ${
        toStored(text, dtype)
      };`,
    );
  }

  #missing(id: ValueId): ValueId[] {
    const found = new Set([id]);
    const pending = [id];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      for (const arg of argumentsOf(this.#kernel.values[next]!)) {
        if (found.has(arg) || this.#known.has(arg)) continue;
        found.add(arg);
        pending.push(arg);
      }
    }
    return [...found].sort((a, b) => a - b);
  }

  #emit(value: Value): Operand {
    const shader = this.#shader;
    switch (value.op) {
      case "const":
        return shader.constant(value.value, value.dtype);
      case "param":
        return shader.param(value.slot, value.dtype);
      case "index": {
        const { text, level } = indexOperand(shader, this.#axes, value.index);
        return value.index.terms.length > 0
          ? { text, level }
          : { text: `i32(${text})`, level, isLiteral: true };
      }
      case "inside":
        return boundsOperand(shader, this.#axes, value.bounds) ??
          { text: "true", level: 0, isLiteral: true };
      case "load": {
        const inside = boundsOperand(shader, this.#axes, value.bounds);
        const place = indexOperand(shader, this.#axes, value.index);
        return this.#load(value.buffer, value.dtype, place, inside);
      }
      case "gather": {
        const chosen = this.operand(value.at);
        const valid = shader.let(
          `u32(${chosen.text}) < ${value.extent}u`,
          chosen.level,
          "in",
        );
        const bounds = boundsOperand(shader, this.#axes, value.bounds);
        const inside = bounds
          ? shader.let(
            `${bounds.text} & ${valid.text}`,
            Math.max(bounds.level, valid.level),
            "in",
          )
          : valid;
        const base = indexOperand(shader, this.#axes, value.index);
        const place = shader.let(
          `${base.text} + ${chosen.text} * ${value.stride}`,
          Math.max(base.level, chosen.level),
          "i",
        );
        return this.#load(value.buffer, value.dtype, place, inside);
      }
      case "reduce":
        throw new Error("a reduction is defined by its loop");
      default: {
        const args = (value.args as readonly ValueId[]).map((arg) =>
          this.#known.get(arg)!
        );
        const from = this.#kernel.values[value.args[0]]!.dtype;
        const expression = expressionOf(
          shader,
          value,
          namedOperands(shader, args),
          from,
        );
        const level = Math.max(0, ...args.map((arg) => arg.level));
        return shader.let(expression, level);
      }
    }
  }

  #load(
    buffer: number,
    dtype: DType,
    place: Operand,
    inside: Operand | undefined,
  ): Operand {
    const shader = this.#shader;
    const name = shader.buffer(buffer);
    if (!inside) {
      const text = fromStored(`${name}[${place.text}]`, dtype);
      return shader.let(text, place.level);
    }
    const level = Math.max(place.level, inside.level);
    const safe = shader.let(
      `select(0, ${place.text}, ${inside.text})`,
      level,
      "i",
    );
    // A load through a clamped place and a choice, not a branch.
    const zero = storedTypeOf(dtype) === "f32" ? "0f" : `${typeOf(dtype)}(0)`;
    return dtype === "bool"
      ? shader.let(
        `(${name}[${safe.text}] != 0u) & ${inside.text}`,
        level,
      )
      : shader.let(
        `select(${zero}, ${name}[${safe.text}], ${inside.text})`,
        level,
      );
  }
}

/** Names a literal where all are: WGSL refuses a constant that overflows. */
function namedOperands(shader: Shader, args: readonly Operand[]): string[] {
  const names = args.map(({ text }) => text);
  if (args.every(({ isLiteral }) => isLiteral)) {
    names[0] = shader.let(names[0]!, 0).text;
  }
  return names;
}
