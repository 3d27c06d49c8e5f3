/**
 * Matrix products for GPUs: each workgroup computes a tile of the result from
 * tiles of the operands in workgroup memory, each invocation a block of it in
 * registers, four columns to a vector.
 *
 * While a workgroup multiplies one pair of tiles it loads the next into
 * registers and puts them into the other half of its memory, so that a step
 * has one barrier and loads have the time of a whole step to arrive.
 *
 * @module
 */

import { sizeOf } from "../shape.ts";
import type { Axis } from "../view.ts";
import { lowerEpilogue, type Product } from "./contract.ts";
import { OperandTile } from "./operand_tile.ts";
import { gridOf, type Program, type ShaderLimits } from "./program.ts";
import { splitPosition, workgroupPosition } from "./rows.ts";
import { type Operand, Shader } from "./shader.ts";
import { ValueCode } from "./value_code.ts";

/** How a product is cut for {@link lowerTiled}. */
export interface TiledStrategy {
  /** Tells the ways apart. */
  readonly kind: "tiled";
  /** Rows and columns of a workgroup's tile: 32, 64 or 128. */
  readonly tile: readonly [number, number];
  /** Rows and columns of an invocation's block: 4 or 8. */
  readonly block: readonly [number, number];
  /** Terms of the sums that lie in workgroup memory at a time. */
  readonly depth: number;
  /** Parts into which each sum is cut, to keep more workgroups busy. */
  readonly parts: number;
}

/** Invocations of a workgroup. */
export function lanesOf(
  { tile, block }: Pick<TiledStrategy, "tile" | "block">,
): number {
  return (tile[0] / block[0]) * (tile[1] / block[1]);
}

/** Bytes of workgroup memory: twice both tiles, with a vector beside each row. */
export function workgroupBytesOf(
  { tile, depth }: Pick<TiledStrategy, "tile" | "depth">,
): number {
  return 2 * (tile[0] + tile[1]) * (depth + 1) * 4;
}

/** Terms of one part, whole steps but for the last; none is empty. */
export function termsOfPart(k: number, depth: number, parts: number): number {
  return Math.ceil(k / depth / parts) * depth;
}

/** The program of a product in tiles. */
export function lowerTiled(
  product: Product,
  limits: ShaderLimits,
  strategy: TiledStrategy,
): Program {
  const { kernel, sizes: { batch, m, n, k } } = product;
  const { tile, depth } = strategy;
  const terms = termsOfPart(k, depth, strategy.parts);
  const parts = Math.ceil(k / terms);
  const elements = parts * batch * m * n;
  const shader = new Shader([
    ...kernel.buffers,
    { dtype: "float32", size: elements, output: true },
  ]);
  const grid = [parts, batch, Math.ceil(m / tile[0]), Math.ceil(n / tile[1])];
  const workgroups = gridOf(sizeOf(grid), limits);
  const group = workgroupPosition(shader, workgroups);
  if (workgroups[0] * workgroups[1] !== sizeOf(grid)) {
    shader.line(`if (u32(${group.text}) >= ${sizeOf(grid)}u) { return; }`);
  }
  const place = new Map<Axis, Operand>();
  const axes = grid.map((extent, id): Axis => ({ id, extent }));
  splitPosition(shader, axes, group, place);
  const [part, batchAt, row, column] = axes.map((axis) => place.get(axis)!);
  const first = parts === 1
    ? { text: "0", level: 0 }
    : shader.let(`${part!.text} * ${terms}`, 0);
  const end = parts === 1
    ? `${k}`
    : shader.let(`min(${first.text} + ${terms}, ${k})`, 0).text;
  const outer = parts === 1
    ? undefined
    : shader.let(`${part!.text} * ${batch} + ${batchAt!.text}`, 0);
  new TiledCode(product, shader, strategy, {
    first,
    end,
    outer,
    batch: batchAt!,
    row: shader.let(`${row!.text} * ${tile[0]}`, 0, "start"),
    column: shader.let(`${column!.text} * ${tile[1]}`, 0, "start"),
  }).emit();
  const dispatch = shader.finish(kernel.name, lanesOf(strategy), workgroups);
  if (parts === 1) return { dispatches: [dispatch], temporaries: [] };
  return {
    dispatches: [dispatch, lowerEpilogue(product, parts, limits)],
    temporaries: [{ kind: "buffer", byteLength: elements * 4 }],
  };
}

/** Where a workgroup stands. */
interface Position {
  /** The first term. */
  readonly first: Operand;
  /** One past the last term. */
  readonly end: string;
  /** Which matrix of the temporary it writes, if sums are cut in parts. */
  readonly outer: Operand | undefined;
  /** Which product. */
  readonly batch: Operand;
  /** The tile's first row. */
  readonly row: Operand;
  /** The tile's first column. */
  readonly column: Operand;
}

const COMPONENTS = ["x", "y", "z", "w"] as const;

class TiledCode {
  readonly #product: Product;
  readonly #shader: Shader;
  readonly #strategy: TiledStrategy;
  readonly #position: Position;
  readonly #batch: Map<Axis, Operand> = new Map();
  /** Invocations along the columns and along the rows. */
  readonly #lanes: readonly [number, number];

  constructor(
    product: Product,
    shader: Shader,
    strategy: TiledStrategy,
    position: Position,
  ) {
    this.#product = product;
    this.#shader = shader;
    this.#strategy = strategy;
    this.#position = position;
    const { tile, block } = strategy;
    this.#lanes = [tile[1] / block[1], tile[0] / block[0]];
    splitPosition(shader, product.contract.batch, position.batch, this.#batch);
  }

  emit(): void {
    const shader = this.#shader;
    const [width] = this.#lanes;
    shader.line("let lane = i32(local.x);");
    shader.line(`let x = lane & ${width - 1};`);
    shader.line(`let y = lane >> ${Math.log2(width)}u;`);
    for (const sum of this.#sums()) shader.line(`var ${sum} = vec4<f32>();`);
    this.#multiply();
    this.#store();
  }

  /** The sums of an invocation, row by row, four columns each. */
  #sums(): string[] {
    const [rows, columns] = this.#strategy.block;
    return Array.from({ length: rows }, (_, row) =>
      Array.from(
        { length: columns / 4 },
        (_, four) => `sum_${row}_${four}`,
      )).flat();
  }

  #multiply(): void {
    const shader = this.#shader;
    const { first, end, row, column } = this.#position;
    const { depth, tile } = this.#strategy;
    const { contract, sizes } = this.#product;
    const sides = [
      {
        name: "left",
        value: contract.left,
        axes: contract.m,
        size: sizes.m,
        start: row,
        tile: tile[0],
      },
      {
        name: "right",
        value: contract.right,
        axes: contract.n,
        size: sizes.n,
        start: column,
        tile: tile[1],
      },
    ].map((side) =>
      new OperandTile(shader, this.#product, {
        ...side,
        batch: this.#batch,
        depth,
        lanes: lanesOf(this.#strategy),
      })
    );
    for (const side of sides) side.store("0", side.load(first));
    shader.line("workgroupBarrier();");
    shader.line("var half = 0;");
    shader.open();
    // The last step loads the first tiles once more: no branch is needed.
    const next = shader.let(
      `select(k + ${depth}, ${first.text}, k + ${depth} >= ${end})`,
      1,
    );
    const loaded = sides.map((side) => side.load(next));
    // Straight-line code: loops in it cost more than the products.
    for (let term = 0; term < depth; term++) this.#multiplyTerm(term);
    sides.forEach((side, at) => side.store("1 - half", loaded[at]!));
    shader.line("workgroupBarrier();");
    shader.line("half = 1 - half;");
    const lines = shader.close();
    shader.block(
      `for (var k = ${first.text}; k < ${end}; k += ${depth})`,
      lines,
    );
  }

  /** Adds the products of one term to all elements. */
  #multiplyTerm(term: number): void {
    const shader = this.#shader;
    const [rows, columns] = this.#strategy.block;
    const [width, height] = this.#lanes;
    for (let four = 0; four < rows / 4; four++) {
      const at = four === 0 ? "y" : `y + ${four * height}`;
      shader.line(`let a_${term}_${four} = left[half][${at}][${term}];`);
    }
    for (let four = 0; four < columns / 4; four++) {
      const at = four === 0 ? "x" : `x + ${four * width}`;
      shader.line(`let b_${term}_${four} = right[half][${at}][${term}];`);
    }
    for (let row = 0; row < rows; row++) {
      const a = `a_${term}_${row >> 2}.${COMPONENTS[row & 3]}`;
      for (let four = 0; four < columns / 4; four++) {
        shader.line(`sum_${row}_${four} += ${a} * b_${term}_${four};`);
      }
    }
  }

  /** What follows the product. */
  #store(): void {
    const shader = this.#shader;
    const { row, column } = this.#position;
    const { tile, block } = this.#strategy;
    const { sizes: { m, n } } = this.#product;
    const [width, height] = this.#lanes;
    const sums = this.#sums();
    // A loop over an array compiles in a fraction of the time of as many
    // copies of what follows, and runs once.
    shader.line(`var sums: array<vec4<f32>, ${sums.length}>;`);
    sums.forEach((sum, at) => shader.line(`sums[${at}] = ${sum};`));
    shader.open();
    shader.line("let sum = sums[i];");
    const fours = block[1] / 4;
    const inRow = fours === 1 ? "i" : `(i >> ${Math.log2(fours)}u)`;
    const inFour = fours === 1 ? "x" : `(x + (i & ${fours - 1}) * ${width})`;
    const rowAt = shader.let(
      `${row.text} + (y + (${inRow} >> 2u) * ${height}) * 4 + (${inRow} & 3)`,
      1,
    );
    const firstColumn = shader.let(`${column.text} + ${inFour} * 4`, 1);
    COMPONENTS.forEach((component, offset) => {
      const columnAt = shader.let(`${firstColumn.text} + ${offset}`, 1);
      const guards = [
        ...m % tile[0] === 0 ? [] : [`(${rowAt.text} < ${m})`],
        ...n % tile[1] === 0 ? [] : [`(${columnAt.text} < ${n})`],
      ];
      shader.open();
      // What depends on them is computed behind the guards.
      this.#storeElement(
        `sum.${component}`,
        { text: rowAt.text, level: 2 },
        { text: columnAt.text, level: 2 },
      );
      const lines = shader.close();
      shader.block(
        guards.length > 0 ? `if (${guards.join(" & ")})` : "",
        lines,
      );
    });
    const lines = shader.close();
    shader.block(`for (var i = 0; i < ${sums.length}; i++)`, lines);
  }

  #storeElement(sum: string, row: Operand, column: Operand): void {
    const shader = this.#shader;
    const { kernel, contract, sizes: { m, n } } = this.#product;
    const { outer } = this.#position;
    if (outer) {
      const place = `(${outer.text} * ${m} + ${row.text}) * ${n} + ` +
        column.text;
      const name = shader.buffer(kernel.buffers.length);
      shader.line(`${name}[${place}] = ${sum};`);
      return;
    }
    const place = new Map(this.#batch);
    splitPosition(shader, contract.m, row, place);
    splitPosition(shader, contract.n, column, place);
    const code = new ValueCode(shader, kernel, place);
    code.define(contract.product, { text: sum, level: 2 });
    code.stores(kernel.stores);
  }
}
