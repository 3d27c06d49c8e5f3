/**
 * Matrix products for processors that play a GPU. There a load from a buffer
 * takes as long as a hundred products, since it is done lane by lane, while a
 * load of four numbers from a texture is one gather. So both operands are
 * packed into textures first, four terms of a sum to a texel, and the product
 * itself is one program for all shapes, which costs its compilation once.
 *
 * @module
 */

import type { ValueId } from "../kernel/kernel.ts";
import type { Axis } from "../view.ts";
import { lowerEpilogue, plainStoreOf, type Product } from "./contract.ts";
import { LANES, multiplyTexels, type Piece } from "./packed_product.ts";
import {
  type Dispatch,
  gridOf,
  type Program,
  type ShaderLimits,
  type Temporary,
  TEXTURE_WIDTH,
} from "./program.ts";
import { splitPosition, workgroupPosition } from "./rows.ts";
import { type Operand, Shader } from "./shader.ts";
import { ValueCode } from "./value_code.ts";

/** Invocations of a workgroup that packs. */
const PACKERS = 64;
/** Texels of one operand: 64 MiB. Larger operands are multiplied in pieces. */
const MOST_TEXELS = 2 ** 22;

/** How a product is cut for {@link lowerPacked}. */
export interface PackedStrategy {
  /** Tells the ways apart. */
  readonly kind: "packed";
  /** Whether the lanes run over `m`, not over `n`. */
  readonly swap: boolean;
  /** Rows of the result that each invocation computes. */
  readonly rows: number;
  /** Columns of the result that each invocation computes. */
  readonly columns: number;
  /** Most texels of an operand. @default 4 Mi */
  readonly maxTexels?: number;
}

/** One operand: `[batch, size, k]`. */
interface Side {
  readonly value: ValueId;
  readonly axes: readonly Axis[];
  readonly size: number;
  /** Iterations that one piece holds, a multiple of the tile. */
  readonly piece: number;
  readonly stride: number;
}

/** The program of a product by way of textures. */
export function lowerPacked(
  product: Product,
  limits: ShaderLimits,
  strategy: PackedStrategy,
): Program {
  const { kernel, contract, sizes } = product;
  const plain = plainStoreOf(product);
  const slot = kernel.buffers.length;
  const output = plain ?? {
    buffer: slot,
    base: 0,
    strides: { batch: sizes.m * sizes.n, m: sizes.n, n: 1 },
  };
  const depth = Math.ceil(sizes.k / 4);
  const texels = strategy.maxTexels ?? MOST_TEXELS;
  // A grid holds a limited number of tiles, of at least LANES rows each.
  const most = Math.min(
    Math.floor(texels / depth),
    limits.maxWorkgroups * LANES,
  );
  const sideOf = (name: "m" | "n", tile: number): Side => ({
    value: name === "m" ? contract.left : contract.right,
    axes: contract[name],
    size: sizes[name],
    piece: Math.min(
      roundUp(sizes[name], tile),
      Math.max(tile, most - most % tile),
    ),
    stride: output.strides[name],
  });
  const rows = sideOf(strategy.swap ? "n" : "m", strategy.rows);
  const columns = sideOf(
    strategy.swap ? "m" : "n",
    LANES * strategy.columns,
  );
  const batches = Math.max(
    1,
    Math.min(
      sizes.batch,
      Math.floor(most / Math.max(rows.piece, columns.piece)),
      limits.maxWorkgroups,
    ),
  );
  const temporaries: Temporary[] = [rows, columns].map(({ piece }) => ({
    kind: "texture",
    texels: batches * piece * depth,
  }));
  if (!plain) {
    const byteLength = sizes.batch * sizes.m * sizes.n * 4;
    temporaries.unshift({ kind: "buffer", byteLength });
  }
  const columnTexture = slot + temporaries.length - 1;
  const rowTexture = columnTexture - 1;
  const dispatches: Dispatch[] = [];
  for (let batch = 0; batch < sizes.batch; batch += batches) {
    const pack = (side: Side, start: number, texture: number) =>
      packOperand(product, side, { batch, batches, start }, texture, limits);
    for (let column = 0; column < columns.size; column += columns.piece) {
      dispatches.push(pack(columns, column, columnTexture));
      for (let row = 0; row < rows.size; row += rows.piece) {
        const piece: Piece = {
          rows: Math.min(rows.size - row, rows.piece),
          columns: Math.min(columns.size - column, columns.piece),
          paddedRows: rows.piece,
          paddedColumns: columns.piece,
          depth,
          batchStride: output.strides.batch,
          rowStride: rows.stride,
          columnStride: columns.stride,
          base: output.base + batch * output.strides.batch +
            row * rows.stride + column * columns.stride,
        };
        dispatches.push(
          pack(rows, row, rowTexture),
          multiplyTexels(
            kernel.name,
            strategy,
            piece,
            Math.min(batches, sizes.batch - batch),
            [rowTexture, columnTexture, output.buffer],
          ),
        );
      }
    }
  }
  if (!plain) dispatches.push(lowerEpilogue(product, 1, limits));
  return { dispatches, temporaries };
}

function roundUp(size: number, step: number): number {
  return Math.ceil(size / step) * step;
}

/** Copies a piece of an operand into a texture `[batches, piece, depth]`. */
function packOperand(
  product: Product,
  side: Side,
  from: { batch: number; batches: number; start: number },
  texture: number,
  limits: ShaderLimits,
): Dispatch {
  const { kernel, contract, k, sizes } = product;
  const depth = Math.ceil(sizes.k / 4);
  const shader = new Shader(kernel.buffers);
  const texels = from.batches * side.piece * depth;
  const workgroups = gridOf(Math.ceil(texels / PACKERS), limits);
  const group = workgroupPosition(shader, workgroups);
  const texel = shader.let(`${group.text} * ${PACKERS} + i32(local.x)`, 0);
  shader.line(`if (${texel.text} >= ${texels}) { return; }`);
  const place = new Map<Axis, Operand>();
  const grid = [from.batches, side.piece, depth].map((extent, id) => ({
    id,
    extent,
  }));
  splitPosition(shader, grid, texel, place);
  const [batch, row, column] = grid.map((axis) => place.get(axis)!);
  // Rows past the end repeat the last one: nobody stores what they give.
  const positionOf = (
    operand: Operand,
    start: number,
    size: number,
    piece: number,
  ) => {
    if (size === piece) return operand;
    const first = shader.size(start);
    return shader.let(`min(${operand.text} + ${first}, ${size - 1})`, 0);
  };
  const batchAt = positionOf(batch!, from.batch, sizes.batch, from.batches);
  const rowAt = positionOf(row!, from.start, side.size, side.piece);
  const values = [0, 1, 2, 3].map((part) => {
    const at = shader.let(`${column!.text} * 4 + ${part}`, 0);
    const isWhole = sizes.k % 4 === 0;
    const safe = isWhole
      ? at
      : shader.let(`min(${at.text}, ${sizes.k - 1})`, 0);
    const axes = new Map<Axis, Operand>();
    splitPosition(shader, contract.batch, batchAt, axes);
    splitPosition(shader, side.axes, rowAt, axes);
    splitPosition(shader, k, safe, axes);
    const { text } = new ValueCode(shader, kernel, axes).operand(side.value);
    return isWhole ? text : `select(0f, ${text}, ${at.text} < ${sizes.k})`;
  });
  shader.line(
    `textureStore(${shader.texture(texture, true)}, ` +
      `vec2<i32>(${texel.text} & ${TEXTURE_WIDTH - 1}, ` +
      `${texel.text} >> ${Math.log2(TEXTURE_WIDTH)}u), ` +
      `vec4<f32>(${values.join(", ")}));`,
  );
  const name = `${kernel.name} pack`;
  return shader.finish(name, PACKERS, workgroups);
}
