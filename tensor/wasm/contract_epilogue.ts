/**
 * What follows the sum of a matrix product: bias, activation, residual, and
 * the stores, for a panel of lanes and a run of rows.
 *
 * @module
 */

import type { LoopKernel } from "../kernel/kernel.ts";
import type { Callable, Local, ModuleBuilder } from "./assembler.ts";
import { emitFor } from "./contract_loops.ts";
import type { Helpers } from "./helpers.ts";
import type { LaneTable } from "./lane_table.ts";
import { emitContiguous } from "./quad_checks.ts";
import { QuadContext } from "./quad_context.ts";
import { QuadValues } from "./quad_values.ts";
import { TableReader } from "./table_reader.ts";

/**
 * Adds the function `(frame, lanes, rows, tile, laneCount, rowCount)`: `lanes`
 * and `rows` point into the tables, `tile` at the sums, row after row, each of
 * `quads` vectors.
 */
export function emitEpilogue(
  module: ModuleBuilder,
  helpers: Helpers,
  kernel: LoopKernel,
  lanes: LaneTable,
  rows: LaneTable,
  quads: number,
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
    const row = f.local("i32");
    const source = f.local("i32");
    const at = f.local("i32");
    const run = (contiguous: boolean, valid: Local | undefined) => {
      const hole = f.hole();
      const reader = new TableReader(f, lanePointer, 0, hole);
      const scope = { hole, reader, known: new Map() };
      const sum = f.local("v128");
      f.get(rowPointer).set(row);
      f.get(tile).set(source);
      emitFor(f, at, rowCount, 1, () => {
        f.get(source).memory("v128.load").set(sum);
        const values = new QuadValues(
          context,
          scope,
          new TableReader(f, row, 0),
          { contiguous, interior: false },
          new Map([[kernel.contract!.product, sum]]),
        );
        for (const store of stores) values.value(store.value);
        for (const store of stores) values.store(store, valid);
        f.get(row).i32(4).op("i32.add").set(row);
        f.get(source).i32(16 * quads).op("i32.add").set(source);
      });
    };
    f.loop((again) => {
      const ids = stores.map((store) => store.value);
      f.get(laneCount).i32(4).op("i32.ge_s").if(() => {
        if (emitContiguous(context, lanePointer, ids, stores)) {
          f.if(() => run(true, undefined), () => run(false, undefined));
        } else run(false, undefined);
      }, () => run(false, laneCount));
      f.get(lanePointer).i32(16).op("i32.add").set(lanePointer);
      f.get(tile).i32(16).op("i32.add").set(tile);
      f.get(laneCount).i32(4).op("i32.sub").tee(laneCount);
      f.i32(0).op("i32.gt_s").brIf(again);
    });
  });
}
