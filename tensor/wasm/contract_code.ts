/**
 * What the stages of a matrix product share: its memory, its tables and the
 * functions that they call.
 *
 * @module
 */

import type { LoopKernel } from "../kernel/kernel.ts";
import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";
import { emitDirect } from "./contract_direct.ts";
import { emitEpilogue } from "./contract_epilogue.ts";
import { type Layout, type Operand, rowBytesOf } from "./contract_layout.ts";
import type { OperandSource } from "./contract_operand.ts";
import { emitPackPanels, emitPackRows } from "./contract_pack.ts";
import { Helpers } from "./helpers.ts";
import { LaneTable } from "./lane_table.ts";
import type { Target } from "./math.ts";
import { importTile } from "./tile_library.ts";

/** Counts and places. */
export interface Geometry {
  /** Items that share the passes of one sum. */
  readonly parts: number;
  /** Panels of lanes. */
  readonly panels: number;
  /** Blocks of rows. */
  readonly blocks: number;
  /** Lanes of a panel. */
  readonly tileLanes: number;
  /** Rows that there is room for, in all. */
  readonly paddedRows: number;
  /** Bytes between packed rows. */
  readonly rowBytes: number;
  /** Bytes between packed panels. */
  readonly panelBytes: number;
  /** Bytes of the sums of a panel and a block of rows. */
  readonly sumBytes: number;
  /** Offset in the frame of the address of the shared scratch memory. */
  readonly frameOffset: number;
  /** Offsets in the shared scratch memory; copies of operands come first. */
  readonly shared: {
    /** Packed rows. */
    readonly rows: number;
    /** Packed panels. */
    readonly lanes: number;
    /** Partial sums, where there are several parts. */
    readonly sums: number;
    /** Its size. */
    readonly bytes: number;
  };
  /** Offsets in the scratch memory of a thread. */
  readonly own: {
    /** Tables. */
    readonly rowTable: number;
    /** Of the panels that are held. */
    readonly laneTable: number;
    /** Of one pass. */
    readonly columnTable: number;
    /** Packed rows. */
    readonly rows: number;
    /** Packed panels. */
    readonly panels: number;
    /** Sums of the panels that are held. */
    readonly sums: number;
    /** Its size. */
    readonly bytes: number;
  };
}

/** Functions of the module. */
export interface Calls {
  /** The number of the calling thread. */
  readonly thread: Callable;
  /** Packs some rows. */
  readonly packRows: Callable;
  /** Packs some panels. */
  readonly packPanels: Callable;
  /** A tile by a panel that is not packed. */
  readonly direct: Callable | undefined;
  /** A tile by a packed panel. */
  readonly multiply: Callable;
  /** Stores the sums of a panel. */
  readonly epilogue: Callable;
  /** Fills the table of the rows. */
  readonly fillRows: Callable;
  /** Fills the table of the lanes. */
  readonly fillLanes: Callable;
  /** Fills the table of the columns. */
  readonly fillColumns: Callable;
}

/** A matrix product while its module is written. */
export interface ContractCode {
  /** Where functions go. */
  readonly module: ModuleBuilder;
  /** Functions that computing values needs. */
  readonly helpers: Helpers;
  /** What is computed. */
  readonly kernel: LoopKernel;
  /** How it is cut up. */
  readonly layout: Layout;
  /** Counts and places. */
  readonly geometry: Geometry;
  /** The operand that is read as vectors. */
  readonly laneSource: OperandSource;
  /** What the stages call. */
  readonly calls: Calls;
}

/** Writes the functions that the stages call. */
export function contractCode(
  module: ModuleBuilder,
  kernel: LoopKernel,
  layout: Layout,
  target: Target,
  copyBytes: number,
): ContractCode {
  const { batch, rows, lanes, columns, tileRows, tileQuads } = layout;
  const { blockRows, blockColumns, blockPanels } = layout;
  const rowTable = new LaneTable(rows.side, blockRows + 4);
  const laneTable = new LaneTable(lanes.side, blockPanels * 4 * tileQuads);
  const columnTable = new LaneTable(columns, blockColumns);
  const thread = module.importFunction("env", "thread", [], ["i32"]);
  const multiply = importTile(module, { rows: tileRows, quads: tileQuads });
  const helpers = new Helpers(module, target);
  const source = ({ value, along }: Operand, table: LaneTable) => ({
    kernel,
    value,
    along,
    lanes: table,
    columns: columnTable,
  });
  const laneSource = source(lanes, laneTable);
  const rowBytes = rowBytesOf(layout);
  const tile = { rows: tileRows, quads: tileQuads, rowBytes };
  const calls = {
    thread,
    packRows: emitPackRows(module, helpers, source(rows, rowTable), rowBytes),
    packPanels: emitPackPanels(
      module,
      helpers,
      laneSource,
      tileQuads,
      layout.groupPanels,
      16 * tileQuads * blockColumns,
    ),
    direct: layout.direct
      ? emitDirect(module, helpers, laneSource, tile)
      : undefined,
    multiply,
    epilogue: emitEpilogue(
      module,
      helpers,
      kernel,
      laneTable,
      rowTable,
      tileQuads,
    ),
    // Last: now the tables know their entries.
    fillRows: rowTable.emitFill(module, batch),
    fillLanes: laneTable.emitFill(module, batch),
    fillColumns: columnTable.emitFill(module, batch),
  };
  const tables = [rowTable, laneTable, columnTable] as const;
  const frameOffset = 4 * (kernel.buffers.length + kernel.params.length);
  const geometry = geometryOf(layout, tables, frameOffset, copyBytes);
  return { module, helpers, kernel, layout, geometry, laneSource, calls };
}

function geometryOf(
  layout: Layout,
  [rowTable, laneTable, columnTable]: readonly [
    LaneTable,
    LaneTable,
    LaneTable,
  ],
  frameOffset: number,
  copyBytes: number,
): Geometry {
  const { batch, rows, lanes, tileQuads, groupPanels } = layout;
  const { blockRows, blockColumns, blockPanels, passes } = layout;
  const tileLanes = 4 * tileQuads;
  const rowBytes = rowBytesOf(layout);
  const panelBytes = 4 * tileLanes * blockColumns;
  const sumBytes = 4 * tileLanes * blockRows;
  const parts = Math.ceil(passes / layout.partPasses);
  const panels = Math.ceil(lanes.side.extent / tileLanes);
  const blocks = Math.ceil(rows.side.extent / blockRows);
  // Whole tiles are read, whole quads written.
  const paddedRows = blocks * blockRows + 4;
  const goes = batch.extent * passes;

  const shared = new Places();
  shared.take(copyBytes);
  const own = new Places();
  return {
    parts,
    panels,
    blocks,
    tileLanes,
    paddedRows,
    rowBytes,
    panelBytes,
    sumBytes,
    frameOffset,
    shared: {
      rows: shared.take(layout.sharedRows ? goes * paddedRows * rowBytes : 0),
      lanes: shared.take(layout.sharedLanes ? goes * panels * panelBytes : 0),
      sums: shared.take(
        parts > 1 ? batch.extent * parts * blocks * panels * sumBytes : 0,
      ),
      bytes: shared.bytes,
    },
    own: {
      rowTable: own.take(rowTable.bytes),
      laneTable: own.take(laneTable.bytes),
      columnTable: own.take(columnTable.bytes),
      rows: own.take(layout.sharedRows ? 0 : (blockRows + 4) * rowBytes),
      panels: own.take(layout.sharedLanes ? 0 : groupPanels * panelBytes),
      sums: own.take(blockPanels * sumBytes),
      bytes: own.bytes,
    },
  };
}

/** Hands out places one behind the other, at multiples of 64 bytes. */
class Places {
  /** Bytes handed out. */
  bytes = 0;

  /** The next place. */
  take(count: number): number {
    const at = this.bytes;
    this.bytes += Math.ceil(count / 64) * 64;
    return at;
  }
}

/** Leaves the address of the calling thread's scratch memory in a local. */
export function emitScratch(
  f: FunctionBuilder,
  { geometry, calls }: ContractCode,
): Local {
  const scratch = f.local("i32");
  f.get(f.params[0]!).memory("i32.load", geometry.frameOffset + 4);
  f.call(calls.thread).i32(geometry.own.bytes).op("i32.mul").op("i32.add");
  return f.set(scratch), scratch;
}

/** Pushes the address of packed rows; `go` counts (batch, pass). */
export function pushSharedRows(
  f: FunctionBuilder,
  { geometry }: ContractCode,
  go: Local,
  row: Local,
): void {
  const { frameOffset, paddedRows, rowBytes, shared } = geometry;
  f.get(f.params[0]!).memory("i32.load", frameOffset);
  f.get(go).i32(paddedRows).op("i32.mul").get(row).op("i32.add");
  f.i32(rowBytes).op("i32.mul").op("i32.add");
  f.i32(shared.rows).op("i32.add");
}

/** Pushes the address of a packed panel; `go` counts (batch, pass). */
export function pushSharedPanel(
  f: FunctionBuilder,
  { geometry }: ContractCode,
  go: Local,
  panel: Local,
): void {
  const { frameOffset, panels, panelBytes, shared } = geometry;
  f.get(f.params[0]!).memory("i32.load", frameOffset);
  f.get(go).i32(panels).op("i32.mul").get(panel).op("i32.add");
  f.i32(panelBytes).op("i32.mul").op("i32.add");
  f.i32(shared.lanes).op("i32.add");
}

/** Pushes the address of partial sums; `item` counts (batch, part, block, panel). */
export function pushPartialSums(
  f: FunctionBuilder,
  { geometry }: ContractCode,
  item: Local,
): void {
  f.get(f.params[0]!).memory("i32.load", geometry.frameOffset);
  f.get(item).i32(geometry.sumBytes).op("i32.mul").op("i32.add");
  f.i32(geometry.shared.sums).op("i32.add");
}

/** Fills the table of a run of rows, up to a whole quad. */
export function emitFillRows(
  f: FunctionBuilder,
  { geometry, calls }: ContractCode,
  scratch: Local,
  first: Local,
  count: Local,
  batchNumber: Local,
): void {
  f.get(f.params[0]!);
  f.get(scratch).i32(geometry.own.rowTable).op("i32.add").get(first);
  f.get(count).i32(3).op("i32.add").i32(-4).op("i32.and");
  f.get(batchNumber).call(calls.fillRows);
}

/** Fills the table of one pass, leaves how many columns it has. */
export function emitFillColumns(
  f: FunctionBuilder,
  { layout, geometry, calls }: ContractCode,
  scratch: Local,
  pass: Local,
  batchNumber: Local,
  columnCount: Local,
): void {
  const { columns, blockColumns } = layout;
  if (columns.extent === 0) return;
  const first = f.local("i32");
  f.get(pass).i32(blockColumns).op("i32.mul").set(first);
  emitMinimum(f, columns.extent, first, blockColumns, columnCount);
  f.get(f.params[0]!);
  f.get(scratch).i32(geometry.own.columnTable).op("i32.add").get(first);
  f.get(columnCount).i32(3).op("i32.add").i32(-4).op("i32.and");
  f.get(batchNumber).call(calls.fillColumns);
}

/** `result = min(step, total - first)`. */
export function emitMinimum(
  f: FunctionBuilder,
  total: number,
  first: Local,
  step: number,
  result: Local,
): void {
  f.i32(total).get(first).op("i32.sub").set(result);
  f.i32(step).get(result).i32(step).get(result).op("i32.lt_s").op("select");
  f.set(result);
}
