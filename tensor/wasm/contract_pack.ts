/**
 * Copies an operand of a matrix product into the order in which the inner loop
 * reads it, computing its elements on the way.
 *
 * @module
 */

import type { Callable, Local, ModuleBuilder } from "./assembler.ts";
import { emitFor } from "./contract_loops.ts";
import {
  emitColumnQuads,
  emitEachColumn,
  emitTranspose,
  type OperandCode,
  operandCode,
  type OperandSource,
} from "./contract_operand.ts";
import type { Helpers } from "./helpers.ts";
import { alwaysContiguous } from "./contiguity.ts";
import { emitContiguous, emitInterior, hasBounds } from "./quad_checks.ts";

type Params = [Local, Local, Local, Local, Local, Local];

const PARAMS = ["i32", "i32", "i32", "i32", "i32", "i32"] as const;

/**
 * Adds the function `(frame, lanes, columns, to, laneCount, columnCount)` that
 * writes rows: each lane has its columns as neighbours, `rowBytes` behind those
 * of the lane before. `lanes` and `columns` point into the tables. It may write
 * up to three lanes and three columns more than there are.
 */
export function emitPackRows(
  module: ModuleBuilder,
  helpers: Helpers,
  source: OperandSource,
  rowBytes: number,
): Callable {
  return module.function(undefined, PARAMS, [], (f) => {
    const [frame, lanes, columns, to, laneCount, columnCount] = f
      .params as Params;
    const code = operandCode(f, helpers, source, frame, lanes, columns);
    const row = f.local("i32");
    const byLanes = source.along === "lanes";
    emitFor(f, row, laneCount, byLanes ? 4 : 1, () => {
      emitInteriorVersions(code, lanes, (interior) => {
        if (byLanes) emitRowQuad(code, to, columnCount, rowBytes, interior);
        else emitRow(code, to, columnCount, interior);
      });
      f.get(lanes).i32(byLanes ? 16 : 4).op("i32.add").set(lanes);
      f.get(to).i32(byLanes ? 4 * rowBytes : rowBytes).op("i32.add").set(to);
    });
  });
}

/**
 * Adds the function `(frame, lanes, columns, to, laneCount, columnCount)` that
 * writes one panel: for each column, `quads` vectors of lanes. `laneCount` is
 * not used.
 */
export function emitPackPanel(
  module: ModuleBuilder,
  helpers: Helpers,
  source: OperandSource,
  quads: number,
): Callable {
  return module.function(undefined, PARAMS, [], (f) => {
    const [frame, lanes, columns, to, laneCount, columnCount] = f
      .params as Params;
    const code = operandCode(f, helpers, source, frame, lanes, columns);
    f.i32(4 * quads).set(laneCount);
    if (source.along === "lanes") {
      emitPanelByLanes(code, to, laneCount, columnCount, quads);
    } else emitPanelByColumns(code, to, laneCount, columnCount, quads);
  });
}

/** Runs `body` with whether all bounds hold in the four lanes at `lanes`. */
function emitInteriorVersions(
  code: OperandCode,
  lanes: Local,
  body: (interior: boolean) => void,
): void {
  const { f, source } = code;
  if (!hasBounds(source.kernel, source.value)) return body(true);
  if (emitInterior(code.byLanes, "vector", lanes, [source.value])) {
    f.if(() => body(true), () => body(false));
  } else body(false);
}

function emitPanelByLanes(
  code: OperandCode,
  to: Local,
  laneCount: Local,
  columnCount: Local,
  quads: number,
): void {
  const { f, lanes, source } = code;
  const target = f.local("i32");
  const copy = (contiguous: boolean, interior: boolean, width: number) => {
    f.get(to).set(target);
    emitEachColumn(
      code,
      columnCount,
      width,
      { contiguous, interior },
      (quad, column, vector) => {
        const offset = 16 * (quads * column + quad);
        f.get(target).get(vector).memory("v128.store", offset);
      },
      (count) => {
        f.get(target).i32(16 * quads * count).op("i32.add").set(target);
      },
    );
  };
  const each = () => {
    const lane = f.local("i32");
    emitFor(f, lane, laneCount, 4, () => {
      emitInteriorVersions(code, lanes, (interior) => {
        if (emitContiguous(code.byLanes, lanes, [source.value])) {
          f.if(() => copy(true, interior, 1), () => copy(false, interior, 1));
        } else copy(false, interior, 1);
      });
      f.get(lanes).i32(16).op("i32.add").set(lanes);
      f.get(to).i32(16).op("i32.add").set(to);
    });
  };
  // All quads together read whole cache lines.
  if (emitPlainPanel(code, quads)) f.if(() => copy(true, true, quads), each);
  else each();
}

function emitPanelByColumns(
  code: OperandCode,
  to: Local,
  laneCount: Local,
  columnCount: Local,
  quads: number,
): void {
  const { f, lanes } = code;
  const lane = f.local("i32");
  const target = f.local("i32");
  emitFor(f, lane, laneCount, 4, () => {
    emitInteriorVersions(code, lanes, (interior) => {
      f.get(to).set(target);
      emitColumnQuads(
        code,
        columnCount,
        interior,
        [[0, 1, 2, 3]],
        (vectors) => {
          emitTranspose(f, vectors).forEach((vector, column) => {
            f.get(target).get(vector);
            f.memory("v128.store", 16 * quads * column);
          });
        },
        () => f.get(target).i32(64 * quads).op("i32.add").set(target),
      );
    });
    f.get(lanes).i32(16).op("i32.add").set(lanes);
    f.get(to).i32(16).op("i32.add").set(to);
  });
}

function emitRow(
  code: OperandCode,
  to: Local,
  columnCount: Local,
  interior: boolean,
): void {
  const { f } = code;
  const target = f.local("i32");
  f.get(to).set(target);
  emitColumnQuads(
    code,
    columnCount,
    interior,
    [[0]],
    ([vector]) => f.get(target).get(vector!).memory("v128.store"),
    () => f.get(target).i32(16).op("i32.add").set(target),
  );
}

function emitRowQuad(
  code: OperandCode,
  to: Local,
  columnCount: Local,
  rowBytes: number,
  interior: boolean,
): void {
  const { f, lanes, source } = code;
  const target = f.local("i32");
  const rounded = f.local("i32");
  const copy = (contiguous: boolean) => {
    f.get(to).set(target);
    // The table has the last column again behind the last.
    f.get(columnCount).i32(3).op("i32.add").i32(-4).op("i32.and").set(rounded);
    const held: Local[] = [];
    emitEachColumn(
      code,
      rounded,
      1,
      { contiguous, interior },
      (_, column, vector) => {
        held[column] = vector;
      },
      () => {
        emitTranspose(f, held).forEach((vector, row) => {
          f.get(target).get(vector).memory("v128.store", rowBytes * row);
        });
        f.get(target).i32(16).op("i32.add").set(target);
      },
      4,
    );
  };
  if (emitContiguous(code.byLanes, lanes, [source.value])) {
    f.if(() => copy(true), () => copy(false));
  } else copy(false);
}

/**
 * Pushes 1 if the whole panel at the code's lanes can be read without a look
 * at bounds or single lanes. Returns false, and pushes nothing, if none can.
 */
export function emitPlainPanel(code: OperandCode, quads: number): boolean {
  const { f, lanes, source, byLanes, byColumns } = code;
  const { kernel, value, along } = source;
  const bounds = hasBounds(kernel, value);
  if (along === "columns") {
    if (!alwaysContiguous(kernel, [value], byColumns.vector.side)) return false;
    if (!bounds) {
      f.i32(1);
      return true;
    }
  }
  const pointer = f.local("i32");
  const all = f.local("i32");
  f.i32(1).set(all);
  for (let quad = 0; quad < quads; quad++) {
    f.get(lanes).i32(16 * quad).op("i32.add").set(pointer);
    if (along === "lanes") {
      if (!emitContiguous(byLanes, pointer, [value])) return false;
      f.get(all).op("i32.and").set(all);
    }
    if (bounds) {
      if (!emitInterior(byLanes, "vector", pointer, [value])) return false;
      f.get(all).op("i32.and").set(all);
    }
  }
  f.get(all);
  return true;
}
