/**
 * Matrix products: packed panels, a register tile, and an epilogue.
 *
 * The result is cut into blocks of rows and panels of lanes. A thread takes a
 * block and a run of panels: the rows lie packed, each panel is packed just
 * before it is used, and its sums go to the epilogue while they are in the
 * first cache. A long sum goes through the columns in several passes, which
 * add to the same sums in the same order. So nothing depends on the number of
 * threads.
 *
 * @module
 */

import type { LoopKernel } from "../kernel/kernel.ts";
import type { Callable, Local, ModuleBuilder } from "./assembler.ts";
import { emitEpilogue } from "./contract_epilogue.ts";
import { type Layout, layoutOf, rowBytesOf } from "./contract_layout.ts";
import { emitFor } from "./contract_loops.ts";
import type { Operand } from "./contract_layout.ts";
import {
  emitPackPanel,
  emitPackRows,
  emitPlainPanel,
} from "./contract_pack.ts";
import { emitDirect } from "./contract_direct.ts";
import { operandCode, type OperandSource } from "./contract_operand.ts";
import { type PaddedKernel, padOperands } from "./contract_padding.ts";
import { Helpers } from "./helpers.ts";
import { emitLoopFunction } from "./loop_kernel.ts";
import { LaneTable } from "./lane_table.ts";
import type { Target } from "./math.ts";
import { emitMicrokernel } from "./microkernel.ts";

/** A function `(frame, start, end)` of the module, and how it is split. */
export interface ContractStage {
  /** Name of the export. */
  readonly name: string;
  /** Items to do, each on its own. */
  readonly items: number;
  /** Threads take runs of items that are multiples of this. */
  readonly grain: number;
}

/**
 * What a module made by {@link emitContract} needs to run.
 *
 * The frame holds words: the byte address of each buffer of the kernel, its
 * params, the address of the shared scratch memory, and the address of the
 * scratch memory of thread 0, behind which those of the other threads lie.
 * Both begin at multiples of 64; what they contain does not matter.
 */
export interface ContractPlan {
  /** Run one after the other. */
  readonly stages: readonly ContractStage[];
  /** Bytes that all threads use together. */
  readonly sharedScratchBytes: number;
  /** Bytes for each thread: a multiple of 64. */
  readonly threadScratchBytes: number;
}

/** Rows that one item of the packing stage does. */
const PACK_ROWS = 16;

/** Work that is worth sharing, in floating-point operations and in time. */
const GRAIN_OPERATIONS = 400_000;
const GRAIN_NS = 10_000;

/**
 * Adds the functions of a matrix product to a module that has its memory and
 * no function yet; it imports `env.thread`, which gives the number of the
 * thread that calls.
 *
 * @returns What it needs, or undefined if the kernel is better run as the nest
 * of loops that it also is; nothing is added then.
 */
export function emitContract(
  module: ModuleBuilder,
  kernel: LoopKernel,
  target: Target,
): ContractPlan | undefined {
  if (!layoutOf(kernel)) return undefined;
  const padded = padOperands(kernel);
  const layout = layoutOf(padded.kernel)!;
  return new ContractEmitter(module, padded, layout, target).plan;
}

/** Offsets in a thread's scratch memory. */
interface Scratch {
  readonly rowTable: number;
  readonly laneTable: number;
  readonly columnTable: number;
  readonly rows: number;
  readonly panel: number;
  readonly sums: number;
}

type StageParams = [Local, Local, Local];

class ContractEmitter {
  readonly plan: ContractPlan;
  readonly #module: ModuleBuilder;
  readonly #kernel: LoopKernel;
  readonly #layout: Layout;
  readonly #rowBytes: number;
  readonly #passes: number;
  readonly #panels: number;
  readonly #blocks: number;
  readonly #paddedRows: number;
  readonly #rowTable: LaneTable;
  readonly #laneTable: LaneTable;
  readonly #columnTable: LaneTable;
  readonly #helpers: Helpers;
  readonly #laneSource: OperandSource;
  /** Where in the shared scratch memory the rows lie, behind the copies. */
  readonly #packedAt: number;
  readonly #scratch: Scratch;
  readonly #call: Record<
    | "thread"
    | "packRows"
    | "packPanel"
    | "direct"
    | "epilogue"
    | "multiply"
    | "fillRows"
    | "fillLanes"
    | "fillColumns",
    Callable
  >;

  constructor(
    module: ModuleBuilder,
    { kernel, copies, size }: PaddedKernel,
    layout: Layout,
    target: Target,
  ) {
    this.#module = module;
    this.#kernel = kernel;
    this.#packedAt = Math.ceil(4 * size / 64) * 64;
    this.#layout = layout;
    const { rows, lanes, columns, batch, tileRows, tileQuads } = layout;
    const { blockRows, blockColumns, blockPanels } = layout;
    const tileLanes = 4 * tileQuads;
    this.#rowBytes = rowBytesOf(layout);
    this.#passes = Math.max(1, Math.ceil(columns.extent / blockColumns));
    this.#panels = Math.ceil(lanes.side.extent / tileLanes);
    this.#blocks = Math.ceil(rows.side.extent / blockRows);
    // Whole tiles are read, whole quads written.
    this.#paddedRows = this.#blocks * blockRows + 4;

    const blockLanes = blockPanels * tileLanes;
    const rowTable = new LaneTable(rows.side, blockRows + 4);
    const laneTable = new LaneTable(lanes.side, blockLanes);
    const columnTable = new LaneTable(columns, blockColumns);
    this.#rowTable = rowTable;
    this.#laneTable = laneTable;
    this.#columnTable = columnTable;
    const thread = module.importFunction("env", "thread", [], ["i32"]);
    const helpers = new Helpers(module, target);
    const source = ({ value, along }: Operand, table: LaneTable) => ({
      kernel,
      value,
      along,
      lanes: table,
      columns: columnTable,
    });
    const tile = {
      rows: tileRows,
      quads: tileQuads,
      rowBytes: this.#rowBytes,
    };
    const rowSource = source(rows, rowTable);
    const laneSource = source(lanes, laneTable);
    this.#helpers = helpers;
    this.#laneSource = laneSource;
    this.#call = {
      thread,
      packRows: emitPackRows(module, helpers, rowSource, this.#rowBytes),
      packPanel: emitPackPanel(module, helpers, laneSource, tileQuads),
      epilogue: emitEpilogue(
        module,
        helpers,
        kernel,
        laneTable,
        rowTable,
        tileQuads,
      ),
      multiply: emitMicrokernel(module, tile, target),
      direct: layout.direct
        ? emitDirect(module, helpers, laneSource, tile)
        : thread,
      // Last: now the tables know their entries.
      fillRows: rowTable.emitFill(module, batch),
      fillLanes: laneTable.emitFill(module, batch),
      fillColumns: columnTable.emitFill(module, batch),
    };
    let bytes = 0;
    const take = (count: number) => {
      const at = bytes;
      bytes += Math.ceil(count / 64) * 64;
      return at;
    };
    this.#scratch = {
      rowTable: take(rowTable.bytes),
      laneTable: take(laneTable.bytes),
      columnTable: take(columnTable.bytes),
      rows: take(layout.sharedRows ? 0 : (blockRows + 4) * this.#rowBytes),
      panel: take(4 * tileLanes * blockColumns),
      sums: take(4 * blockLanes * blockRows),
    };
    const stages = copies.map((copy, i) => this.#emitCopyStage(copy, i));
    if (layout.sharedRows) stages.push(this.#emitPackStage());
    stages.push(this.#emitMultiplyStage());
    this.plan = {
      stages,
      sharedScratchBytes: this.#packedAt +
        (layout.sharedRows
          ? batch.extent * this.#passes * this.#paddedRows * this.#rowBytes
          : 0),
      threadScratchBytes: bytes,
    };
  }

  #sharedScratch(): number {
    return 4 * (this.#kernel.buffers.length + this.#kernel.params.length);
  }

  /** Leaves the address of this thread's scratch memory in a local. */
  #emitScratch(f: Emitter, frame: Local): Local {
    const scratch = f.local("i32");
    f.get(frame).memory("i32.load", this.#sharedScratch() + 4);
    f.call(this.#call.thread);
    // Written once the plan is known: the size is not yet.
    f.i32(this.#threadBytes()).op("i32.mul").op("i32.add").set(scratch);
    return scratch;
  }

  #threadBytes(): number {
    const { sums } = this.#scratch;
    const { blockPanels, tileQuads, blockRows } = this.#layout;
    const bytes = 16 * tileQuads * blockPanels * blockRows;
    return sums + Math.ceil(bytes / 64) * 64;
  }

  /** Writes a padded copy. */
  #emitCopyStage(copy: LoopKernel, position: number): ContractStage {
    const name = `pad${position}`;
    const { callable, items, cost } = emitLoopFunction(
      this.#module,
      this.#helpers,
      copy,
      { addressParams: [copy.buffers.length - 1] },
    );
    this.#module.function(name, ["i32", "i32", "i32"], [], (f) => {
      const [frame, start, end] = f.params as StageParams;
      f.get(frame).get(start).get(end);
      f.get(frame).memory("i32.load", this.#sharedScratch()).call(callable);
    });
    return { name, items, grain: Math.ceil(GRAIN_NS * items / cost) };
  }

  /** Items: (batch, pass, group of rows). */
  #emitPackStage(): ContractStage {
    const { rows, batch, blockColumns } = this.#layout;
    const m = rows.side.extent;
    const groups = Math.ceil(m / PACK_ROWS);
    const { rowTable, columnTable } = this.#scratch;
    this.#module.function("pack", ["i32", "i32", "i32"], [], (f) => {
      const [frame, start, end] = f.params as StageParams;
      const scratch = this.#emitScratch(f, frame);
      const [group, outer, pass, batchNumber] = locals(f, 4);
      const [first, count, columnCount, last] = locals(f, 4);
      f.i32(-1).set(last);
      f.block((done) => {
        f.get(start).get(end).op("i32.ge_s").brIf(done);
        f.loop((again) => {
          f.get(start).i32(groups).op("i32.rem_u").set(group);
          f.get(start).i32(groups).op("i32.div_u").set(outer);
          f.get(outer).i32(this.#passes).op("i32.rem_u").set(pass);
          f.get(outer).i32(this.#passes).op("i32.div_u").set(batchNumber);
          f.get(outer).get(last).op("i32.ne").if(() => {
            this.#emitFillColumns(f, scratch, pass, batchNumber, columnCount);
            f.get(outer).set(last);
          });
          f.get(group).i32(PACK_ROWS).op("i32.mul").set(first);
          emitMinimum(f, m, first, PACK_ROWS, count);
          this.#emitFillRows(f, scratch, first, count, batchNumber);
          f.get(frame).get(scratch).i32(rowTable).op("i32.add");
          f.get(scratch).i32(columnTable).op("i32.add");
          this.#emitSharedRows(f, frame, outer, first);
          f.get(count).get(columnCount).call(this.#call.packRows);
          f.get(start).i32(1).op("i32.add").tee(start);
          f.get(end).op("i32.lt_s").brIf(again);
        });
      });
    });
    return {
      name: "pack",
      items: m === 0 ? 0 : batch.extent * this.#passes * groups,
      grain: grainOf(PACK_ROWS * blockColumns * 16),
    };
  }

  /** Pushes the address of packed rows. */
  #emitSharedRows(f: Emitter, frame: Local, outer: Local, first: Local): void {
    f.get(frame).memory("i32.load", this.#sharedScratch());
    f.get(outer).i32(this.#paddedRows).op("i32.mul").get(first).op("i32.add");
    f.i32(this.#rowBytes).op("i32.mul").op("i32.add");
    f.i32(this.#packedAt).op("i32.add");
  }

  /** Fills the table of a block of rows, up to a whole quad. */
  #emitFillRows(
    f: Emitter,
    scratch: Local,
    first: Local,
    count: Local,
    batchNumber: Local,
  ): void {
    f.get(f.params[0]!);
    f.get(scratch).i32(this.#scratch.rowTable).op("i32.add").get(first);
    f.get(count).i32(3).op("i32.add").i32(-4).op("i32.and");
    f.get(batchNumber).call(this.#call.fillRows);
  }

  /** Fills the table of one pass, leaves how many columns it has. */
  #emitFillColumns(
    f: Emitter,
    scratch: Local,
    pass: Local,
    batchNumber: Local,
    columnCount: Local,
  ): void {
    const { columns, blockColumns } = this.#layout;
    const [first] = locals(f, 1);
    if (columns.extent === 0) return;
    f.get(pass).i32(blockColumns).op("i32.mul").set(first!);
    emitMinimum(f, columns.extent, first!, blockColumns, columnCount);
    f.get(f.params[0]!);
    f.get(scratch).i32(this.#scratch.columnTable).op("i32.add").get(first!);
    f.get(columnCount).i32(3).op("i32.add").i32(-4).op("i32.and");
    f.get(batchNumber).call(this.#call.fillColumns);
  }

  /** Items: (batch, block of rows, panel). */
  #emitMultiplyStage(): ContractStage {
    const { rows, lanes, columns, batch } = this.#layout;
    const { blockRows, tileQuads } = this.#layout;
    const m = rows.side.extent;
    const scratchAt = this.#scratch;
    const panels = this.#panels;
    this.#module.function("multiply", ["i32", "i32", "i32"], [], (f) => {
      const [frame, start, end] = f.params as StageParams;
      const scratch = this.#emitScratch(f, frame);
      const [panel, outer, block, batchNumber] = locals(f, 4);
      const [first, count, columnCount, pass, outerPass] = locals(f, 5);
      const [run] = locals(f, 1);
      const rowsAt = f.local("i32");
      /** Columns of one pass, and the rows packed for it. */
      const beginPass = () => {
        this.#emitFillColumns(f, scratch, pass, batchNumber, columnCount);
        if (this.#layout.sharedRows) {
          f.get(batchNumber).i32(this.#passes).op("i32.mul").get(pass);
          f.op("i32.add").set(outerPass);
          this.#emitSharedRows(f, frame, outerPass, first);
          f.set(rowsAt);
          return;
        }
        f.get(scratch).i32(scratchAt.rows).op("i32.add").set(rowsAt);
        f.get(frame).get(scratch).i32(scratchAt.rowTable).op("i32.add");
        f.get(scratch).i32(scratchAt.columnTable).op("i32.add");
        f.get(rowsAt).get(count).get(columnCount).call(this.#call.packRows);
      };
      f.block((done) => {
        f.get(start).get(end).op("i32.ge_s").brIf(done);
        f.loop((again) => {
          f.get(start).i32(panels).op("i32.rem_u").set(panel);
          f.get(start).i32(panels).op("i32.div_u").set(outer);
          f.get(outer).i32(this.#blocks).op("i32.rem_u").set(block);
          f.get(outer).i32(this.#blocks).op("i32.div_u").set(batchNumber);
          f.get(block).i32(blockRows).op("i32.mul").set(first);
          emitMinimum(f, m, first, blockRows, count);
          // Panels of this block that are ours.
          f.get(end).get(start).op("i32.sub").set(run);
          f.i32(panels).get(panel).op("i32.sub").get(run);
          f.i32(panels).get(panel).op("i32.sub").get(run).op("i32.lt_s");
          f.op("select").set(run);
          f.get(start).get(run).op("i32.add").set(start);
          this.#emitFillRows(f, scratch, first, count, batchNumber);
          if (this.#passes === 1) beginPass();
          this.#emitPanels(
            f,
            { scratch, panel, run, batchNumber, count, columnCount },
            { rowsAt, pass, beginPass },
          );
          f.get(start).get(end).op("i32.lt_s").brIf(again);
        });
      });
    });
    const operations = 2 * Math.min(m, blockRows) * 4 * tileQuads *
      Math.max(1, columns.extent);
    return {
      name: "multiply",
      items: lanes.side.extent === 0 ? 0 : batch.extent * this.#blocks * panels,
      grain: grainOf(operations),
    };
  }

  /** Runs of panels, whose sums are kept until all columns are through. */
  #emitPanels(
    f: Emitter,
    at: {
      scratch: Local;
      panel: Local;
      run: Local;
      batchNumber: Local;
      count: Local;
      columnCount: Local;
    },
    passes: { rowsAt: Local; pass: Local; beginPass: () => void },
  ): void {
    const { lanes, blockPanels, blockRows, tileQuads } = this.#layout;
    const n = lanes.side.extent;
    const tileLanes = 4 * tileQuads;
    const sumBytes = 4 * blockRows * tileLanes;
    const frame = f.params[0]!;
    const { scratch, panel, run, batchNumber, count, columnCount } = at;
    const [held, laneCount, index, sums, laneAt, valid] = locals(f, 6);
    const [columnAt] = locals(f, 1);
    const pushPass = () => {
      if (this.#passes === 1) f.i32(0);
      else f.get(passes.pass);
    };
    const begin = () => {
      f.get(scratch).i32(this.#scratch.sums).op("i32.add").set(sums);
      f.get(scratch).i32(this.#scratch.laneTable).op("i32.add").set(laneAt);
    };
    const advance = () => {
      f.get(sums).i32(sumBytes).op("i32.add").set(sums);
      f.get(laneAt).i32(4 * tileLanes).op("i32.add").set(laneAt);
    };
    f.loop((again) => {
      f.get(run).i32(blockPanels).get(run).i32(blockPanels).op("i32.lt_s");
      f.op("select").set(held);
      f.get(held).i32(tileLanes).op("i32.mul").set(laneCount);
      f.get(frame).get(scratch).i32(this.#scratch.laneTable).op("i32.add");
      f.get(panel).i32(tileLanes).op("i32.mul").get(laneCount);
      f.get(batchNumber).call(this.#call.fillLanes);
      const eachPanel = () => {
        begin();
        emitFor(f, index, held, 1, () => {
          f.get(scratch).i32(this.#scratch.columnTable).op("i32.add");
          f.set(columnAt);
          const packed = () => {
            f.get(frame).get(laneAt).get(columnAt);
            f.get(scratch).i32(this.#scratch.panel).op("i32.add");
            f.i32(tileLanes).get(columnCount).call(this.#call.packPanel);
            this.#emitTiles(f, sums, count, passes, (rows, tile) => {
              f.get(rows);
              f.get(scratch).i32(this.#scratch.panel).op("i32.add");
              f.get(columnCount).get(tile);
              pushPass();
              f.call(this.#call.multiply);
            });
          };
          const direct = () =>
            this.#emitTiles(f, sums, count, passes, (rows, tile) => {
              f.get(frame).get(laneAt).get(columnAt).get(rows).get(tile);
              f.get(columnCount);
              pushPass();
              f.call(this.#call.direct);
            });
          const code = operandCode(
            f,
            this.#helpers,
            this.#laneSource,
            frame,
            laneAt,
            columnAt,
          );
          if (this.#layout.direct && emitPlainPanel(code, tileQuads)) {
            f.if(direct, packed);
          } else packed();
          advance();
        });
      };
      if (this.#passes === 1) eachPanel();
      else {
        f.i32(0).set(passes.pass);
        f.loop((next) => {
          passes.beginPass();
          eachPanel();
          f.get(passes.pass).i32(1).op("i32.add").tee(passes.pass);
          f.i32(this.#passes).op("i32.lt_s").brIf(next);
        });
      }
      begin();
      emitFor(f, index, held, 1, () => {
        f.i32(n).get(panel).i32(tileLanes).op("i32.mul").op("i32.sub");
        f.set(valid).get(valid).i32(tileLanes);
        f.get(valid).i32(tileLanes).op("i32.lt_s").op("select").set(valid);
        f.get(frame).get(laneAt);
        f.get(scratch).i32(this.#scratch.rowTable).op("i32.add");
        f.get(sums).get(valid).get(count).call(this.#call.epilogue);
        f.get(panel).i32(1).op("i32.add").set(panel);
        advance();
      });
      f.get(run).get(held).op("i32.sub").tee(run).brIf(again);
    });
  }

  /** All tiles of one panel. */
  #emitTiles(
    f: Emitter,
    sums: Local,
    count: Local,
    { rowsAt }: { rowsAt: Local },
    multiply: (rows: Local, tile: Local) => void,
  ): void {
    const { tileRows, tileQuads } = this.#layout;
    const [row, rows, tile] = locals(f, 3);
    f.get(rowsAt).set(rows).get(sums).set(tile);
    emitFor(f, row, count, tileRows, () => {
      multiply(rows, tile);
      f.get(rows).i32(tileRows * this.#rowBytes).op("i32.add").set(rows);
      f.get(tile).i32(16 * tileQuads * tileRows).op("i32.add").set(tile);
    });
  }
}

type Emitter = Parameters<Parameters<ModuleBuilder["function"]>[3]>[0];

type LocalsOf<N extends number, T extends Local[] = []> = T["length"] extends N
  ? T
  : LocalsOf<N, [...T, Local]>;

function locals<N extends number>(f: Emitter, count: N): LocalsOf<N> {
  return Array.from({ length: count }, () => f.local("i32")) as LocalsOf<N>;
}

/** `result = min(step, total - first)`. */
function emitMinimum(
  f: Emitter,
  total: number,
  first: Local,
  step: number,
  result: Local,
): void {
  f.i32(total).get(first).op("i32.sub").set(result);
  f.i32(step).get(result).i32(step).get(result).op("i32.lt_s").op("select");
  f.set(result);
}

function grainOf(operations: number): number {
  return Math.max(1, Math.ceil(GRAIN_OPERATIONS / operations));
}
