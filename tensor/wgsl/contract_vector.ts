/**
 * Products of few rows or columns with a matrix: each number of the matrix is
 * read once, so what counts is how fast it is read. A workgroup takes some
 * columns of the matrix, its invocations share the terms of each.
 *
 * @module
 */

import type { ValueId } from "../kernel/kernel.ts";
import { sizeOf } from "../shape.ts";
import type { Axis } from "../view.ts";
import { lowerEpilogue, type Product } from "./contract.ts";
import { gridOf, type Program, type ShaderLimits } from "./program.ts";
import { splitPosition, workgroupPosition } from "./rows.ts";
import { type Operand, Shader } from "./shader.ts";
import { ValueCode } from "./value_code.ts";

/** How a product is cut for {@link lowerVector}. */
export interface VectorStrategy {
  /** Tells the ways apart. */
  readonly kind: "vector";
  /** Whether `n` is the short side, not `m`. */
  readonly swap: boolean;
  /** Columns of the matrix that a workgroup takes: a power of two. */
  readonly columns: number;
  /** Whether neighbouring invocations take neighbouring terms, or columns. */
  readonly alongTerms: boolean;
  /** Parts into which each sum is cut, to keep more workgroups busy. */
  readonly parts: number;
}

/** Most rows of the short side. */
export const MOST_VECTORS = 4;
/** Invocations of a workgroup. */
export const VECTOR_LANES = 256;
/** Terms that an invocation loads at once: loads then wait together. */
const UNROLLED = 4;

/** The program of a product with few rows or columns. */
export function lowerVector(
  product: Product,
  limits: ShaderLimits,
  strategy: VectorStrategy,
): Program {
  const { kernel, sizes: { batch, m, n, k } } = product;
  const { swap, columns } = strategy;
  const terms = Math.ceil(k / strategy.parts);
  const parts = Math.ceil(k / terms);
  const elements = parts * batch * m * n;
  const shader = new Shader([
    ...kernel.buffers,
    { dtype: "float32", size: elements, output: true },
  ]);
  const grid = [parts, batch, Math.ceil((swap ? m : n) / columns)];
  const workgroups = gridOf(sizeOf(grid), limits);
  const group = workgroupPosition(shader, workgroups);
  if (workgroups[0] * workgroups[1] !== sizeOf(grid)) {
    shader.line(`if (u32(${group.text}) >= ${sizeOf(grid)}u) { return; }`);
  }
  const axes = grid.map((extent, id): Axis => ({ id, extent }));
  const place = new Map<Axis, Operand>();
  splitPosition(shader, axes, group, place);
  const [part, batchAt, column] = axes.map((axis) => place.get(axis)!);
  const code = new VectorCode(product, shader, strategy, {
    batch: batchAt!,
    start: shader.let(`${column!.text} * ${columns}`, 0, "start"),
  });
  const first = parts === 1 ? "0" : shader.let(`${part!.text} * ${terms}`, 0)
    .text;
  const end = parts === 1
    ? `${k}`
    : shader.let(`min(${first} + ${terms}, ${k})`, 0).text;
  code.sum(first, end);
  code.combine();
  code.store(
    parts === 1
      ? undefined
      : shader.let(`${part!.text} * ${batch} + ${batchAt!.text}`, 0).text,
  );
  const dispatch = shader.finish(kernel.name, VECTOR_LANES, workgroups);
  if (parts === 1) return { dispatches: [dispatch], temporaries: [] };
  return {
    dispatches: [dispatch, lowerEpilogue(product, parts, limits)],
    temporaries: [{ kind: "buffer", byteLength: elements * 4 }],
  };
}

/** Where a workgroup stands. */
interface Position {
  readonly batch: Operand;
  /** The first column. */
  readonly start: Operand;
}

class VectorCode {
  readonly #product: Product;
  readonly #shader: Shader;
  readonly #strategy: VectorStrategy;
  readonly #batch: Map<Axis, Operand> = new Map();
  /** Rows of the short side. */
  readonly #count: number;
  /** Invocations that share a column. */
  readonly #sharers: number;
  readonly #column: Operand;
  /** The column, or the last where there is none. */
  readonly #safeColumn: Operand;

  constructor(
    product: Product,
    shader: Shader,
    strategy: VectorStrategy,
    { batch, start }: Position,
  ) {
    this.#product = product;
    this.#shader = shader;
    this.#strategy = strategy;
    const { contract, sizes: { m, n } } = product;
    const { swap, columns, alongTerms } = strategy;
    splitPosition(shader, contract.batch, batch, this.#batch);
    this.#count = swap ? n : m;
    this.#sharers = VECTOR_LANES / columns;
    const [mask, shift] = alongTerms
      ? [this.#sharers - 1, Math.log2(this.#sharers)]
      : [columns - 1, Math.log2(columns)];
    shader.line("let lane = i32(local.x);");
    const [inFast, inSlow] = alongTerms ? ["share", "own"] : ["own", "share"];
    shader.line(`let ${inFast} = lane & ${mask};`);
    shader.line(`let ${inSlow} = lane >> ${shift}u;`);
    const size = swap ? m : n;
    this.#column = shader.let(`${start.text} + own`, 0);
    this.#safeColumn = size % columns === 0
      ? this.#column
      : shader.let(`min(${this.#column.text}, ${size - 1})`, 0);
  }

  /** Sums the terms that fall to this invocation. */
  sum(first: string, end: string): void {
    const shader = this.#shader;
    const step = this.#sharers;
    this.#forEachRow((row) => shader.line(`var sum_${row} = 0f;`));
    shader.line(`var k = ${first} + share;`);
    for (const count of [UNROLLED, 1]) {
      shader.open();
      for (let turn = 0; turn < count; turn++) {
        this.#addTerm(shader.let(`k + ${turn * step}`, 1));
      }
      const lines = shader.close();
      shader.block(
        `for (; k + ${(count - 1) * step} < ${end}; k += ${count * step})`,
        lines,
      );
    }
  }

  #addTerm(term: Operand): void {
    const shader = this.#shader;
    const { contract, kernel, k } = this.#product;
    const { swap } = this.#strategy;
    const load = (value: ValueId, axes: readonly Axis[], at: Operand) => {
      const place = new Map(this.#batch);
      splitPosition(shader, k, term, place);
      splitPosition(shader, axes, at, place);
      return new ValueCode(shader, kernel, place).operand(value).text;
    };
    const { left, right, m, n } = contract;
    const [few, fewAxes, many, manyAxes] = swap
      ? [right, n, left, m]
      : [left, m, right, n];
    const number = load(many, manyAxes, this.#safeColumn);
    this.#forEachRow((row) => {
      const other = load(few, fewAxes, { text: `${row}`, level: 0 });
      shader.line(`sum_${row} += ${other} * ${number};`);
    });
  }

  /** Adds up the sums of those that share a column, always in one order. */
  combine(): void {
    const shader = this.#shader;
    const sharers = this.#sharers;
    const stride = this.#strategy.alongTerms ? 1 : this.#strategy.columns;
    const type = this.#count === 1 ? "f32" : `vec${this.#count}<f32>`;
    const sums: string[] = [];
    this.#forEachRow((row) => sums.push(`sum_${row}`));
    shader.global(`var<workgroup> shares: array<${type}, ${VECTOR_LANES}>;`);
    shader.line(`shares[lane] = ${type}(${sums.join(", ")});`);
    shader.line("workgroupBarrier();");
    for (let half = sharers / 2; half >= 1; half /= 2) {
      shader.block(`if (share < ${half})`, [
        `shares[lane] = shares[lane] + shares[lane + ${half * stride}];`,
      ]);
      shader.line("workgroupBarrier();");
    }
  }

  /**
   * What follows the product.
   *
   * @param outer Which matrix of the temporary, if sums are cut in parts.
   */
  store(outer: string | undefined): void {
    const shader = this.#shader;
    const { kernel, contract, sizes: { m, n } } = this.#product;
    const { swap, columns } = this.#strategy;
    const size = swap ? m : n;
    shader.open();
    shader.line("let total = shares[lane];");
    this.#forEachRow((row) => {
      const total = this.#count === 1 ? "total" : `total[${row}]`;
      const short: Operand = { text: `${row}`, level: 0 };
      const long: Operand = { text: this.#column.text, level: 1 };
      const [rowAt, columnAt] = swap ? [long, short] : [short, long];
      if (outer !== undefined) {
        const name = shader.buffer(kernel.buffers.length);
        const place = `(${outer} * ${m} + ${rowAt.text}) * ${n} + ` +
          columnAt.text;
        shader.line(`${name}[${place}] = ${total};`);
        return;
      }
      const place = new Map(this.#batch);
      splitPosition(shader, contract.m, rowAt, place);
      splitPosition(shader, contract.n, columnAt, place);
      const code = new ValueCode(shader, kernel, place);
      code.define(contract.product, { text: total, level: 1 });
      code.stores(kernel.stores);
    });
    const lines = shader.close();
    const guard = size % columns === 0
      ? ""
      : ` & (${this.#column.text} < ${size})`;
    shader.block(`if ((share == 0)${guard})`, lines);
  }

  #forEachRow(visit: (row: number) => void): void {
    for (let row = 0; row < this.#count; row++) visit(row);
  }
}
