/**
 * The stages that prepare a matrix product for all threads: padded copies,
 * packed rows, packed panels.
 *
 * @module
 */

import type { LoopKernel } from "../kernel/kernel.ts";
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
import { locals } from "./kernel_function.ts";
import { emitLoopFunction } from "./loop_kernel.ts";

/** A function `(frame, start, end)` of the module, and how it is split. */
export interface ContractStage {
  /** Name of the export. */
  readonly name: string;
  /** Items to do, each on its own. */
  readonly items: number;
  /** Threads take runs of items that are multiples of this. */
  readonly grain: number;
}

/** Rows that one item packs. */
const PACK_ROWS = 16;

/** Work that is worth another thread. */
const GRAIN_NS = 10_000;

/** Items that are worth another thread if each takes so long. */
export function grainOf(itemNs: number): number {
  return Math.max(1, Math.ceil(GRAIN_NS / Math.max(1, itemNs)));
}

/** Writes a padded copy. */
export function emitCopyStage(
  { module, helpers, geometry }: ContractCode,
  copy: LoopKernel,
  position: number,
): ContractStage {
  const name = `pad${position}`;
  const { callable, items, cost } = emitLoopFunction(module, helpers, copy, {
    addressParams: [copy.buffers.length - 1],
  });
  module.function(name, ["i32", "i32", "i32"], [], (f) => {
    const [frame, start, end] = f.params;
    f.get(frame!).get(start!).get(end!);
    f.get(frame!).memory("i32.load", geometry.frameOffset).call(callable);
  });
  return { name, items, grain: grainOf(cost / items) };
}

/** Packs all rows. Items: (batch, pass, group of rows). */
export function emitRowStage(code: ContractCode): ContractStage {
  const { rows, blockColumns } = code.layout;
  const { geometry, calls } = code;
  const m = rows.side.extent;
  const itemNs = PACK_ROWS * blockColumns * 0.3;
  return emitPackStage(
    code,
    "packRows",
    Math.ceil(m / PACK_ROWS),
    itemNs,
    (f, { scratch, group, go, batchNumber, columnCount }) => {
      const [first, count] = locals(f, "i32", 2);
      f.get(group).i32(PACK_ROWS).op("i32.mul").set(first);
      emitMinimum(f, m, first, PACK_ROWS, count);
      emitFillRows(f, code, scratch, first, count, batchNumber);
      f.get(f.params[0]!);
      f.get(scratch).i32(geometry.own.rowTable).op("i32.add");
      f.get(scratch).i32(geometry.own.columnTable).op("i32.add");
      pushSharedRows(f, code, go, first);
      f.get(count).get(columnCount).call(calls.packRows);
    },
  );
}

/** Packs all panels. Items: (batch, pass, group of panels). */
export function emitLaneStage(code: ContractCode): ContractStage {
  const { geometry, calls } = code;
  const { groupPanels, blockColumns } = code.layout;
  const { panels, tileLanes } = geometry;
  const itemNs = groupPanels * tileLanes * blockColumns * 0.3;
  return emitPackStage(
    code,
    "packLanes",
    Math.ceil(panels / groupPanels),
    itemNs,
    (f, { scratch, group, go, batchNumber, columnCount }) => {
      const [panel, count] = locals(f, "i32", 2);
      f.get(group).i32(groupPanels).op("i32.mul").set(panel);
      emitMinimum(f, panels, panel, groupPanels, count);
      f.get(f.params[0]!);
      f.get(scratch).i32(geometry.own.laneTable).op("i32.add");
      f.get(panel).i32(tileLanes).op("i32.mul");
      f.get(count).i32(tileLanes).op("i32.mul");
      f.get(batchNumber).call(calls.fillLanes);
      f.get(f.params[0]!);
      f.get(scratch).i32(geometry.own.laneTable).op("i32.add");
      f.get(scratch).i32(geometry.own.columnTable).op("i32.add");
      pushSharedPanel(f, code, go, panel);
      f.get(count).get(columnCount).call(calls.packPanels);
    },
  );
}

/** Where an item of a packing stage is. */
interface PackItem {
  readonly scratch: Local;
  readonly group: Local;
  readonly go: Local;
  readonly batchNumber: Local;
  readonly columnCount: Local;
}

function emitPackStage(
  code: ContractCode,
  name: string,
  groups: number,
  itemNs: number,
  body: (f: FunctionBuilder, item: PackItem) => void,
): ContractStage {
  const { module, layout } = code;
  module.function(name, ["i32", "i32", "i32"], [], (f) => {
    const [, start, end] = f.params as [Local, Local, Local];
    const scratch = emitScratch(f, code);
    const [group, go, pass, batchNumber] = locals(f, "i32", 4);
    const [columnCount, last] = locals(f, "i32", 2);
    f.i32(-1).set(last);
    f.get(start).get(end).op("i32.lt_s").if(() => {
      f.loop((again) => {
        f.get(start).i32(groups).op("i32.rem_u").set(group);
        f.get(start).i32(groups).op("i32.div_u").set(go);
        f.get(go).i32(layout.passes).op("i32.rem_u").set(pass);
        f.get(go).i32(layout.passes).op("i32.div_u").set(batchNumber);
        f.get(go).get(last).op("i32.ne").if(() => {
          emitFillColumns(f, code, scratch, pass, batchNumber, columnCount);
          f.get(go).set(last);
        });
        body(f, { scratch, group, go, batchNumber, columnCount });
        f.get(start).i32(1).op("i32.add").tee(start);
        f.get(end).op("i32.lt_s").brIf(again);
      });
    });
  });
  const items = layout.batch.extent * layout.passes * groups;
  return { name, items, grain: grainOf(itemNs) };
}

/** Adds up partial sums and stores them. Items: (batch, block, panel). */
export function emitCombineStage(code: ContractCode): ContractStage {
  const { module, layout, geometry, calls } = code;
  const { batch, rows, lanes, blockRows } = layout;
  const { blocks, panels, parts, tileLanes, sumBytes, own } = geometry;
  const name = "combine";
  module.function(name, ["i32", "i32", "i32"], [], (f) => {
    const [frame, start, end] = f.params as [Local, Local, Local];
    const scratch = emitScratch(f, code);
    const [panel, outer, batchNumber, first, count] = locals(f, "i32", 5);
    const [item, from, to, left, lane, valid] = locals(f, "i32", 6);
    f.get(start).get(end).op("i32.lt_s").if(() => {
      f.loop((again) => {
        f.get(start).i32(panels).op("i32.rem_u").set(panel);
        f.get(start).i32(panels).op("i32.div_u").set(outer);
        f.get(outer).i32(blocks).op("i32.div_u").set(batchNumber);
        f.get(outer).i32(blocks).op("i32.rem_u");
        f.i32(blockRows).op("i32.mul").set(first);
        emitMinimum(f, rows.side.extent, first, blockRows, count);
        // Part 0 of this batch: the others lie blocks * panels behind it.
        f.get(batchNumber).i32((parts - 1) * blocks * panels).op("i32.mul");
        f.get(start).op("i32.add").set(item);
        pushPartialSums(f, code, item);
        f.set(from).get(scratch).i32(own.sums).op("i32.add").set(to);
        f.i32(sumBytes / 16).set(left);
        f.loop((next) => {
          f.get(to);
          for (let part = 0; part < parts; part++) {
            const offset = part * blocks * panels * sumBytes;
            f.get(from).memory("v128.load", offset);
            if (part > 0) f.op("f32x4.add");
          }
          f.memory("v128.store");
          f.get(from).i32(16).op("i32.add").set(from);
          f.get(to).i32(16).op("i32.add").set(to);
          f.get(left).i32(1).op("i32.sub").tee(left).brIf(next);
        });
        emitFillRows(f, code, scratch, first, count, batchNumber);
        f.get(panel).i32(tileLanes).op("i32.mul").set(lane);
        emitMinimum(f, lanes.side.extent, lane, tileLanes, valid);
        f.get(frame).get(scratch).i32(own.laneTable).op("i32.add");
        f.get(lane).i32(tileLanes).get(batchNumber).call(calls.fillLanes);
        f.get(frame).get(scratch).i32(own.laneTable).op("i32.add");
        f.get(scratch).i32(own.rowTable).op("i32.add");
        f.get(scratch).i32(own.sums).op("i32.add");
        f.get(valid).get(count).call(calls.epilogue);
        f.get(start).i32(1).op("i32.add").tee(start);
        f.get(end).op("i32.lt_s").brIf(again);
      });
    });
  });
  const items = batch.extent * blocks * panels;
  return { name, items, grain: grainOf(parts * sumBytes / 16) };
}
