/**
 * The innermost loop of a matrix product: a tile of the result stays in
 * registers while the columns are run through.
 *
 * Per column, `rows` single elements of one operand, each repeated in four
 * lanes, meet `quads` vectors of the other. 6 rows by 2 quads need 12 + 2 + 1
 * of the 16 vector registers that x86-64 has, and the engine keeps one to
 * itself; a larger tile spills.
 *
 * @module
 */

import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";
import type { Target } from "./math.ts";

/** The form of the tile. */
export interface Tile {
  /** Rows of the operand whose elements are repeated. */
  readonly rows: number;
  /** Vectors of four of the other. */
  readonly quads: number;
  /**
   * Bytes between the rows of the first operand.
   * @default what the function is told
   */
  readonly rowBytes?: number;
  /**
   * Bytes between the columns of the first operand.
   * @default 4
   */
  readonly stepBytes?: number;
  /**
   * Bytes between the columns of the panel.
   * @default those of its lanes
   */
  readonly columnBytes?: number;
  /**
   * Bytes between the rows of the result.
   * @default those of its lanes
   */
  readonly outBytes?: number;
}

/** Columns that one turn of the loop does. */
const UNROLL = 4;

/** Parameters of a microkernel that is told the bytes between rows. */
export const MICROKERNEL_PARAMS = [
  "i32",
  "i32",
  "i32",
  "i32",
  "i32",
  "i32",
] as const;

/**
 * Adds the function `(rows, panel, columns, tile, accumulate)`, and `rowBytes`
 * where the tile does not say it.
 *
 * `rows` and `panel` are addresses of the operands; in the panel the lanes of a
 * column are neighbours. The result goes to `tile`, row after row, lanes
 * neighbours; if `accumulate` is not 0, what is there is added.
 *
 * @param name Its export name; undefined keeps it inside.
 */
export function emitMicrokernel(
  module: ModuleBuilder,
  tile: Tile,
  target: Target,
  name?: string,
): Callable {
  const params = MICROKERNEL_PARAMS.slice(tile.rowBytes === undefined ? 0 : 1);
  return module.function(name, params, [], (f) => {
    emitBody(f, tile, target);
  });
}

/** Variables for the sums of a tile: 0, or what is there already. */
export function emitLoadSums(
  f: FunctionBuilder,
  tile: Tile,
  out: Local,
  accumulate: Local,
): Local[] {
  const sums = Array.from(
    { length: tile.rows * tile.quads },
    () => f.local("v128"),
  );
  f.get(accumulate).if(() => {
    sums.forEach((sum, i) => {
      f.get(out).memory("v128.load", sumOffset(tile, i)).set(sum);
    });
  });
  return sums;
}

/** Where in the result the vector of a sum is. */
function sumOffset({ quads, outBytes = 16 * quads }: Tile, sum: number) {
  return Math.floor(sum / quads) * outBytes + 16 * (sum % quads);
}

/** Writes the sums of a tile. */
export function emitStoreSums(
  f: FunctionBuilder,
  tile: Tile,
  sums: readonly Local[],
  out: Local,
): void {
  sums.forEach((sum, i) => {
    f.get(out).get(sum).memory("v128.store", sumOffset(tile, i));
  });
}

/** `sum += a * b`, in one rounding where the engine can. */
export function emitMultiplyAdd(
  f: FunctionBuilder,
  target: Target,
  a: Local,
  b: Local,
  sum: Local,
): void {
  f.get(a).get(b);
  if (target.relaxedSimd) f.get(sum).op("f32x4.relaxed_madd");
  else f.op("f32x4.mul").get(sum).op("f32x4.add");
  f.set(sum);
}

function emitBody(f: FunctionBuilder, tile: Tile, target: Target): void {
  const [rows, panel, columns, out, accumulate, rowBytes] = f.params as [
    Local,
    Local,
    Local,
    Local,
    Local,
    Local | undefined,
  ];
  const sums = emitLoadSums(f, tile, out, accumulate);
  const pointers = emitRowPointers(f, tile.rows, rows, () => {
    if (rowBytes) f.get(rowBytes);
    else f.i32(tile.rowBytes!);
  });
  const turns = f.local("i32");
  const { stepBytes = 4, columnBytes = 16 * tile.quads } = tile;

  const column = (at: number) => {
    emitColumn(
      f,
      tile,
      target,
      sums,
      (row) => {
        f.get(pointers[row]!).memory("v128.load32_splat", stepBytes * at);
      },
      (quad) => {
        f.get(panel).memory("v128.load", columnBytes * at + 16 * quad);
      },
    );
  };
  const advance = (count: number) => {
    for (const pointer of [...pointers, panel]) {
      const bytes = pointer === panel ? columnBytes : stepBytes;
      f.get(pointer).i32(bytes * count).op("i32.add").set(pointer);
    }
  };

  f.get(columns).i32(Math.log2(UNROLL)).op("i32.shr_u").tee(turns);
  f.if(() => {
    f.loop((again) => {
      for (let at = 0; at < UNROLL; at++) column(at);
      advance(UNROLL);
      f.get(turns).i32(1).op("i32.sub").tee(turns).brIf(again);
    });
  });
  f.get(columns).i32(UNROLL - 1).op("i32.and").tee(turns);
  f.if(() => {
    f.loop((again) => {
      column(0);
      advance(1);
      f.get(turns).i32(1).op("i32.sub").tee(turns).brIf(again);
    });
  });
  emitStoreSums(f, tile, sums, out);
}

/**
 * A variable for each row's address. An engine without a signal handler for
 * memory checks each address; with equal offsets behind different pointers the
 * rows share the limit that it compares with.
 */
export function emitRowPointers(
  f: FunctionBuilder,
  count: number,
  rows: Local,
  pushRowBytes: () => void,
): Local[] {
  let last = rows;
  return Array.from({ length: count }, () => {
    const pointer = f.local("i32");
    f.get(last);
    if (last !== rows) {
      pushRowBytes();
      f.op("i32.add");
    }
    f.set(pointer);
    last = pointer;
    return pointer;
  });
}

/** Adds the products of one column to the sums; the shorter side is held. */
function emitColumn(
  f: FunctionBuilder,
  { rows, quads }: Tile,
  target: Target,
  sums: readonly Local[],
  pushRepeated: (row: number) => void,
  pushVector: (quad: number) => void,
): void {
  const byRow = quads <= rows;
  const hold = (count: number, push: (at: number) => void) =>
    Array.from({ length: count }, (_, at) => {
      const local = f.local("v128");
      push(at);
      f.set(local);
      return local;
    });
  const held = byRow ? hold(quads, pushVector) : hold(rows, pushRepeated);
  const passing = f.local("v128");
  for (let at = 0; at < (byRow ? rows : quads); at++) {
    if (byRow) pushRepeated(at);
    else pushVector(at);
    f.set(passing);
    held.forEach((other, i) => {
      const [row, quad] = byRow ? [at, i] : [i, at];
      emitMultiplyAdd(f, target, passing, other, sums[row * quads + quad]!);
    });
  }
}
