/**
 * The register tile of a matrix product over an operand that is not packed:
 * where a panel meets only a few rows, packing it costs more than it saves.
 *
 * @module
 */

import type { Callable, Local, ModuleBuilder } from "./assembler.ts";
import {
  emitColumnQuads,
  emitEachColumn,
  emitTranspose,
  operandCode,
  type OperandSource,
} from "./contract_operand.ts";
import type { Helpers } from "./helpers.ts";
import {
  emitLoadSums,
  emitMultiplyAdd,
  emitRowPointers,
  emitStoreSums,
  type Tile,
} from "./microkernel.ts";

/**
 * Adds the function `(frame, lanes, columns, rows, tile, columnCount,
 * accumulate)`: as the packed one, for a panel of which
 * {@link emitPlainPanel} holds.
 */
export function emitDirect(
  module: ModuleBuilder,
  helpers: Helpers,
  source: OperandSource,
  tile: Tile & { readonly rowBytes: number },
): Callable {
  const params = ["i32", "i32", "i32", "i32", "i32", "i32", "i32"] as const;
  return module.function(undefined, params, [], (f) => {
    const [frame, lanes, columns, rows, out, columnCount, accumulate] = f
      .params as [Local, Local, Local, Local, Local, Local, Local];
    const { target } = helpers;
    const code = operandCode(f, helpers, source, frame, lanes, columns);
    const sums = emitLoadSums(f, tile, out, accumulate);
    const pointers = emitRowPointers(f, tile.rows, rows, () => {
      f.i32(tile.rowBytes);
    });
    const repeated = f.local("v128");
    const multiply = (column: number, quad: number, vector: Local) => {
      for (let row = 0; row < tile.rows; row++) {
        f.get(pointers[row]!).memory("v128.load32_splat", 4 * column);
        f.set(repeated);
        const sum = sums[row * tile.quads + quad]!;
        emitMultiplyAdd(f, target, repeated, vector, sum);
      }
    };
    const advance = (count: number) => {
      for (const pointer of pointers) {
        f.get(pointer).i32(4 * count).op("i32.add").set(pointer);
      }
    };
    const byColumn = (contiguous: boolean) => {
      const place = { contiguous, interior: true };
      const held: Local[] = [];
      emitEachColumn(
        code,
        columnCount,
        tile.quads,
        place,
        (quad, column, vector) => {
          // All vectors of a column first: each row's element is then
          // repeated once, not once a vector. With many it would spill.
          if (tile.quads > 4) return multiply(column, quad, vector);
          held[quad] = vector;
          if (quad < tile.quads - 1) return;
          for (let row = 0; row < tile.rows; row++) {
            f.get(pointers[row]!).memory("v128.load32_splat", 4 * column);
            f.set(repeated);
            held.forEach((other, i) => {
              const sum = sums[row * tile.quads + i]!;
              emitMultiplyAdd(f, target, repeated, other, sum);
            });
          }
        },
        advance,
      );
    };
    if (source.along === "lanes") byColumn(true);
    else {
      const whole = f.local("i32");
      f.get(columnCount).i32(-4).op("i32.and").set(whole);
      emitColumnQuads(
        code,
        whole,
        true,
        Array.from(
          { length: tile.quads },
          (_, quad) => [0, 1, 2, 3].map((lane) => 4 * quad + lane),
        ),
        (vectors, quad) => {
          emitTranspose(f, vectors).forEach((vector, column) => {
            multiply(column, quad, vector);
          });
        },
        () => advance(4),
      );
      f.get(columns).get(whole).i32(4).op("i32.mul").op("i32.add").set(columns);
      f.get(columnCount).i32(3).op("i32.and").set(columnCount);
      byColumn(false);
    }
    emitStoreSums(f, tile, sums, out);
  });
}
