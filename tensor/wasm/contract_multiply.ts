/**
 * The stage that multiplies: blocks of rows by runs of panels.
 *
 * @module
 */

import type { FunctionBuilder, Local } from "./assembler.ts";
import {
  type ContractCode,
  emitFillColumns,
  emitFillRows,
  emitMinimum,
  emitScratch,
  pushPartialSums,
  pushSharedPanel,
  pushSharedRows,
} from "./contract_code.ts";
import { emitFor } from "./contract_loops.ts";
import { operandCode } from "./contract_operand.ts";
import { emitPlainPanel } from "./contract_pack.ts";
import { type ContractStage, grainOf } from "./contract_stages.ts";
import { locals } from "./kernel_function.ts";

/** Items: (batch, part of the columns, block of rows, panel). */
export function emitMultiplyStage(code: ContractCode): ContractStage {
  const { module, layout, geometry } = code;
  const { batch, rows, lanes, columns, blockRows } = layout;
  const { parts, blocks, panels, tileLanes } = geometry;
  const name = "multiply";
  module.function(name, ["i32", "i32", "i32"], [], (f) => {
    new MultiplyCode(f, code).emit();
  });
  const operations = 2 * Math.min(rows.side.extent, blockRows) * tileLanes *
    Math.max(1, columns.extent / parts);
  const items = lanes.side.extent === 0
    ? 0
    : batch.extent * parts * blocks * panels;
  return { name, items, grain: grainOf(operations / 40) };
}

class MultiplyCode {
  readonly #f: FunctionBuilder;
  readonly #code: ContractCode;
  readonly #frame: Local;
  readonly #scratch: Local;
  /** The item that comes next. */
  readonly #item: Local;
  /** Its panel, and how many of this block are left to do. */
  readonly #panel: Local;
  readonly #run: Local;
  readonly #batchNumber: Local;
  /** The block's first row, and its rows. */
  readonly #first: Local;
  readonly #rowCount: Local;
  /** The pass, its columns, where its rows and their table lie. */
  readonly #pass: Local;
  readonly #firstPass: Local;
  readonly #columnCount: Local;
  readonly #rows: Local;
  readonly #columnTable: Local;
  /** What stands for a panel: its sums, its lanes in the table. */
  readonly #sums: Local;
  readonly #lanes: Local;

  constructor(f: FunctionBuilder, code: ContractCode) {
    this.#f = f;
    this.#code = code;
    this.#frame = f.params[0]!;
    this.#scratch = emitScratch(f, code);
    [this.#panel, this.#run, this.#batchNumber] = locals(f, "i32", 3);
    [this.#first, this.#rowCount] = locals(f, "i32", 2);
    [this.#item, this.#firstPass] = locals(f, "i32", 2);
    [this.#pass, this.#columnCount, this.#rows] = locals(f, "i32", 3);
    [this.#columnTable, this.#sums, this.#lanes] = locals(f, "i32", 3);
  }

  emit(): void {
    const f = this.#f;
    const [, start, end] = f.params as [Local, Local, Local];
    const { layout, geometry } = this.#code;
    const { panels, blocks, parts } = geometry;
    const { blockRows, rows, passes, partPasses } = layout;
    const outer = f.local("i32");
    this.#pushOwn(geometry.own.columnTable);
    f.set(this.#columnTable);
    f.get(start).get(end).op("i32.lt_s").if(() => {
      f.loop((again) => {
        f.get(start).i32(panels).op("i32.rem_u").set(this.#panel);
        f.get(start).i32(panels).op("i32.div_u").set(outer);
        f.get(outer).i32(blocks).op("i32.rem_u");
        f.i32(blockRows).op("i32.mul").set(this.#first);
        f.get(outer).i32(blocks).op("i32.div_u").tee(outer);
        f.i32(parts).op("i32.rem_u").i32(partPasses).op("i32.mul");
        f.set(this.#firstPass);
        f.get(outer).i32(parts).op("i32.div_u").set(this.#batchNumber);
        emitMinimum(
          f,
          rows.side.extent,
          this.#first,
          blockRows,
          this.#rowCount,
        );
        // The panels of this block that are among the items.
        const rest = f.local("i32");
        f.i32(panels).get(this.#panel).op("i32.sub").set(rest);
        f.get(end).get(start).op("i32.sub").set(this.#run);
        f.get(rest).get(this.#run);
        f.get(rest).get(this.#run).op("i32.lt_s").op("select");
        f.set(this.#run);
        f.get(start).set(this.#item);
        f.get(start).get(this.#run).op("i32.add").set(start);
        emitFillRows(
          f,
          this.#code,
          this.#scratch,
          this.#first,
          this.#rowCount,
          this.#batchNumber,
        );
        if (passes === 1) this.#emitBeginPass();
        f.loop((next) => {
          this.#emitPanels();
          f.get(this.#run).brIf(next);
        });
        f.get(start).get(end).op("i32.lt_s").brIf(again);
      });
    });
  }

  #pushOwn(offset: number): void {
    this.#f.get(this.#scratch).i32(offset).op("i32.add");
  }

  /** The columns of a pass, and the rows packed for it. */
  #emitBeginPass(): void {
    const f = this.#f;
    const code = this.#code;
    emitFillColumns(
      f,
      code,
      this.#scratch,
      this.#pass,
      this.#batchNumber,
      this.#columnCount,
    );
    if (code.layout.sharedRows) {
      pushSharedRows(f, code, this.#emitGo(), this.#first);
      f.set(this.#rows);
      return;
    }
    const { rows, rowTable } = code.geometry.own;
    this.#pushOwn(rows);
    f.set(this.#rows);
    f.get(this.#frame);
    this.#pushOwn(rowTable);
    f.get(this.#columnTable).get(this.#rows).get(this.#rowCount);
    f.get(this.#columnCount).call(code.calls.packRows);
  }

  /** Leaves the number of (batch, pass) in a local. */
  #emitGo(): Local {
    const f = this.#f;
    const go = f.local("i32");
    f.get(this.#batchNumber).i32(this.#code.layout.passes).op("i32.mul");
    f.get(this.#pass).op("i32.add").set(go);
    return go;
  }

  /** Some panels, whose sums are kept until all columns are through. */
  #emitPanels(): void {
    const f = this.#f;
    const { layout, geometry, calls } = this.#code;
    const { tileLanes } = geometry;
    const { blockPanels, passes, partPasses } = layout;
    const [held, endPass] = locals(f, "i32", 2);
    const run = this.#run;
    f.get(run).i32(blockPanels).get(run).i32(blockPanels).op("i32.lt_s");
    f.op("select").set(held);
    f.get(this.#frame);
    this.#pushOwn(geometry.own.laneTable);
    f.get(this.#panel).i32(tileLanes).op("i32.mul");
    f.get(held).i32(tileLanes).op("i32.mul");
    f.get(this.#batchNumber).call(calls.fillLanes);
    if (passes === 1) this.#emitGroups(held);
    else {
      emitMinimum(f, passes, this.#firstPass, partPasses, endPass);
      f.get(endPass).get(this.#firstPass).op("i32.add").set(endPass);
      f.get(this.#firstPass).set(this.#pass);
      f.loop((next) => {
        this.#emitBeginPass();
        this.#emitGroups(held);
        f.get(this.#pass).i32(1).op("i32.add").tee(this.#pass);
        f.get(endPass).op("i32.lt_s").brIf(next);
      });
    }
    if (geometry.parts === 1) this.#emitEpilogues(held);
    f.get(this.#panel).get(held).op("i32.add").set(this.#panel);
    f.get(this.#item).get(held).op("i32.add").set(this.#item);
    f.get(run).get(held).op("i32.sub").set(run);
  }

  #emitBegin(): void {
    const { own, parts } = this.#code.geometry;
    if (parts === 1) this.#pushOwn(own.sums);
    else pushPartialSums(this.#f, this.#code, this.#item);
    this.#f.set(this.#sums);
    this.#pushOwn(own.laneTable);
    this.#f.set(this.#lanes);
  }

  #emitAdvance(): void {
    const f = this.#f;
    const { sumBytes, tileLanes } = this.#code.geometry;
    f.get(this.#sums).i32(sumBytes).op("i32.add").set(this.#sums);
    f.get(this.#lanes).i32(4 * tileLanes).op("i32.add").set(this.#lanes);
  }

  /** One pass over the panels that are held, a group at a time. */
  #emitGroups(held: Local): void {
    const f = this.#f;
    const { layout, geometry, calls } = this.#code;
    const { groupPanels, sharedLanes } = layout;
    const [first, inner, count, panelAt] = locals(f, "i32", 4);
    this.#emitBegin();
    if (sharedLanes) {
      pushSharedPanel(f, this.#code, this.#emitGo(), this.#panel);
      f.set(panelAt);
      emitFor(f, first, held, 1, () => {
        this.#emitTiles(panelAt);
        f.get(panelAt).i32(geometry.panelBytes).op("i32.add").set(panelAt);
        this.#emitAdvance();
      });
      return;
    }
    emitFor(f, first, held, groupPanels, () => {
      f.get(held).get(first).op("i32.sub").set(count);
      f.get(count).i32(groupPanels);
      f.get(count).i32(groupPanels).op("i32.lt_s").op("select").set(count);
      this.#pushOwn(geometry.own.panels);
      f.set(panelAt);
      const pack = () => {
        f.get(this.#frame).get(this.#lanes).get(this.#columnTable);
        f.get(panelAt).get(count).get(this.#columnCount);
        f.call(calls.packPanels);
        emitFor(f, inner, count, 1, () => {
          this.#emitTiles(panelAt);
          f.get(panelAt).i32(geometry.panelBytes).op("i32.add").set(panelAt);
          this.#emitAdvance();
        });
      };
      // A group is one panel where some are not packed.
      if (calls.direct && this.#emitIsPlain()) {
        f.if(() => {
          this.#emitTiles(undefined);
          this.#emitAdvance();
        }, pack);
      } else pack();
    });
  }

  #emitIsPlain(): boolean {
    const { helpers, laneSource, layout } = this.#code;
    const code = operandCode(
      this.#f,
      helpers,
      laneSource,
      this.#frame,
      this.#lanes,
      this.#columnTable,
    );
    return emitPlainPanel(code, layout.tileQuads);
  }

  /** All rows by one panel: packed, or as it is. */
  #emitTiles(panelAt: Local | undefined): void {
    const f = this.#f;
    const { layout, geometry, calls } = this.#code;
    const { tileRows, tileQuads } = layout;
    const [row, rows, tile] = locals(f, "i32", 3);
    f.get(this.#rows).set(rows).get(this.#sums).set(tile);
    emitFor(f, row, this.#rowCount, tileRows, () => {
      if (panelAt) f.get(rows).get(panelAt).get(this.#columnCount).get(tile);
      else {
        f.get(this.#frame).get(this.#lanes).get(this.#columnTable);
        f.get(rows).get(tile).get(this.#columnCount);
      }
      // Later passes add to what is there.
      if (layout.passes === 1) f.i32(0);
      else f.get(this.#pass).get(this.#firstPass).op("i32.sub");
      if (panelAt) f.i32(geometry.rowBytes).call(calls.multiply);
      else f.call(calls.direct!);
      f.get(rows).i32(tileRows * geometry.rowBytes).op("i32.add").set(rows);
      f.get(tile).i32(16 * tileQuads * tileRows).op("i32.add").set(tile);
    });
  }

  #emitEpilogues(held: Local): void {
    const f = this.#f;
    const { layout, geometry, calls } = this.#code;
    const { tileLanes } = geometry;
    const [at, lane, valid] = locals(f, "i32", 3);
    f.get(this.#panel).i32(tileLanes).op("i32.mul").set(lane);
    this.#emitBegin();
    emitFor(f, at, held, 1, () => {
      emitMinimum(f, layout.lanes.side.extent, lane, tileLanes, valid);
      f.get(this.#frame).get(this.#lanes);
      this.#pushOwn(geometry.own.rowTable);
      f.get(this.#sums).get(valid).get(this.#rowCount).call(calls.epilogue);
      f.get(lane).i32(tileLanes).op("i32.add").set(lane);
      this.#emitAdvance();
    });
  }
}
