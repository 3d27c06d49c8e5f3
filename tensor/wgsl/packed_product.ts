/**
 * The product of two operands that lie in textures, one program for all sizes.
 *
 * @module
 */

import {
  type Binding,
  type Dispatch,
  TEXTURE_WIDTH,
  type Word,
} from "./program.ts";

/** Invocations of a workgroup: as many as the processor has lanes. */
export const LANES = 8;

/** Sizes of one piece of a product; rows are uniform, columns over lanes. */
export interface Piece {
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

/**
 * Multiplies one piece.
 *
 * @param tile Rows and columns of the result that each invocation computes.
 * @param batches Products in the piece.
 * @param resources The texture of the rows, that of the columns, the output.
 */
export function multiplyTexels(
  name: string,
  { rows, columns }: { readonly rows: number; readonly columns: number },
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
