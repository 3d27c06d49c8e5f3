/**
 * Tiles of a product's operands in workgroup memory.
 *
 * @module
 */

import type { ValueId } from "../kernel/kernel.ts";
import { axesOf, type Axis, isDivision } from "../view.ts";
import { isAlongRows, type Product } from "./contract.ts";
import { indexOperand } from "./index_code.ts";
import { splitPosition } from "./rows.ts";
import type { Operand, Shader } from "./shader.ts";
import { ValueCode } from "./value_code.ts";

/** One operand, and how a workgroup takes tiles of it. */
export interface TileOptions {
  /** The name of its array in workgroup memory. */
  readonly name: string;
  /** What is multiplied. */
  readonly value: ValueId;
  /** Its axes beside those of the batch and of the sum: its rows. */
  readonly axes: readonly Axis[];
  /** Its rows in all. */
  readonly size: number;
  /** Rows of a tile. */
  readonly tile: number;
  /** Terms of a tile. */
  readonly depth: number;
  /** The tile's first row. */
  readonly start: Operand;
  /** Where the axes of the batch stand. */
  readonly batch: ReadonlyMap<Axis, Operand>;
  /** Invocations that load. */
  readonly lanes: number;
}

/** Four rows of one term, at a place that each invocation has of its own. */
interface Four {
  readonly four: Operand;
  readonly term: Operand;
}

/**
 * Two halves of `[tile / 4][depth + 1]` vectors of four rows. With an odd
 * number of vectors a row, neighbours in either direction lie in different
 * banks; and the term is a constant in the code that multiplies.
 */
export class OperandTile {
  readonly #shader: Shader;
  readonly #product: Product;
  readonly #options: TileOptions;
  readonly #fours: readonly Four[];
  readonly #isWide: boolean;

  constructor(shader: Shader, product: Product, options: TileOptions) {
    this.#shader = shader;
    this.#product = product;
    this.#options = options;
    const { name, tile, depth, lanes, value, axes } = options;
    shader.global(
      `var<workgroup> ${name}: ` +
        `array<array<array<vec4<f32>, ${depth + 1}>, ${tile / 4}>, 2>;`,
    );
    const { kernel, k } = product;
    // Neighbouring invocations load neighbouring elements where they can.
    const along = isAlongRows(kernel, value, axes, k);
    const fast = along ? tile / 4 : depth;
    const inFast = shader.let(`lane & ${fast - 1}`, 0);
    const inSlow = shader.let(`lane >> ${Math.log2(fast)}u`, 0);
    this.#fours = Array.from(
      { length: tile / 4 * depth / lanes },
      (_, turn) => {
        const slow = turn === 0
          ? inSlow
          : shader.let(`${inSlow.text} + ${turn * lanes / fast}`, 0);
        const [four, term] = along ? [inFast, slow] : [slow, inFast];
        return { four, term };
      },
    );
    this.#isWide = along && isWide(product, options);
  }

  /** Loads what falls to this invocation of the tile at a term. */
  load(first: Operand): string[] {
    const shader = this.#shader;
    const { depth } = this.#options;
    const { k, sizes } = this.#product;
    return this.#fours.map(({ four, term }) => {
      const at = shader.let(`${first.text} + ${term.text}`, first.level);
      const isWhole = sizes.k % depth === 0;
      const safe = isWhole
        ? at
        : shader.let(`min(${at.text}, ${sizes.k - 1})`, at.level);
      const terms = new Map<Axis, Operand>();
      splitPosition(shader, k, safe, terms);
      const rows = this.#isWide
        ? this.#wide(four, terms)
        : `vec4<f32>(${
          [0, 1, 2, 3].map((row) => this.#element(four, row, terms)).join(", ")
        })`;
      const inside = isWhole
        ? rows
        : `select(vec4<f32>(), ${rows}, ${at.text} < ${sizes.k})`;
      return shader.let(inside, first.level, "four").text;
    });
  }

  /** Puts what was loaded into a half of the memory. */
  store(half: string, loaded: readonly string[]): void {
    this.#fours.forEach(({ four, term }, turn) => {
      const place = `[${half}][${four.text}][${term.text}]`;
      this.#shader.line(`${this.#options.name}${place} = ${loaded[turn]};`);
    });
  }

  #element(
    four: Operand,
    row: number,
    terms: ReadonlyMap<Axis, Operand>,
  ): string {
    const shader = this.#shader;
    const { start, size, tile, axes, batch, value } = this.#options;
    const text = `${start.text} + ${four.text} * 4 + ${row}`;
    const at = shader.let(
      size % tile === 0 ? text : `min(${text}, ${size - 1})`,
      0,
    );
    const place = new Map([...batch, ...terms]);
    splitPosition(shader, axes, at, place);
    return new ValueCode(shader, this.#product.kernel, place)
      .operand(value).text;
  }

  /** All four rows in one load. */
  #wide(four: Operand, terms: ReadonlyMap<Axis, Operand>): string {
    const shader = this.#shader;
    const { start, size, tile, axes, batch, value } = this.#options;
    const load = this.#product.kernel.values[value]!;
    if (load.op !== "load") throw new Error("a wide value is a load");
    const text = `${start.text} + ${four.text} * 4`;
    const at = shader.let(
      size % tile === 0 ? text : `min(${text}, ${size - 4})`,
      0,
    );
    const place = new Map([...batch, ...terms]);
    splitPosition(shader, axes, at, place);
    const index = indexOperand(shader, place, load.index);
    return `${shader.buffer(load.buffer, 4)}[${index.text} >> 2u]`;
  }
}

/** Whether four rows are one aligned vector in memory, wherever they begin. */
function isWide(
  { kernel }: Product,
  { value, axes }: Pick<TileOptions, "value" | "axes">,
): boolean {
  const load = kernel.values[value]!;
  const rows = axes.at(-1);
  if (load.op !== "load" || load.bounds.length > 0 || !rows) return false;
  if (rows.extent % 4 !== 0 || load.index.constant % 4 !== 0) return false;
  // The code that loads single elements would need a binding of its own.
  const users = kernel.values.filter((other) =>
    (other.op === "load" || other.op === "gather") &&
    other.buffer === load.buffer
  );
  const isOverwritten = kernel.buffers.some(({ overwrites }) =>
    overwrites === load.buffer
  );
  if (users.length > 1 || isOverwritten) return false;
  return load.index.terms.every(({ atom, coefficient }) =>
    atom === rows ? coefficient === 1 : coefficient % 4 === 0 &&
      !(isDivision(atom) && axesOf(atom.of).has(rows))
  );
}
