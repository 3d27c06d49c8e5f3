/**
 * The elements of an operand of a matrix product, four at a time: neighbours
 * among its own axes (lanes), or among the columns.
 *
 * @module
 */

import type { LoopKernel, ValueId } from "../kernel/kernel.ts";
import type { FunctionBuilder, Local } from "./assembler.ts";
import { emitFor } from "./contract_loops.ts";
import type { Helpers } from "./helpers.ts";
import type { LaneTable } from "./lane_table.ts";
import { alwaysContiguous } from "./contiguity.ts";
import { emitContiguous } from "./quad_checks.ts";
import { QuadContext } from "./quad_context.ts";
import { type OuterScope, type Place, QuadValues } from "./quad_values.ts";
import { TableReader } from "./table_reader.ts";

/** Which operand. */
export interface OperandSource {
  /** Whose. */
  readonly kernel: LoopKernel;
  /** Its element at a place. */
  readonly value: ValueId;
  /** Its own axes. */
  readonly lanes: LaneTable;
  /** The columns. */
  readonly columns: LaneTable;
  /** What four elements that are computed together are neighbours in. */
  readonly along: "lanes" | "columns";
}

/** An operand in a function that reads it. */
export interface OperandCode {
  /** Where to write code. */
  readonly f: FunctionBuilder;
  /** What is read. */
  readonly source: OperandSource;
  /** Points at the first lane in the table. */
  readonly lanes: Local;
  /** Points at the first column in the table. */
  readonly columns: Local;
  /** Four lanes of one column. */
  readonly byLanes: QuadContext;
  /** Four columns of one lane. */
  readonly byColumns: QuadContext;
}

/** Prepares to read an operand in a function. */
export function operandCode(
  f: FunctionBuilder,
  helpers: Helpers,
  source: OperandSource,
  frame: Local,
  lanes: Local,
  columns: Local,
): OperandCode {
  const { kernel } = source;
  const common = { f, kernel, helpers, frame };
  return {
    f,
    source,
    lanes,
    columns,
    byLanes: new QuadContext({
      ...common,
      vector: source.lanes,
      scalar: source.columns,
      home: "vector",
      inner: "scalar",
    }),
    byColumns: new QuadContext({
      ...common,
      vector: source.columns,
      scalar: source.lanes,
      home: "scalar",
      inner: "vector",
    }),
  };
}

function outerScope(
  f: FunctionBuilder,
  pointer: Local,
  lane: number,
): OuterScope {
  const hole = f.hole();
  const reader = new TableReader(f, pointer, lane, hole);
  return { hole, reader, known: new Map() };
}

/**
 * Runs through the columns one by one; `use` gets four lanes of each quad, and
 * how many columns behind `advance` they are.
 *
 * @param columnCount How many columns; a multiple of `unroll` if that is given.
 * @param quads How many vectors of lanes, side by side.
 * @param place What is known of all of them.
 * @param advance Written after every `count` columns.
 * @param unroll Columns that one turn does; by default four where they cost
 * little.
 */
export function emitEachColumn(
  code: OperandCode,
  columnCount: Local,
  quads: number,
  place: Place,
  use: (quad: number, column: number, vector: Local) => void,
  advance: (count: number) => void,
  unroll?: number,
): void {
  const { f, lanes, columns, source, byLanes } = code;
  const scopes = Array.from(
    { length: quads },
    (_, quad) => outerScope(f, lanes, 4 * quad),
  );
  const column = f.local("i32");
  const at = f.local("i32");
  const turn = (count: number) => {
    for (let i = 0; i < count; i++) {
      const reader = new TableReader(f, column, i);
      scopes.forEach((scope, quad) => {
        const values = new QuadValues(byLanes, scope, reader, place);
        use(quad, i, values.value(source.value));
      });
    }
    f.get(column).i32(4 * count).op("i32.add").set(column);
    advance(count);
  };
  f.get(columns).set(column);
  if (unroll || !place.contiguous) {
    const count = unroll ?? 1;
    emitFor(f, at, columnCount, count, () => turn(count));
    return;
  }
  // Four columns a turn, then the rest.
  const whole = f.local("i32");
  f.get(columnCount).i32(-4).op("i32.and").set(whole);
  emitFor(f, at, whole, 4, () => turn(4));
  f.get(columnCount).i32(3).op("i32.and").set(whole);
  emitFor(f, at, whole, 1, () => turn(1));
}

/**
 * Runs through the columns four by four. In each turn `use` gets four columns
 * of each lane of a group, group after group, and `advance` is written at the
 * end. The last turn may reach past the last column.
 */
export function emitColumnQuads(
  code: OperandCode,
  columnCount: Local,
  interior: boolean,
  groups: readonly (readonly number[])[],
  use: (vectors: readonly Local[], group: number) => void,
  advance: () => void,
): void {
  const { f, columns, source, byColumns } = code;
  const { kernel, value } = source;
  const scopes = groups.map((lanes) =>
    lanes.map((lane) => outerScope(f, code.lanes, lane))
  );
  const column = f.local("i32");
  const at = f.local("i32");
  const turn = (contiguous: boolean) => {
    const reader = new TableReader(f, column, 0);
    const place = { contiguous, interior };
    scopes.forEach((group, i) => {
      const vectors = group.map((scope) =>
        new QuadValues(byColumns, scope, reader, place).value(value)
      );
      use(vectors, i);
    });
  };
  const step = () => {
    f.get(column).i32(16).op("i32.add").set(column);
    advance();
  };
  f.get(columns).set(column);
  if (!alwaysContiguous(kernel, [value], byColumns.vector.side)) {
    emitFor(f, at, columnCount, 4, () => {
      if (emitContiguous(byColumns, column, [value])) {
        f.if(() => turn(true), () => turn(false));
      } else turn(false);
      step();
    });
    return;
  }
  const whole = f.local("i32");
  f.get(columnCount).i32(-4).op("i32.and").set(whole);
  emitFor(f, at, whole, 4, () => {
    turn(true);
    step();
  });
  f.get(columnCount).i32(3).op("i32.and").if(() => {
    turn(false);
    step();
  });
}

/** Vector i of the result has lane i of each vector. */
export function emitTranspose(
  f: FunctionBuilder,
  rows: readonly Local[],
): Local[] {
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
