/**
 * Matrix products for GPUs: each workgroup computes a tile of the result from
 * tiles of the operands in workgroup memory, each invocation a few elements of
 * it in registers.
 *
 * @module
 */

import type { ValueId } from "../kernel/kernel.ts";
import { sizeOf } from "../shape.ts";
import type { Axis } from "../view.ts";
import { isContiguousAlong, lowerEpilogue, type Product } from "./contract.ts";
import { gridOf, type Program, type ShaderLimits } from "./program.ts";
import { splitPosition, workgroupPosition } from "./rows.ts";
import { type Operand, Shader } from "./shader.ts";
import { ValueCode } from "./value_code.ts";

/** Invocations of a workgroup are 16 x 16 over the tile. */
const SIDE = 16;
/** Terms of the sums that lie in workgroup memory at a time. */
const DEPTH = 16;

/** How a product is cut for {@link lowerTiled}. */
export interface TiledStrategy {
  /** Tells the ways apart. */
  readonly kind: "tiled";
  /** Rows and columns of a workgroup's tile: 16, 32 or 64. */
  readonly tile: number;
  /** Parts into which each sum is cut, to keep more workgroups busy. */
  readonly parts: number;
}

/** The program of a product in tiles. */
export function lowerTiled(
  product: Product,
  limits: ShaderLimits,
  { tile, parts }: TiledStrategy,
): Program {
  const { kernel, sizes } = product;
  const { batch, m, n } = sizes;
  const elements = parts * batch * m * n;
  const shader = new Shader([
    ...kernel.buffers,
    { dtype: "float32", size: elements, output: true },
  ]);
  const grid = [parts, batch, Math.ceil(m / tile), Math.ceil(n / tile)];
  const workgroups = gridOf(sizeOf(grid), limits);
  const group = workgroupPosition(shader, workgroups);
  if (workgroups[0] * workgroups[1] !== sizeOf(grid)) {
    shader.line(`if (u32(${group.text}) >= ${sizeOf(grid)}u) { return; }`);
  }
  const place = new Map<Axis, Operand>();
  const axes = grid.map((extent, id): Axis => ({ id, extent }));
  splitPosition(shader, axes, group, place);
  const positions = axes.map((axis) => place.get(axis)!);
  new TiledCode(product, shader, { kind: "tiled", tile, parts }, positions)
    .emit();
  const dispatch = shader.finish(kernel.name, SIDE * SIDE, workgroups);
  if (parts === 1) return { dispatches: [dispatch], temporaries: [] };
  return {
    dispatches: [dispatch, lowerEpilogue(product, parts, limits)],
    temporaries: [{ kind: "buffer", byteLength: elements * 4 }],
  };
}

/** One operand. */
interface Side {
  /** Its array in workgroup memory: `[DEPTH][tile + 1]`. */
  readonly name: string;
  readonly value: ValueId;
  /** Its axes beside those of the batch and of the sum. */
  readonly axes: readonly Axis[];
  readonly size: number;
  /** Position of the tile's first row or column. */
  readonly start: Operand;
}

class TiledCode {
  readonly #product: Product;
  readonly #shader: Shader;
  readonly #strategy: TiledStrategy;
  readonly #part: Operand;
  readonly #batchPosition: Operand;
  readonly #batch: Map<Axis, Operand> = new Map();
  readonly #left: Side;
  readonly #right: Side;

  /** @param positions Part, batch, and the tile's row and column. */
  constructor(
    product: Product,
    shader: Shader,
    strategy: TiledStrategy,
    positions: readonly Operand[],
  ) {
    this.#product = product;
    this.#shader = shader;
    this.#strategy = strategy;
    const [part, batch, row, column] = positions;
    this.#part = part!;
    this.#batchPosition = batch!;
    const { contract, sizes } = product;
    splitPosition(shader, contract.batch, batch!, this.#batch);
    const startOf = (position: Operand) =>
      shader.let(`${position.text} * ${strategy.tile}`, 0, "start");
    this.#left = {
      name: "left",
      value: contract.left,
      axes: contract.m,
      size: sizes.m,
      start: startOf(row!),
    };
    this.#right = {
      name: "right",
      value: contract.right,
      axes: contract.n,
      size: sizes.n,
      start: startOf(column!),
    };
  }

  emit(): void {
    const shader = this.#shader;
    for (const { name } of [this.#left, this.#right]) {
      const size = DEPTH * (this.#strategy.tile + 1);
      shader.global(`var<workgroup> ${name}: array<f32, ${size}>;`);
    }
    shader.line("let lane = i32(local.x);");
    shader.line(`let x = lane & ${SIDE - 1};`);
    shader.line(`let y = lane >> ${Math.log2(SIDE)}u;`);
    this.#forEachElement((sum) => shader.line(`var ${sum} = 0f;`));
    this.#sumTiles();
    this.#forEachElement((sum, row, column) => this.#store(sum, row, column));
  }

  /** The elements of one invocation: rows y + 16 i, columns x + 16 j. */
  #forEachElement(
    visit: (sum: string, row: number, column: number) => void,
  ): void {
    for (let row = 0; row < this.#strategy.tile; row += SIDE) {
      for (let column = 0; column < this.#strategy.tile; column += SIDE) {
        visit(`sum_${row}_${column}`, row, column);
      }
    }
  }

  /** The loop over the sums' terms, DEPTH at a time. */
  #sumTiles(): void {
    const shader = this.#shader;
    const { k } = this.#product.sizes;
    const { parts } = this.#strategy;
    const depth = Math.ceil(k / DEPTH / parts) * DEPTH;
    const first = parts === 1
      ? "0"
      : shader.let(`${this.#part.text} * ${depth}`, 0).text;
    const end = parts === 1
      ? `${k}`
      : shader.let(`min(${first} + ${depth}, ${k})`, 0).text;
    shader.open();
    this.#stage(this.#left);
    this.#stage(this.#right);
    shader.line("workgroupBarrier();");
    // Straight-line code: loops in it cost more than the products.
    for (let term = 0; term < DEPTH; term++) this.#multiply(term);
    shader.line("workgroupBarrier();");
    const lines = shader.close();
    shader.block(`for (var k = ${first}; k < ${end}; k += ${DEPTH})`, lines);
  }

  /** Copies a tile of an operand into workgroup memory. */
  #stage({ name, value, axes, size, start }: Side): void {
    const shader = this.#shader;
    const { kernel, k } = this.#product;
    const { tile } = this.#strategy;
    // Neighbouring invocations load neighbouring elements where they can.
    const along = isContiguousAlong(kernel, value, axes.at(-1)) &&
      !isContiguousAlong(kernel, value, k.at(-1));
    const fast = along ? tile : DEPTH;
    const inFast = shader.let(`lane & ${fast - 1}`, 0);
    const inSlow = shader.let(`lane >> ${Math.log2(fast)}u`, 0);
    for (let i = 0; i < tile * DEPTH; i += SIDE * SIDE) {
      const shift = i / fast;
      const slow = shift === 0
        ? inSlow
        : shader.let(`${inSlow.text} + ${shift}`, 0);
      const [row, term] = along ? [inFast, slow] : [slow, inFast];
      const position = this.#clamped(`${start.text} + ${row.text}`, size, tile);
      const place = new Map(this.#batch);
      splitPosition(shader, axes, position, place);
      const at = shader.let(`k + ${term.text}`, 1);
      const total = this.#product.sizes.k;
      splitPosition(shader, k, this.#clamped(at.text, total, DEPTH, 1), place);
      const { text } = new ValueCode(shader, kernel, place).operand(value);
      const inside = total % DEPTH === 0
        ? text
        : `select(0f, ${text}, ${at.text} < ${total})`;
      const to = shader.let(`${term.text} * ${tile + 1} + ${row.text}`, 0);
      shader.line(`${name}[${to.text}] = ${inside};`);
    }
  }

  /** A position that stays in range where tiles stick out. */
  #clamped(text: string, size: number, step: number, level = 0): Operand {
    return this.#shader.let(
      size % step === 0 ? text : `min(${text}, ${size - 1})`,
      level,
    );
  }

  /** Adds the products of one term to all elements. */
  #multiply(term: number): void {
    const shader = this.#shader;
    const { tile } = this.#strategy;
    const base = term * (tile + 1);
    for (let i = 0; i < tile; i += SIDE) {
      shader.line(`let a_${term}_${i} = left[${base + i} + y];`);
      shader.line(`let b_${term}_${i} = right[${base + i} + x];`);
    }
    this.#forEachElement((sum, row, column) =>
      shader.line(`${sum} += a_${term}_${row} * b_${term}_${column};`)
    );
  }

  /** What follows the product, for one element. */
  #store(sum: string, row: number, column: number): void {
    const shader = this.#shader;
    const { kernel, contract, sizes: { batch, m, n } } = this.#product;
    const { tile, parts } = this.#strategy;
    const guards: string[] = [];
    const positionOf = ({ start, size }: Side, offset: string) => {
      const at = shader.let(`${start.text} + ${offset}`, 0);
      if (size % tile !== 0) guards.push(`(${at.text} < ${size})`);
      return this.#clamped(at.text, size, tile);
    };
    const rowAt = positionOf(this.#left, `y + ${row}`);
    const columnAt = positionOf(this.#right, `x + ${column}`);
    shader.open();
    if (parts > 1) {
      const outer =
        `${this.#part.text} * ${batch} + ${this.#batchPosition.text}`;
      const place =
        `((${outer}) * ${m} + ${rowAt.text}) * ${n} + ${columnAt.text}`;
      const name = shader.buffer(kernel.buffers.length);
      shader.line(`${name}[${place}] = ${sum};`);
    } else {
      const place = new Map(this.#batch);
      splitPosition(shader, contract.m, rowAt, place);
      splitPosition(shader, contract.n, columnAt, place);
      const code = new ValueCode(shader, kernel, place);
      code.define(contract.product, { text: sum, level: 1 });
      code.stores(kernel.stores);
    }
    const lines = shader.close();
    const head = guards.length > 0 ? `if (${guards.join(" & ")})` : "";
    shader.block(head, lines);
  }
}
