/**
 * The gradients of attention as WebAssembly functions. An item is a run of key
 * blocks, which goes through the queries block by block and computes their
 * weights again. Its gradients by key and value are whole; what it adds to those
 * by the queries is summed over the runs by a second stage, in their order.
 *
 * @module
 */

import type { AttentionGradientKernel } from "../kernel/attention.ts";
import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";
import {
  BLOCK,
  blockOf,
  emitItems,
  emitMask,
  emitProduct,
  emitRest,
  emitTranspose,
  isMasked,
  pushBuffer,
  pushMaskStart,
  pushNeedsMask,
  roundUp,
  TILE_LANES,
  TILE_ROWS,
} from "./attention_code.ts";
import { emitFor, emitSteps } from "./contract_loops.ts";
import { type ContractStage, grainOf } from "./contract_stages.ts";
import { locals } from "./kernel_function.ts";
import { emitExpBelow, type Target } from "./math.ts";
import { emitPartialStore } from "./scan_kernel.ts";

/** Items that there should be, to be shared by threads. */
const ITEMS = 8;

/** What a module holds. */
export interface AttentionGradientStages {
  readonly stages: readonly ContractStage[];
  readonly sharedScratchBytes: number;
  readonly threadScratchBytes: number;
}

/** Adds the stages. */
export function emitAttentionGradient(
  module: ModuleBuilder,
  kernel: AttentionGradientKernel,
  target: Target,
): AttentionGradientStages {
  const thread = module.importFunction("env", "thread", [], ["i32"]);
  const code = new GradientCode(module, kernel, target);
  module.function("gradient", ["i32", "i32", "i32"], [], (f) => {
    code.emitGradient(f, thread);
  });
  module.function("sum", ["i32", "i32", "i32"], [], (f) => code.emitSum(f));
  const { batch, queries, keys, dim, features } = kernel;
  const { runs, runKeys, block, partBytes } = code;
  const products = 3 * dim + 2 * features;
  const runNs = Math.min(runKeys, keys) * queries * (products / 12 + 1);
  return {
    stages: [
      { name: "gradient", items: batch * runs, grain: grainOf(runNs) },
      {
        name: "sum",
        items: batch * Math.ceil(queries / block),
        grain: grainOf(block * dim * runs / 8),
      },
    ],
    sharedScratchBytes: batch * runs * partBytes,
    threadScratchBytes: code.places.bytes,
  };
}

/** Offsets in the scratch memory of a thread. */
interface Places {
  /** Panels of the block's keys and values. */
  readonly keys: number;
  readonly values: number;
  /** Weights, and the gradients by the scores, `[query][key]`. */
  readonly weights: number;
  readonly slopes: number;
  /** Gradients by the block's keys and values. */
  readonly keySums: number;
  readonly valueSums: number;
  readonly bytes: number;
}

class GradientCode {
  readonly kernel: AttentionGradientKernel;
  /** Queries of a block. */
  readonly block: number;
  /** Keys of a block, and of a run of blocks. */
  readonly keyBlock: number;
  readonly runKeys: number;
  /** Runs of keys in a problem. */
  readonly runs: number;
  /** Bytes that a run adds to the gradients by the queries. */
  readonly partBytes: number;
  /** Bytes of a row of sums by queries or keys, and by values. */
  readonly dimBytes: number;
  readonly featureBytes: number;
  readonly places: Places;
  readonly #target: Target;
  readonly #transposeKeys: Callable;
  readonly #transposeValues: Callable;
  readonly #scores: Callable;
  readonly #slopes: Callable;
  readonly #addQueries: Callable;
  readonly #addKeys: Callable;
  readonly #addValues: Callable;
  readonly #weigh: Callable;
  readonly #storeScaled: Callable;
  readonly #storeValues: Callable;

  constructor(
    module: ModuleBuilder,
    kernel: AttentionGradientKernel,
    target: Target,
  ) {
    const { batch, queries, keys, dim, features, scale } = kernel;
    this.kernel = kernel;
    this.#target = target;
    this.block = Math.min(BLOCK, roundUp(queries, TILE_ROWS));
    this.keyBlock = blockOf(keys);
    const blocks = Math.ceil(keys / this.keyBlock);
    const wanted = Math.min(blocks, Math.ceil(ITEMS / batch));
    this.runKeys = Math.ceil(blocks / wanted) * this.keyBlock;
    this.runs = Math.ceil(keys / this.runKeys);
    this.dimBytes = 4 * roundUp(dim, TILE_LANES);
    this.featureBytes = 4 * roundUp(features, TILE_LANES);
    this.partBytes = roundUp(queries, TILE_ROWS) * this.dimBytes;
    const rowBytes = 4 * this.keyBlock;
    const sumRows = roundUp(this.keyBlock, TILE_ROWS);
    const values = rowBytes * dim;
    const weights = values + rowBytes * features;
    // A tile of keys reads past the last row.
    const slopes = weights + rowBytes * this.block + 64;
    const keySums = slopes + rowBytes * this.block + 64;
    const valueSums = keySums + sumRows * this.dimBytes;
    const bytes = roundUp(valueSums + sumRows * this.featureBytes, 64);
    this.places = {
      keys: 0,
      values,
      weights,
      slopes,
      keySums,
      valueSums,
      bytes,
    };
    this.#transposeKeys = emitTranspose(module, dim, scale);
    this.#transposeValues = emitTranspose(module, features, 1);
    const againstPanels = (width: number) =>
      emitProduct(module, {
        rowBytes: 4 * width,
        stepBytes: 4,
        panelBytes: 4 * TILE_LANES * width,
        columnBytes: 4 * TILE_LANES,
        outBytes: rowBytes,
        lastRows: queries % this.block % TILE_ROWS,
      }, target);
    this.#scores = againstPanels(dim);
    this.#slopes = againstPanels(features);
    const againstRows = (width: number, rowBytes: number, stepBytes: number) =>
      emitProduct(module, {
        rowBytes,
        stepBytes,
        panelBytes: 4 * TILE_LANES,
        columnBytes: 4 * width,
        outBytes: 4 * roundUp(width, TILE_LANES),
      }, target);
    this.#addQueries = againstRows(dim, rowBytes, 4);
    this.#addKeys = againstRows(dim, 4, rowBytes);
    this.#addValues = againstRows(features, 4, rowBytes);
    this.#weigh = this.#emitWeigh(module);
    this.#storeScaled = emitStoreRows(module, dim, scale);
    this.#storeValues = emitStoreRows(module, features, 1);
  }

  /** Pushes where a run's part of the gradients by the queries is. */
  #pushPart(f: FunctionBuilder, frame: Local, run: Local): void {
    pushBuffer(f, frame, this.kernel.buffers.length);
    f.get(run).i32(this.partBytes).op("i32.mul").op("i32.add");
  }

  /** Items: (batch, run of keys). */
  emitGradient(f: FunctionBuilder, thread: Callable): void {
    const { kernel, places, keyBlock, runKeys, runs, block } = this;
    const { queries, keys, dim, features, causalOffset, buffers } = kernel;
    const outputs = buffers.length - 3;
    const [frame, item, end] = f.params as [Local, Local, Local];
    const [scratch, batch, key, keyEnd, count] = locals(f, "i32", 5);
    const [panels, query, queryEnd, rows, row] = locals(f, "i32", 5);
    const [keyRow, needsMask] = locals(f, "i32", 2);
    const pushScratch = (offset: number) => {
      f.get(scratch).i32(offset).op("i32.add");
    };
    const pushRows = (slot: number, row: Local, width: number) => {
      pushBuffer(f, frame, slot).get(row).i32(4 * width);
      f.op("i32.mul").op("i32.add");
    };
    pushBuffer(f, frame, buffers.length + 1).call(thread).i32(places.bytes);
    f.op("i32.mul").op("i32.add").set(scratch);
    f.i32(queries).set(queryEnd);
    emitItems(f, item, end, () => {
      f.get(item).i32(runs).op("i32.div_u").set(batch);
      f.get(item).i32(runs).op("i32.rem_u").i32(runKeys).op("i32.mul").set(key);
      emitRest(f, keys, key, runKeys, keyEnd);
      f.get(keyEnd).get(key).op("i32.add").set(keyEnd);
      this.#pushPart(f, frame, item);
      f.i32(0).i32(this.partBytes).memoryFill();
      emitSteps(f, key, keyEnd, keyBlock, () => {
        emitRest(f, keys, key, keyBlock, count);
        f.get(count).i32(TILE_LANES - 1).op("i32.add").i32(TILE_LANES);
        f.op("i32.div_u").set(panels);
        f.get(batch).i32(keys).op("i32.mul").get(key).op("i32.add").set(keyRow);
        pushRows(1, keyRow, dim);
        f.get(count);
        pushScratch(places.keys);
        f.call(this.#transposeKeys);
        pushRows(2, keyRow, features);
        f.get(count);
        pushScratch(places.values);
        f.call(this.#transposeValues);
        pushScratch(places.keySums);
        f.i32(0).i32(places.bytes - places.keySums).memoryFill();
        f.i32(0).set(query);
        if (causalOffset !== null) {
          // The block of the first query that sees any of these keys.
          f.get(key).i32(causalOffset).op("i32.sub").tee(query).i32(0);
          f.get(query).i32(0).op("i32.gt_s").op("select");
          f.i32(block).op("i32.div_u").i32(block).op("i32.mul").set(query);
        }
        emitSteps(f, query, queryEnd, block, () => {
          emitRest(f, queries, query, block, rows);
          f.get(batch).i32(queries).op("i32.mul").get(query).op("i32.add");
          f.set(row);
          pushRows(0, row, dim);
          pushScratch(places.keys);
          f.i32(dim);
          pushScratch(places.weights);
          f.get(rows).get(panels).i32(0).call(this.#scores);
          pushRows(3, row, features);
          pushScratch(places.values);
          f.i32(features);
          pushScratch(places.slopes);
          f.get(rows).get(panels).i32(0).call(this.#slopes);
          f.i32(0).set(needsMask);
          if (isMasked(kernel)) {
            pushNeedsMask(f, kernel, query, key, count);
            f.set(needsMask);
          }
          f.get(frame).get(scratch).get(batch).get(query).get(rows).get(key);
          f.get(panels).get(needsMask).call(this.#weigh);
          pushScratch(places.weights);
          pushRows(3, row, features);
          f.get(rows);
          pushScratch(places.valueSums);
          f.get(count).i32(Math.ceil(features / TILE_LANES)).i32(1);
          f.call(this.#addValues);
          pushScratch(places.slopes);
          pushRows(0, row, dim);
          f.get(rows);
          pushScratch(places.keySums);
          f.get(count).i32(Math.ceil(dim / TILE_LANES)).i32(1);
          f.call(this.#addKeys);
          pushScratch(places.slopes);
          pushRows(1, keyRow, dim);
          f.get(count);
          this.#pushPart(f, frame, item);
          f.get(query).i32(this.dimBytes).op("i32.mul").op("i32.add");
          f.get(rows).i32(Math.ceil(dim / TILE_LANES)).i32(1);
          f.call(this.#addQueries);
        });
        pushScratch(places.keySums);
        pushRows(outputs + 1, keyRow, dim);
        f.get(count).call(this.#storeScaled);
        pushScratch(places.valueSums);
        pushRows(outputs + 2, keyRow, features);
        f.get(count).call(this.#storeValues);
      });
    });
  }

  /** Items: (batch, block of queries). */
  emitSum(f: FunctionBuilder): void {
    const { block, runs, partBytes, dimBytes } = this;
    const { queries, dim, buffers } = this.kernel;
    const blocks = Math.ceil(queries / block);
    const [frame, item, end] = f.params as [Local, Local, Local];
    const [batch, first, rows, part] = locals(f, "i32", 4);
    const [from, at, limit] = locals(f, "i32", 3);
    emitItems(f, item, end, () => {
      f.get(item).i32(blocks).op("i32.div_u").set(batch);
      f.get(item).i32(blocks).op("i32.rem_u").i32(block).op("i32.mul");
      f.set(first);
      emitRest(f, queries, first, block, rows);
      f.get(batch).i32(runs).op("i32.mul").set(part);
      this.#pushPart(f, frame, part);
      f.get(first).i32(dimBytes).op("i32.mul").op("i32.add").set(from);
      if (runs > 1) {
        f.get(rows).i32(dimBytes).op("i32.mul").set(limit);
        emitFor(f, at, limit, 16, () => {
          f.get(from).get(at).op("i32.add").tee(part);
          f.get(part).memory("v128.load");
          for (let run = 1; run < runs; run++) {
            f.get(part).i32(run * partBytes).op("i32.add").memory("v128.load");
            f.op("f32x4.add");
          }
          f.memory("v128.store");
        });
      }
      f.get(from);
      pushBuffer(f, frame, buffers.length - 3);
      f.get(batch).i32(queries).op("i32.mul").get(first).op("i32.add");
      f.i32(4 * dim).op("i32.mul").op("i32.add");
      f.get(rows).call(this.#storeScaled);
    });
  }

  /**
   * `(frame, scratch, batch, query, rows, key, panels, needsMask)`: scores become
   * weights, and slopes of weights those of scores.
   */
  #emitWeigh(module: ModuleBuilder): Callable {
    const { kernel, places, keyBlock } = this;
    const { queries, causalOffset, masks } = kernel;
    const rowBytes = 4 * keyBlock;
    const params = [
      "i32",
      "i32",
      "i32",
      "i32",
      "i32",
      "i32",
      "i32",
      "i32",
    ] as const;
    return module.function(undefined, params, [], (f) => {
      const [frame, scratch, batch, query, rows, key, panels, needsMask] = f
        .params as [Local, Local, Local, Local, Local, Local, Local, Local];
      const [at, quad, logSum, delta] = locals(f, "i32", 4);
      const [score, weight, forbidden, values] = locals(f, "v128", 4);
      const [sum, along, last] = locals(f, "v128", 3);
      const pointers = masks.map(() => f.local("i32"));
      const starts = masks.map(() => f.local("i32"));
      masks.forEach((mask, which) => {
        pushMaskStart(f, frame, mask, batch);
        f.get(query).i32(4 * mask.queryStride).op("i32.mul").op("i32.add");
        f.get(key).i32(4 * mask.keyStride).op("i32.mul").op("i32.add");
        f.set(starts[which]!);
      });
      for (const [slot, pointer] of [[4, logSum], [5, delta]] as const) {
        pushBuffer(f, frame, slot);
        f.get(batch).i32(queries).op("i32.mul").get(query).op("i32.add");
        f.i32(4).op("i32.mul").op("i32.add").set(pointer);
      }
      const eachQuad = (body: (push: () => void) => void) => {
        f.get(scratch).i32(places.weights).op("i32.add").set(at);
        f.get(panels).i32(2).op("i32.mul").set(quad);
        f.loop((next) => {
          f.get(at).memory("v128.load").set(score);
          body(() => {
            f.get(score).get(sum).op("f32x4.sub").set(score);
            emitExpBelow(f, score, this.#target);
          });
          f.set(weight);
          f.get(at).get(weight).memory("v128.store");
          const apart = places.slopes - places.weights;
          f.get(at).get(at).memory("v128.load", apart).get(along);
          f.op("f32x4.sub").get(weight).op("f32x4.mul");
          f.memory("v128.store", apart);
          f.get(at).i32(16).op("i32.add").set(at);
          f.get(quad).i32(1).op("i32.sub").tee(quad).brIf(next);
        });
      };
      const masked = () => {
        masks.forEach((_, which) => {
          f.get(starts[which]!).set(pointers[which]!);
        });
        if (causalOffset !== null) {
          // How far behind the last key that the query sees each key is.
          const offset = causalOffset;
          f.v128(offset, offset - 1, offset - 2, offset - 3).get(query);
          f.get(key).op("i32.sub").op("i32x4.splat").op("i32x4.add").set(last);
        }
        eachQuad((pushWeight) => {
          f.v128(0, 0, 0, 0).set(forbidden);
          masks.forEach((mask, which) => {
            const pointer = pointers[which]!;
            const { keyStride } = mask;
            f.get(pointer);
            f.memory(keyStride === 0 ? "v128.load32_splat" : "v128.load");
            f.set(values);
            emitMask(f, kernel, mask, values, score, forbidden);
            f.get(pointer).i32(16 * keyStride).op("i32.add").set(pointer);
          });
          if (causalOffset !== null) {
            f.get(last).i32x4(0).op("i32x4.lt_s").get(forbidden);
            f.op("v128.or").set(forbidden);
            f.get(last).i32x4(4).op("i32x4.sub").set(last);
          }
          pushWeight();
          f.get(forbidden).op("v128.andnot");
        });
      };
      f.loop((again) => {
        f.get(logSum).memory("v128.load32_splat").set(sum);
        f.get(delta).memory("v128.load32_splat").set(along);
        const plain = () => eachQuad((pushWeight) => pushWeight());
        if (isMasked(kernel)) f.get(needsMask).if(masked, plain);
        else plain();
        for (const pointer of [logSum, delta]) {
          f.get(pointer).i32(4).op("i32.add").set(pointer);
        }
        masks.forEach(({ queryStride }, which) => {
          const start = starts[which]!;
          f.get(start).i32(4 * queryStride).op("i32.add").set(start);
        });
        f.get(scratch).i32(rowBytes).op("i32.add").set(scratch);
        f.get(query).i32(1).op("i32.add").set(query);
        f.get(rows).i32(1).op("i32.sub").tee(rows).brIf(again);
      });
    });
  }
}

/**
 * Adds the function `(from, to, count)`: rows of padded vectors times a scale,
 * stored as rows of `width` numbers.
 */
function emitStoreRows(
  module: ModuleBuilder,
  width: number,
  scale: number,
): Callable {
  return module.function(undefined, ["i32", "i32", "i32"], [], (f) => {
    const [from, to, count] = f.params as [Local, Local, Local];
    const [at, limit] = locals(f, "i32", 2);
    const whole = 16 * Math.floor(width / 4);
    f.i32(whole).set(limit);
    f.loop((next) => {
      emitFor(f, at, limit, 16, () => {
        f.get(to).get(at).op("i32.add").get(from).get(at).op("i32.add");
        f.memory("v128.load").f32x4(scale).op("f32x4.mul");
        f.memory("v128.store");
      });
      if (width % 4 > 0) {
        f.get(to).i32(whole).op("i32.add");
        f.get(from).memory("v128.load", whole).f32x4(scale).op("f32x4.mul");
        emitPartialStore(f, width % 4);
      }
      f.get(from).i32(4 * roundUp(width, TILE_LANES)).op("i32.add").set(from);
      f.get(to).i32(4 * width).op("i32.add").set(to);
      f.get(count).i32(1).op("i32.sub").tee(count).brIf(next);
    });
  });
}
