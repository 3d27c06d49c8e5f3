/**
 * Copies an operand of a matrix product into the order in which the inner loop
 * reads it, computing its elements on the way.
 *
 * @module
 */

import type { Callable, Local, ModuleBuilder } from "./assembler.ts";
import { emitFor, emitTimes } from "./contract_loops.ts";
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
import type { Place } from "./quad_values.ts";

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
 * Adds the function `(frame, lanes, columns, to, panelCount, columnCount)` that
 * writes panels, `panelBytes` behind each other: for each column, `quads`
 * vectors of lanes.
 *
 * @param group How many panels are read together, if there are so many.
 */
export function emitPackPanels(
  module: ModuleBuilder,
  helpers: Helpers,
  source: OperandSource,
  quads: number,
  group: number,
  panelBytes: number,
): Callable {
  return module.function(undefined, PARAMS, [], (f) => {
    const [frame, lanes, columns, to, panelCount, columnCount] = f
      .params as Params;
    const code = operandCode(f, helpers, source, frame, lanes, columns);
    const panel = f.local("i32");
    const each = () => {
      emitFor(f, panel, panelCount, 1, () => {
        const target = f.local("i32");
        f.get(to).set(target);
        if (source.along === "lanes") {
          emitPanelByLanes(code, target, columnCount, quads);
        } else emitPanelByColumns(code, target, columnCount, quads);
        f.get(lanes).i32(16 * quads).op("i32.add").set(lanes);
        f.get(to).i32(panelBytes).op("i32.add").set(to);
      });
    };
    if (source.along === "columns") return each();
    f.get(panelCount).i32(group).op("i32.eq");
    // All quads together read whole cache lines.
    if (!emitPlainPanel(code, quads * group)) {
      f.op("drop");
      return each();
    }
    f.op("i32.and").if(() => {
      emitCopy(code, to, columnCount, quads, quads * group, panelBytes, {
        contiguous: true,
        interior: true,
      });
    }, each);
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

/** Copies `width` quads of lanes side by side, into panels of `quads`. */
function emitCopy(
  code: OperandCode,
  to: Local,
  columnCount: Local,
  quads: number,
  width: number,
  panelBytes: number,
  place: Place,
): void {
  const { f } = code;
  const target = f.local("i32");
  f.get(to).set(target);
  emitEachColumn(
    code,
    columnCount,
    width,
    place,
    (quad, column, vector) => {
      const offset = 16 * (quads * column + quad % quads) +
        panelBytes * Math.floor(quad / quads);
      f.get(target).get(vector).memory("v128.store", offset);
    },
    (count) => {
      f.get(target).i32(16 * quads * count).op("i32.add").set(target);
    },
  );
}

/** One panel, quad after quad. */
function emitPanelByLanes(
  code: OperandCode,
  to: Local,
  columnCount: Local,
  quads: number,
): void {
  const { f, source, byLanes } = code;
  const [quad, lanes] = [f.local("i32"), f.local("i32")];
  const here = { ...code, lanes };
  const copy = (contiguous: boolean, interior: boolean) => {
    const place = { contiguous, interior };
    emitCopy(here, to, columnCount, quads, 1, 0, place);
  };
  f.get(code.lanes).set(lanes);
  emitTimes(f, quad, quads, () => {
    emitInteriorVersions(here, lanes, (interior) => {
      if (emitContiguous(byLanes, lanes, [source.value])) {
        f.if(() => copy(true, interior), () => copy(false, interior));
      } else copy(false, interior);
    });
    f.get(lanes).i32(16).op("i32.add").set(lanes);
    f.get(to).i32(16).op("i32.add").set(to);
  });
}

/** One panel, quad after quad, four columns at a time. */
function emitPanelByColumns(
  code: OperandCode,
  to: Local,
  columnCount: Local,
  quads: number,
): void {
  const { f } = code;
  const [quad, lanes, target] = [0, 1, 2].map(() => f.local("i32")) as [
    Local,
    Local,
    Local,
  ];
  const here = { ...code, lanes };
  f.get(code.lanes).set(lanes);
  emitTimes(f, quad, quads, () => {
    emitInteriorVersions(here, lanes, (interior) => {
      f.get(to).set(target);
      emitColumnQuads(
        here,
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
