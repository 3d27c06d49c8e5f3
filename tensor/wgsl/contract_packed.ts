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
import {
  type Binding,
  type Dispatch,
  gridOf,
  type Program,
  type ShaderLimits,
  type Temporary,
  TEXTURE_WIDTH,
  type Word,
} from "./program.ts";
import { splitPosition, workgroupPosition } from "./rows.ts";
import { type Operand, Shader } from "./shader.ts";
import { ValueCode } from "./value_code.ts";

/** Invocations of a workgroup: as many as the processor has lanes. */
const LANES = 8;
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
  const most = Math.floor((strategy.maxTexels ?? MOST_TEXELS) / depth);
  const sideOf = (name: "m" | "n", value: ValueId, tile: number): Side => ({
    value,
    axes: contract[name],
    size: sizes[name],
    piece: Math.min(
      roundUp(sizes[name], tile),
      Math.max(tile, most - most % tile),
    ),
    stride: output.strides[name],
  });
  const columnTile = LANES * strategy.columns;
  const left = sideOf(
    "m",
    contract.left,
    strategy.swap ? columnTile : strategy.rows,
  );
  const right = sideOf(
    "n",
    contract.right,
    strategy.swap ? strategy.rows : columnTile,
  );
  const piece = Math.max(left.piece, right.piece);
  const batches = Math.max(1, Math.min(sizes.batch, Math.floor(most / piece)));
  const temporaries: Temporary[] = [left, right].map((side) => ({
    kind: "texture",
    texels: batches * side.piece * depth,
  }));
  if (!plain) {
    const byteLength = sizes.batch * sizes.m * sizes.n * 4;
    temporaries.unshift({ kind: "buffer", byteLength });
  }
  const texture = slot + temporaries.length - 2;
  const dispatches: Dispatch[] = [];
  for (let batch = 0; batch < sizes.batch; batch += batches) {
    for (let n = 0; n < sizes.n; n += right.piece) {
      const pack = (side: Side, start: number, to: number) =>
        packOperand(product, side, { batch, batches, start }, to, limits);
      dispatches.push(pack(right, n, texture + 1));
      for (let m = 0; m < sizes.m; m += left.piece) {
        dispatches.push(pack(left, m, texture));
        const [row, column] = strategy.swap ? [n, m] : [m, n];
        const [rows, columns] = strategy.swap ? [right, left] : [left, right];
        dispatches.push(multiply(
          kernel.name,
          strategy,
          {
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
          },
          Math.min(batches, sizes.batch - batch),
          [
            strategy.swap ? texture + 1 : texture,
            strategy.swap ? texture : texture + 1,
            output.buffer,
          ],
        ));
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

/** Sizes of one piece of a product; rows are uniform, columns over lanes. */
interface Piece {
  readonly rows: number;
  readonly columns: number;
  readonly paddedRows: number;
  readonly paddedColumns: number;
  readonly depth: number;
  readonly batchStride: number;
  readonly rowStride: number;
  readonly columnStride: number;
  readonly base: number;
}

function multiply(
  name: string,
  { rows, columns }: PackedStrategy,
  piece: Piece,
  batches: number,
  [rowTexture, columnTexture, output]: readonly number[],
): Dispatch {
  const bindings: Binding[] = [
    { resource: rowTexture!, kind: "texture", writable: false },
    { resource: columnTexture!, kind: "texture", writable: false },
    { resource: output!, kind: "buffer", writable: true },
  ];
  const words = Object.values(piece).map((bits): Word => ({
    kind: "bits",
    bits,
  }));
  return {
    name,
    wgsl: productText(rows, columns, Object.keys(piece)),
    bindings,
    words,
    workgroups: [
      Math.ceil(piece.columns / (LANES * columns)),
      Math.ceil(piece.rows / rows),
      batches,
    ],
  };
}

/** The program for all shapes: `rows` x `columns` sums an invocation. */
function productText(
  rows: number,
  columns: number,
  fields: readonly string[],
): string {
  const range = (count: number) => Array.from({ length: count }, (_, i) => i);
  const pairs = range(rows).flatMap((r) => range(columns).map((c) => [r, c]));
  const texel = (texture: string, start: string) =>
    `textureLoad(${texture}, place(${start} + k), 0)`;
  return `
@group(0) @binding(0) var row_texels: texture_2d<f32>; // [batch, paddedRows, depth]
@group(0) @binding(1) var column_texels: texture_2d<f32>; // [batch, paddedColumns, depth]
@group(0) @binding(2) var<storage, read_write> product: array<f32>;
struct Uniforms { ${fields.map((field) => `${field}: i32`).join(", ")} }
@group(0) @binding(3) var<uniform> sizes: Uniforms;
fn place(texel: i32) -> vec2<i32> {
  return vec2<i32>(texel & ${TEXTURE_WIDTH - 1}, texel >> ${
    Math.log2(TEXTURE_WIDTH)
  }u);
}
// One workgroup is one vector of lanes: rows are the same in all of them.
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let batch = i32(group.z);
  let row = i32(group.y) * ${rows};
  let column = i32(group.x) * ${LANES * columns} + i32(local.x);
  let rowStart = (batch * sizes.paddedRows + row) * sizes.depth;
  let columnStart = (batch * sizes.paddedColumns + column) * sizes.depth;
${
    range(rows).map((r) => `  let row${r} = rowStart + ${r} * sizes.depth;`)
      .join("\n")
  }
${
    range(columns).map((c) =>
      `  let column${c} = columnStart + ${c * LANES} * sizes.depth;`
    ).join("\n")
  }
${pairs.map(([r, c]) => `  var sum${r}_${c} = 0f;`).join("\n")}
  for (var k = 0; k < sizes.depth; k++) {
${
    range(rows).map((r) => `    let a${r} = ${texel("row_texels", `row${r}`)};`)
      .join("\n")
  }
${
    range(columns).map((c) =>
      `    let b${c} = ${texel("column_texels", `column${c}`)};`
    ).join("\n")
  }
${
    ["x", "y", "z", "w"].flatMap((part) =>
      pairs.map(([r, c]) =>
        `    sum${r}_${c} += a${r}.${part} * b${c}.${part};`
      )
    ).join("\n")
  }
  }
  // A loop over an array compiles in a fraction of the time of as many stores.
  var sums: array<f32, ${rows * columns}>;
${
    pairs.map(([r, c]) => `  sums[${r! * columns + c!}] = sum${r}_${c};`)
      .join("\n")
  }
  let first = sizes.base + batch * sizes.batchStride + row * sizes.rowStride +
    column * sizes.columnStride;
  for (var i = 0; i < ${rows * columns}; i++) {
    let r = i / ${columns};
    let c = (i % ${columns}) * ${LANES};
    if ((row + r < sizes.rows) & (column + c < sizes.columns)) {
      product[first + r * sizes.rowStride + c * sizes.columnStride] = sums[i];
    }
  }
}
`;
}
