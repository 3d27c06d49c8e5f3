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
import { type OperandLayout, packedLayout } from "./packed_layout.ts";
import { iterationsOf, splitPosition, workgroupPosition } from "./rows.ts";
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

/** One operand. */
interface Side {
  readonly value: ValueId;
  readonly axes: readonly Axis[];
  readonly size: number;
  readonly layout: OperandLayout;
  /** Iterations that one piece holds. */
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
  const texels = strategy.maxTexels ?? MOST_TEXELS;
  // A grid holds a limited number of tiles, of at least LANES rows each.
  const widest = limits.maxWorkgroups * LANES;
  const isWhole = Math.max(sizes.m, sizes.n) <= widest;
  const layout = packedLayout(product, isWhole ? texels : 0);
  const sideOf = (name: "m" | "n", tile: number): Side => {
    const own = name === "m" ? layout.left : layout.right;
    const most = Math.min(
      Math.floor(texels * sizes[name] / own.texels),
      widest,
    );
    return {
      value: name === "m" ? contract.left : contract.right,
      axes: contract[name],
      size: sizes[name],
      layout: own,
      piece: Math.min(sizes[name], Math.max(tile, most - most % tile)),
      stride: output.strides[name],
    };
  };
  const rows = sideOf(strategy.swap ? "n" : "m", strategy.rows);
  const columns = sideOf(
    strategy.swap ? "m" : "n",
    LANES * strategy.columns,
  );
  const larger = Math.max(texelsOf(rows), texelsOf(columns));
  const batches = Math.max(
    1,
    Math.min(sizes.batch, Math.floor(texels / larger), limits.maxWorkgroups),
  );
  const temporaries: Temporary[] = [rows, columns].map((side) => ({
    kind: "texture",
    texels: batches * texelsOf(side),
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
          batches: Math.min(batches, sizes.batch - batch),
          loops: layout.loops,
          rowLayout: { ...rows.layout, texels: texelsOf(rows) },
          columnLayout: { ...columns.layout, texels: texelsOf(columns) },
          strides: [output.strides.batch, rows.stride, columns.stride],
          base: output.base + batch * output.strides.batch +
            row * rows.stride + column * columns.stride,
        };
        dispatches.push(
          pack(rows, row, rowTexture),
          multiplyTexels(
            kernel.name,
            strategy,
            piece,
            [rowTexture, columnTexture, output.buffer],
            limits,
          ),
        );
      }
    }
  }
  if (!plain) dispatches.push(lowerEpilogue(product, 1, limits));
  return { dispatches, temporaries };
}

/** Texels of a piece of one product. */
function texelsOf({ layout, size, piece }: Side): number {
  return size === piece ? layout.texels : layout.texels / size * piece;
}

/** Copies a piece of an operand into a texture. */
function packOperand(
  product: Product,
  side: Side,
  from: { batch: number; batches: number; start: number },
  texture: number,
  limits: ShaderLimits,
): Dispatch {
  const { kernel, contract, sizes } = product;
  const { layout } = side;
  const shader = new Shader(kernel.buffers);
  const texels = from.batches * texelsOf(side);
  const workgroups = gridOf(Math.ceil(texels / PACKERS), limits);
  const group = workgroupPosition(shader, workgroups);
  const texel = shader.let(`${group.text} * ${PACKERS} + i32(local.x)`, 0);
  shader.line(`if (${texel.text} >= ${texels}) { return; }`);
  const isCut = side.piece < side.size;
  const terms = iterationsOf(layout.terms);
  // Only rows that lie in one dimension are cut.
  const extents = layout.dimensions.map(({ extent }) =>
    isCut ? side.piece : extent
  );
  const grid = [from.batches, ...extents, Math.ceil(terms / 4)].map((
    extent,
    id,
  ) => ({ id, extent }));
  const place = new Map<Axis, Operand>();
  splitPosition(shader, grid, texel, place);
  const [batch, ...positions] = grid.map((axis) => place.get(axis)!);
  const column = positions.pop()!;
  // Pieces past the end repeat the last row: nobody stores what they give.
  const shifted = (operand: Operand, start: number, size: number) =>
    shader.let(
      `min(${operand.text} + ${shader.size(start)}, ${size - 1})`,
      0,
    );
  const axes = new Map<Axis, Operand>();
  const batchAt = from.batches === sizes.batch
    ? batch!
    : shifted(batch!, from.batch, sizes.batch);
  splitPosition(shader, contract.batch, batchAt, axes);
  layout.dimensions.forEach((dimension, at) => {
    const position = positions[at]!;
    if (dimension.kind === "axes") {
      const row = isCut ? shifted(position, from.start, side.size) : position;
      splitPosition(shader, dimension.axes, row, axes);
      return;
    }
    const { low, sign, axis, other } = dimension;
    const sum = low === 0 ? position.text : `(${position.text} + ${low})`;
    axes.set(axis, shader.let(sign === 1 ? sum : `-${sum}`, 0));
    axes.set(other, { text: "0", level: 0 });
  });
  const values = [0, 1, 2, 3].map((part) => {
    const at = shader.let(`${column.text} * 4 + ${part}`, 0);
    const isWhole = terms % 4 === 0;
    const safe = isWhole ? at : shader.let(`min(${at.text}, ${terms - 1})`, 0);
    const own = new Map(axes);
    splitPosition(shader, layout.terms, safe, own);
    const { text } = new ValueCode(shader, kernel, own).operand(side.value);
    return isWhole ? text : `select(0f, ${text}, ${at.text} < ${terms})`;
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
