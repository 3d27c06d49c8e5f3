/**
 * The product of two operands that lie in textures, one program for all sizes.
 *
 * @module
 */

import { DEPTH, type OperandLayout } from "./packed_layout.ts";
import {
  type Binding,
  type Dispatch,
  type ShaderLimits,
  type Subgroups,
  TEXTURE_WIDTH,
  type Word,
} from "./program.ts";

/** Invocations of a workgroup: as many as the processor has lanes. */
export const LANES = 8;

/** One piece of a product; rows are uniform, columns over lanes. */
export interface Piece {
  /** Rows of the result. */
  readonly rows: number;
  /** Columns of the result. */
  readonly columns: number;
  /** Products. */
  readonly batches: number;
  /** Turns of the loops over the terms. */
  readonly loops: readonly number[];
  /** How the operand of the rows lies. */
  readonly rowLayout: OperandLayout;
  /** How that of the columns does. */
  readonly columnLayout: OperandLayout;
  /** Elements of the output from one product, row, column to the next. */
  readonly strides: readonly [batch: number, row: number, column: number];
  /** The first element of the output. */
  readonly base: number;
}

/**
 * Multiplies one piece.
 *
 * @param tile Rows and columns of the result that each invocation computes.
 * @param resources The texture of the rows, that of the columns, the output.
 */
export function multiplyTexels(
  name: string,
  { rows, columns }: { readonly rows: number; readonly columns: number },
  piece: Piece,
  [rowTexture, columnTexture, output]: readonly number[],
  limits: ShaderLimits,
): Dispatch {
  const bindings: Binding[] = [
    { resource: rowTexture!, kind: "texture", writable: false },
    { resource: columnTexture!, kind: "texture", writable: false },
    { resource: output!, kind: "buffer", writable: true },
  ];
  const words = Object.values(fieldsOf(piece)).map((bits): Word => ({
    kind: "bits",
    bits,
  }));
  return {
    name,
    wgsl: productText(rows, columns, Object.keys(fieldsOf(piece)), limits),
    bindings,
    words,
    workgroups: [
      Math.ceil(piece.columns / (LANES * columns)),
      Math.ceil(piece.rows / rows),
      piece.batches,
    ],
  };
}

/** What the program needs to know of a piece. */
function fieldsOf(piece: Piece): Record<string, number> {
  const fields: Record<string, number> = {
    rows: piece.rows,
    columns: piece.columns,
    base: piece.base,
  };
  const all = (name: string, values: readonly number[], missing: number) => {
    const left = DEPTH - values.length;
    [...Array.from({ length: left }, () => missing), ...values]
      .forEach((value, at) => fields[`${name}${at}`] = value);
  };
  all("output", piece.strides, 0);
  all("turns", piece.loops, 1);
  for (const [side, layout] of sidesOf(piece)) {
    fields[`${side}First`] = layout.base;
    fields[`${side}Batch`] = layout.texels;
    all(`${side}Extent`, layout.rows.extents, 1);
    all(`${side}Stride`, layout.rows.strides, 0);
    all(`${side}Step`, layout.steps, 0);
  }
  return fields;
}

function sidesOf({ rowLayout, columnLayout }: Piece) {
  return [["row", rowLayout], ["column", columnLayout]] as const;
}

/** Whether the invocations of a workgroup can tell each other rows. */
export function sharesRows(
  subgroups: Subgroups | undefined,
): subgroups is Subgroups {
  return subgroups !== undefined && subgroups.size >= LANES;
}

/** The program for all shapes: `rows` x `columns` sums an invocation. */
function productText(
  rows: number,
  columns: number,
  fields: readonly string[],
  { subgroups }: ShaderLimits,
): string {
  const range = (count: number) => Array.from({ length: count }, (_, i) => i);
  const lines = (parts: readonly string[]) => parts.join("\n");
  const texel = (texture: string, place: string) =>
    `textureLoad(${texture}, place(${place}), 0)`;
  // With subgroups an invocation loads one row of eight and hears of the others.
  const isShared = sharesRows(subgroups);
  const loads = isShared ? Math.ceil(rows / LANES) : rows;
  const row = (r: number) =>
    isShared
      ? `subgroupBroadcast(mine${Math.floor(r / LANES)}, ${r % LANES}u)`
      : texel("row_texels", `row${r} + rowAt`);
  return `${isShared ? subgroups.enable : ""}
@group(0) @binding(0) var row_texels: texture_2d<f32>; // [batch, rows, terms / 4]
@group(0) @binding(1) var column_texels: texture_2d<f32>; // [batch, columns, terms / 4]
@group(0) @binding(2) var<storage, read_write> product: array<f32>;
struct Uniforms { ${fields.map((field) => `${field}: i32`).join(", ")} }
@group(0) @binding(3) var<uniform> sizes: Uniforms;
fn place(texel: i32) -> vec2<i32> {
  return vec2<i32>(texel & ${TEXTURE_WIDTH - 1}, texel >> ${
    Math.log2(TEXTURE_WIDTH)
  }u);
}
${lines(["row", "column"].map(walkText))}
// One workgroup is one vector of lanes: rows are the same in all of them.
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let batch = i32(group.z);
  let row = i32(group.y) * ${rows};
  let column = i32(group.x) * ${LANES * columns} + i32(local.x);
${
    lines(
      range(loads).map((r) => {
        const own = isShared ? `${LANES * r} + i32(local.x)` : `${r}`;
        return `  let row${r} = rowStart(batch, row + ${own});`;
      }),
    )
  }
${
    lines(
      range(columns).map((c) =>
        `  let column${c} = columnStart(batch, column + ${c * LANES});`
      ),
    )
  }
${
    lines(
      range(rows).flatMap((r) =>
        range(columns).map((c) => `  var sum${r}_${c} = 0f;`)
      ),
    )
  }
  for (var i = 0; i < sizes.turns0; i++) {
  for (var j = 0; j < sizes.turns1; j++) {
  var rowAt = i * sizes.rowStep0 + j * sizes.rowStep1;
  var columnAt = i * sizes.columnStep0 + j * sizes.columnStep1;
  for (var k = 0; k < sizes.turns2; k++) {
${
    lines(
      isShared
        ? range(loads).map((r) =>
          `    let mine${r} = ${texel("row_texels", `row${r} + rowAt`)};`
        )
        : [],
    )
  }
${
    lines(
      range(columns).map((c) =>
        `    let b${c} = ${texel("column_texels", `column${c} + columnAt`)};`
      ),
    )
  }
${
    lines(
      range(rows).flatMap((r) => [
        `    let a${r} = ${row(r)};`,
        ...range(columns).flatMap((c) =>
          ["x", "y", "z", "w"].map((part) => {
            const sum = `sum${r}_${c}`;
            return `    ${sum} = fma(a${r}.${part}, b${c}.${part}, ${sum});`;
          })
        ),
      ]),
    )
  }
    rowAt += sizes.rowStep2;
    columnAt += sizes.columnStep2;
  }}}
  // A loop over an array compiles in a fraction of the time of as many stores.
  var sums: array<f32, ${rows * columns}>;
${
    lines(
      range(rows).flatMap((r) =>
        range(columns).map((c) => `  sums[${r * columns + c}] = sum${r}_${c};`)
      ),
    )
  }
  let first = sizes.base + batch * sizes.output0 + row * sizes.output1 +
    column * sizes.output2;
  for (var i = 0; i < ${rows * columns}; i++) {
    let r = i / ${columns};
    let c = (i % ${columns}) * ${LANES};
    if ((row + r < sizes.rows) & (column + c < sizes.columns)) {
      product[first + r * sizes.output1 + c * sizes.output2] = sums[i];
    }
  }
}
`;
}

/** The texel where a row, or a column, begins; past the end that of the last. */
function walkText(side: string): string {
  return `
fn ${side}Start(batch: i32, number: i32) -> i32 {
  let at = u32(min(number, sizes.${side}s - 1));
  let inner = u32(sizes.${side}Extent2);
  let middle = u32(sizes.${side}Extent1);
  return sizes.${side}First + batch * sizes.${side}Batch +
    i32(at / inner / middle) * sizes.${side}Stride0 +
    i32(at / inner % middle) * sizes.${side}Stride1 +
    i32(at % inner) * sizes.${side}Stride2;
}`;
}
