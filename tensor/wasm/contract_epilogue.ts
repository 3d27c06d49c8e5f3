/**
 * What follows the sum of a matrix product: bias, activation, residual, and
 * the stores, for a panel of lanes and a run of rows.
 *
 * @module
 */

import type { LoopKernel, ValueId } from "../kernel/kernel.ts";
import type { Callable, Local, ModuleBuilder } from "./assembler.ts";
import { emitFor } from "./contract_loops.ts";
import type { Helpers } from "./helpers.ts";
import { locals } from "./kernel_function.ts";
import type { LaneTable } from "./lane_table.ts";
import { emitContiguous } from "./quad_checks.ts";
import { QuadContext } from "./quad_context.ts";
import { QuadValues } from "./quad_values.ts";
import { TableReader } from "./table_reader.ts";

/** Kernels with more values take one quad at a time: two would spill. */
const MOST_VALUES = 40;

/**
 * Adds the function `(frame, lanes, rows, tile, laneCount, rowCount)`: `lanes`
 * and `rows` point into the tables, `tile` at the sums, row after row, each of
 * `tileQuads` vectors.
 */
export function emitEpilogue(
  module: ModuleBuilder,
  helpers: Helpers,
  kernel: LoopKernel,
  lanes: LaneTable,
  rows: LaneTable,
  tileQuads: number,
): Callable {
  const params = ["i32", "i32", "i32", "i32", "i32", "i32"] as const;
  return module.function(undefined, params, [], (f) => {
    const [frame, lanePointer, rowPointer, tile, laneCount, rowCount] = f
      .params as [Local, Local, Local, Local, Local, Local];
    const context = new QuadContext({
      f,
      kernel,
      helpers,
      frame,
      vector: lanes,
      scalar: rows,
      home: "vector",
      inner: "scalar",
    });
    const { stores } = kernel;
    const ids = stores.map((store) => store.value);
    const [row, source, at] = locals(f, "i32", 3);
    const run = (quads: number, contiguous: boolean, valid?: Local) => {
      const scopes = Array.from({ length: quads }, (_, quad) => {
        const hole = f.hole();
        const reader = new TableReader(f, lanePointer, 4 * quad, hole);
        return { hole, reader, known: new Map<ValueId, Local>() };
      });
      f.get(rowPointer).set(row);
      f.get(tile).set(source);
      emitFor(f, at, rowCount, 1, () => {
        const reader = new TableReader(f, row, 0);
        scopes.forEach((scope, quad) => {
          const sum = f.local("v128");
          f.get(source).memory("v128.load", 16 * quad).set(sum);
          const place = { contiguous, interior: false };
          const given = new Map([[kernel.contract!.product, sum]]);
          const values = new QuadValues(context, scope, reader, place, given);
          for (const id of ids) values.value(id);
          for (const store of stores) values.store(store, valid);
        });
        f.get(row).i32(4).op("i32.add").set(row);
        f.get(source).i32(16 * tileQuads).op("i32.add").set(source);
      });
    };
    const advance = (quads: number) => {
      f.get(lanePointer).i32(16 * quads).op("i32.add").set(lanePointer);
      f.get(tile).i32(16 * quads).op("i32.add").set(tile);
      f.get(laneCount).i32(4 * quads).op("i32.sub").set(laneCount);
    };
    const together = kernel.values.length <= MOST_VALUES ? 2 : 1;
    const pointer = f.local("i32");
    f.loop((again) => {
      let checked = true;
      f.get(laneCount).i32(4 * together).op("i32.ge_s");
      for (let quad = 0; quad < together && checked; quad++) {
        f.get(lanePointer).i32(16 * quad).op("i32.add").set(pointer);
        checked = emitContiguous(context, pointer, ids, stores);
        if (checked) f.op("i32.and");
      }
      const single = () => {
        const slow = () => run(1, false, laneCount);
        if (checked && together > 1) {
          f.get(laneCount).i32(4).op("i32.ge_s");
          emitContiguous(context, lanePointer, ids, stores);
          f.op("i32.and").if(() => run(1, true), slow);
        } else slow();
        advance(1);
      };
      if (checked) {
        f.if(() => {
          run(together, true);
          advance(together);
        }, single);
      } else {
        f.op("drop");
        single();
      }
      f.get(laneCount).i32(0).op("i32.gt_s").brIf(again);
    });
  });
}
