/**
 * Copies an operand of a matrix product into the order in which the inner loop
 * reads it, computing its elements on the way.
 *
 * @module
 */

import type { LoopKernel, ValueId } from "../kernel/kernel.ts";
import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";
import { emitFor } from "./contract_loops.ts";
import type { Helpers } from "./helpers.ts";
import type { LaneTable } from "./lane_table.ts";
import {
  emitContiguous,
  type OuterScope,
  type QuadContext,
  QuadValues,
  TableReader,
} from "./quad_values.ts";

/** What is packed, and how. */
export interface Packing {
  /** Whose operand. */
  readonly kernel: LoopKernel;
  /** Which value it is. */
  readonly value: ValueId;
  /** Its own axes. */
  readonly lanes: LaneTable;
  /** The columns. */
  readonly columns: LaneTable;
  /** What four elements that are computed together are neighbours in. */
  readonly along: "lanes" | "columns";
  /**
   * A panel has for each column `quads` vectors of lanes; in rows each lane has
   * its columns as neighbours, `rowBytes` behind those of the lane before.
   */
  readonly layout:
    | { readonly kind: "panel"; readonly quads: number }
    | { readonly kind: "rows"; readonly rowBytes: number };
}

/**
 * Adds the function `(frame, lanes, columns, to, laneCount, columnCount)`:
 * `lanes` and `columns` point into the tables. It may write up to three lanes
 * and three columns more than there are.
 */
export function emitPack(
  module: ModuleBuilder,
  helpers: Helpers,
  packing: Packing,
): Callable {
  const params = ["i32", "i32", "i32", "i32", "i32", "i32"] as const;
  const { kernel, lanes, columns, along, layout } = packing;
  return module.function(undefined, params, [], (f) => {
    const frame = f.params[0]!;
    const byLanes = along === "lanes";
    const context: QuadContext = {
      f,
      kernel,
      helpers,
      frame,
      vector: byLanes ? lanes : columns,
      scalar: byLanes ? columns : lanes,
      home: byLanes ? "vector" : "scalar",
      inner: byLanes ? "scalar" : "vector",
    };
    if (layout.kind === "panel") {
      if (byLanes) emitPanelByLanes(context, packing.value, layout.quads);
      else emitPanelByColumns(context, packing.value, layout.quads);
    } else if (byLanes) {
      emitRowsByLanes(context, packing.value, layout.rowBytes);
    } else emitRowsByColumns(context, packing.value, layout.rowBytes);
  });
}

type Params = [Local, Local, Local, Local, Local, Local];

function outerScope(f: FunctionBuilder, pointer: Local, lane = 0): OuterScope {
  const hole = f.hole();
  const reader = new TableReader(f, pointer, lane, hole);
  return { hole, reader, known: new Map() };
}

/** Runs `body` with true if the four lanes at `pointer` are contiguous. */
function emitVersions(
  context: QuadContext,
  pointer: Local,
  value: ValueId,
  body: (contiguous: boolean) => void,
): void {
  if (emitContiguous(context, pointer, [value])) {
    context.f.if(() => body(true), () => body(false));
  } else body(false);
}

function emitPanelByLanes(
  context: QuadContext,
  value: ValueId,
  quads: number,
): void {
  const { f } = context;
  const [, lanes, columns, to, laneCount, columnCount] = f.params as Params;
  const column = f.local("i32");
  const target = f.local("i32");
  const at = f.local("i32");
  const copy = (contiguous: boolean, width: number) => {
    const scopes = Array.from(
      { length: width },
      (_, quad) => outerScope(f, lanes, 4 * quad),
    );
    f.get(columns).set(column);
    f.get(to).set(target);
    emitFor(f, at, columnCount, 1, () => {
      const reader = new TableReader(f, column, 0);
      scopes.forEach((scope, quad) => {
        const values = new QuadValues(context, scope, reader, contiguous);
        const local = values.value(value);
        f.get(target).get(local).memory("v128.store", 16 * quad);
      });
      f.get(column).i32(4).op("i32.add").set(column);
      f.get(target).i32(16 * quads).op("i32.add").set(target);
    });
  };
  const each = () => {
    const quad = f.local("i32");
    f.i32(4 * quads).set(laneCount);
    emitFor(f, quad, laneCount, 4, () => {
      emitVersions(context, lanes, value, (contiguous) => {
        copy(contiguous, 1);
      });
      f.get(lanes).i32(16).op("i32.add").set(lanes);
      f.get(to).i32(16).op("i32.add").set(to);
    });
  };
  // All quads together read whole cache lines.
  const pointer = f.local("i32");
  const all = f.local("i32");
  f.i32(1).set(all);
  for (let quad = 0; quad < quads; quad++) {
    f.get(lanes).i32(16 * quad).op("i32.add").set(pointer);
    if (!emitContiguous(context, pointer, [value])) return each();
    f.get(all).op("i32.and").set(all);
  }
  f.get(all).if(() => copy(true, quads), each);
}

function emitPanelByColumns(
  context: QuadContext,
  value: ValueId,
  quads: number,
): void {
  const { f } = context;
  const [, lanes, columns, to, laneCount, columnCount] = f.params as Params;
  const quad = f.local("i32");
  const column = f.local("i32");
  const target = f.local("i32");
  const at = f.local("i32");
  f.i32(4 * quads).set(laneCount);
  emitFor(f, quad, laneCount, 4, () => {
    const scopes = [0, 1, 2, 3].map((lane) => outerScope(f, lanes, lane));
    f.get(columns).set(column);
    f.get(to).set(target);
    emitFor(f, at, columnCount, 4, () => {
      emitVersions(context, column, value, (contiguous) => {
        const reader = new TableReader(f, column, 0);
        const vectors = scopes.map((scope) =>
          new QuadValues(context, scope, reader, contiguous).value(value)
        );
        emitTranspose(f, vectors).forEach((vector, i) => {
          f.get(target).get(vector).memory("v128.store", 16 * quads * i);
        });
      });
      f.get(column).i32(16).op("i32.add").set(column);
      f.get(target).i32(64 * quads).op("i32.add").set(target);
    });
    f.get(lanes).i32(16).op("i32.add").set(lanes);
    f.get(to).i32(16).op("i32.add").set(to);
  });
}

function emitRowsByColumns(
  context: QuadContext,
  value: ValueId,
  rowBytes: number,
): void {
  const { f } = context;
  const [, lanes, columns, to, laneCount, columnCount] = f.params as Params;
  const row = f.local("i32");
  const column = f.local("i32");
  const target = f.local("i32");
  const at = f.local("i32");
  emitFor(f, row, laneCount, 1, () => {
    const scope = outerScope(f, lanes);
    f.get(columns).set(column);
    f.get(to).set(target);
    emitFor(f, at, columnCount, 4, () => {
      emitVersions(context, column, value, (contiguous) => {
        const reader = new TableReader(f, column, 0);
        const values = new QuadValues(context, scope, reader, contiguous);
        const local = values.value(value);
        f.get(target).get(local).memory("v128.store");
      });
      f.get(column).i32(16).op("i32.add").set(column);
      f.get(target).i32(16).op("i32.add").set(target);
    });
    f.get(lanes).i32(4).op("i32.add").set(lanes);
    f.get(to).i32(rowBytes).op("i32.add").set(to);
  });
}

function emitRowsByLanes(
  context: QuadContext,
  value: ValueId,
  rowBytes: number,
): void {
  const { f } = context;
  const [, lanes, columns, to, laneCount, columnCount] = f.params as Params;
  const row = f.local("i32");
  const column = f.local("i32");
  const target = f.local("i32");
  const at = f.local("i32");
  emitFor(f, row, laneCount, 4, () => {
    emitVersions(context, lanes, value, (contiguous) => {
      const scope = outerScope(f, lanes);
      f.get(columns).set(column);
      f.get(to).set(target);
      emitFor(f, at, columnCount, 4, () => {
        const vectors = [0, 1, 2, 3].map((lane) => {
          const reader = new TableReader(f, column, lane);
          return new QuadValues(context, scope, reader, contiguous)
            .value(value);
        });
        emitTranspose(f, vectors).forEach((vector, i) => {
          f.get(target).get(vector).memory("v128.store", rowBytes * i);
        });
        f.get(column).i32(16).op("i32.add").set(column);
        f.get(target).i32(16).op("i32.add").set(target);
      });
    });
    f.get(lanes).i32(16).op("i32.add").set(lanes);
    f.get(to).i32(4 * rowBytes).op("i32.add").set(to);
  });
}

/** Vector i of the result has lane i of each vector. */
function emitTranspose(f: FunctionBuilder, rows: readonly Local[]): Local[] {
  const [a, b, c, d] = rows as [Local, Local, Local, Local];
  const combine = (
    x: Local,
    y: Local,
    lanes: readonly [number, number, number, number],
  ) => {
    const result = f.local("v128");
    f.get(x).get(y).shuffle(...lanes).set(result);
    return result;
  };
  const [abLow, abHigh] = [
    combine(a, b, [0, 4, 1, 5]),
    combine(a, b, [2, 6, 3, 7]),
  ];
  const [cdLow, cdHigh] = [
    combine(c, d, [0, 4, 1, 5]),
    combine(c, d, [2, 6, 3, 7]),
  ];
  return [
    combine(abLow, cdLow, [0, 1, 4, 5]),
    combine(abLow, cdLow, [2, 3, 6, 7]),
    combine(abHigh, cdHigh, [0, 1, 4, 5]),
    combine(abHigh, cdHigh, [2, 3, 6, 7]),
  ];
}
