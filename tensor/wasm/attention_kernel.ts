/**
 * Attention as a WebAssembly function. An item is a block of queries, which
 * goes through the keys block by block with running maxima and sums (Milakov
 * and Gimelshein 2018, https://arxiv.org/abs/1805.02867). Lanes are queries, so
 * that maxima and sums are those of vectors.
 *
 * @module
 */

import { type AttentionKernel, FORBIDDEN } from "../kernel/attention.ts";
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
  pushPlace,
  roundUp,
  TILE_LANES,
  TILE_ROWS,
} from "./attention_code.ts";
import { emitFor, emitSteps } from "./contract_loops.ts";
import { type KernelFunction, locals } from "./kernel_function.ts";
import { emitExpBelow, emitLog, type Target } from "./math.ts";
import { emitPartialStore } from "./scan_kernel.ts";

/** Offsets in the scratch memory of a thread. */
interface Places {
  /** Panels of the block's queries. */
  readonly queries: number;
  /** Scores and weights, `[key][query]`. */
  readonly scores: number;
  /** Sums of weighted values, `[query][feature]`, rows of `outBytes`. */
  readonly sums: number;
  /** Maxima, sums of weights, and what the sums shrink by, for each query. */
  readonly state: number;
  readonly bytes: number;
}

/** Adds the function `name`. */
export function emitAttention(
  module: ModuleBuilder,
  name: string,
  kernel: AttentionKernel,
  target: Target,
): KernelFunction {
  const thread = module.importFunction("env", "thread", [], ["i32"]);
  const code = new AttentionCode(module, kernel, target);
  module.function(name, ["i32", "i32", "i32"], [], (f) => {
    code.emit(f, thread);
  });
  const { batch, queries, keys, dim, features } = kernel;
  return {
    items: batch * Math.ceil(queries / code.block),
    cost: batch * queries * keys * ((dim + features) / 12 + 1),
    threadScratchBytes: code.places.bytes,
  };
}

class AttentionCode {
  readonly kernel: AttentionKernel;
  /** Queries of an item, and keys of a block. */
  readonly block: number;
  readonly keyBlock: number;
  /** Bytes of a row of sums. */
  readonly outBytes: number;
  readonly places: Places;
  readonly #target: Target;
  readonly #transpose: Callable;
  readonly #scores: Callable;
  readonly #mix: Callable;
  readonly #mask: Callable | undefined;
  readonly #soften: Callable;
  readonly #shrink: Callable;
  readonly #finish: Callable;

  constructor(module: ModuleBuilder, kernel: AttentionKernel, target: Target) {
    const { queries, keys, dim, features } = kernel;
    this.kernel = kernel;
    this.block = blockOf(queries);
    this.keyBlock = Math.min(BLOCK, roundUp(keys, TILE_ROWS));
    this.outBytes = 4 * roundUp(features, TILE_LANES);
    this.#target = target;
    const rowBytes = 4 * this.block;
    const scores = rowBytes * dim;
    const sums = scores + rowBytes * this.keyBlock;
    const state = sums + this.outBytes * roundUp(this.block, TILE_ROWS);
    const bytes = roundUp(state + 3 * rowBytes, 64);
    this.places = { queries: 0, scores, sums, state, bytes };
    this.#transpose = emitTranspose(module, dim, kernel.scale);
    this.#scores = emitProduct(module, {
      rowBytes: 4 * dim,
      stepBytes: 4,
      panelBytes: 4 * TILE_LANES * dim,
      columnBytes: 4 * TILE_LANES,
      outBytes: rowBytes,
      lastRows: keys % this.keyBlock % TILE_ROWS,
    }, target);
    this.#mix = emitProduct(module, {
      rowBytes: 4,
      stepBytes: rowBytes,
      panelBytes: 4 * TILE_LANES,
      columnBytes: 4 * features,
      outBytes: this.outBytes,
    }, target);
    this.#mask = isMasked(kernel) ? this.#emitMasks(module) : undefined;
    this.#soften = this.#emitSoften(module);
    this.#shrink = this.#emitShrink(module);
    this.#finish = this.#emitFinish(module);
  }

  /** Writes the function that does the items. */
  emit(f: FunctionBuilder, thread: Callable): void {
    const { queries, keys, dim, features, causalOffset, buffers } = this.kernel;
    const { places, block, keyBlock } = this;
    const [frame, item, end] = f.params as [Local, Local, Local];
    const [scratch, batch, first, rows, panels] = locals(f, "i32", 5);
    const [key, keyEnd, count, value, row] = locals(f, "i32", 5);
    const blocks = Math.ceil(queries / block);
    pushBuffer(f, frame, buffers.length + 1).call(thread).i32(places.bytes);
    f.op("i32.mul").op("i32.add").set(scratch);
    const pushScratch = (offset: number) => {
      f.get(scratch).i32(offset).op("i32.add");
    };
    emitItems(f, item, end, () => {
      f.get(item).i32(blocks).op("i32.div_u").set(batch);
      f.get(item).i32(blocks).op("i32.rem_u").i32(block).op("i32.mul");
      f.set(first);
      emitRest(f, queries, first, block, rows);
      f.get(rows).i32(TILE_LANES - 1).op("i32.add").i32(TILE_LANES);
      f.op("i32.div_u").set(panels);
      f.get(batch).i32(queries).op("i32.mul").get(first).op("i32.add").set(row);
      pushBuffer(f, frame, 0).get(row).i32(4 * dim).op("i32.mul");
      f.op("i32.add").get(rows);
      pushScratch(places.queries);
      f.call(this.#transpose);
      pushScratch(places.sums);
      f.i32(0).i32(places.bytes - places.sums).memoryFill();
      f.i32(keys).set(keyEnd);
      if (causalOffset !== null) {
        f.get(first).get(rows).op("i32.add").i32(causalOffset).op("i32.add");
        f.tee(keyEnd).i32(keys).get(keyEnd).i32(keys).op("i32.lt_s");
        f.op("select").set(keyEnd);
      }
      f.i32(0).set(key);
      emitSteps(f, key, keyEnd, keyBlock, () => {
        emitRest(f, keys, key, keyBlock, count);
        f.get(batch).i32(keys).op("i32.mul").get(key).op("i32.add").set(value);
        pushBuffer(f, frame, 1).get(value).i32(4 * dim).op("i32.mul");
        f.op("i32.add");
        pushScratch(places.queries);
        f.i32(dim);
        pushScratch(places.scores);
        f.get(count).get(panels).i32(0).call(this.#scores);
        if (this.#mask) {
          pushNeedsMask(f, this.kernel, first, key, count);
          f.if(() => {
            f.get(frame).get(scratch).get(batch).get(first).get(panels);
            f.get(key).get(count).call(this.#mask!);
          });
        }
        f.get(scratch).get(count).get(panels).get(key).op("i32.eqz");
        f.call(this.#soften);
        f.get(key).if(() => f.get(scratch).get(rows).call(this.#shrink));
        pushScratch(places.scores);
        pushBuffer(f, frame, 2).get(value).i32(4 * features).op("i32.mul");
        f.op("i32.add").get(count);
        pushScratch(places.sums);
        f.get(rows).i32(Math.ceil(features / TILE_LANES)).i32(1);
        f.call(this.#mix);
      });
      f.get(frame).get(scratch).get(row).get(rows).call(this.#finish);
    });
  }

  /** `(frame, scratch, batch, query, panels, key, count)`. */
  #emitMasks(module: ModuleBuilder): Callable {
    const { queries, causalOffset, masks } = this.kernel;
    const rowBytes = 4 * this.block;
    const params = ["i32", "i32", "i32", "i32", "i32", "i32", "i32"] as const;
    return module.function(undefined, params, [], (f) => {
      const [frame, scratch, batch, query, panels, key, count] = f.params as [
        Local,
        Local,
        Local,
        Local,
        Local,
        Local,
        Local,
      ];
      const [quad, at, left, position] = locals(f, "i32", 4);
      const [score, forbidden, values, last] = locals(f, "v128", 4);
      const pointers = masks.map(({ queryStride }) =>
        locals(f, "i32", 4).slice(0, queryStride === 0 ? 1 : 4)
      );
      f.get(panels).i32(2).op("i32.mul").set(quad);
      f.loop((again) => {
        masks.forEach((mask, which) => {
          const { queryStride, keyStride } = mask;
          pointers[which]!.forEach((pointer, lane) => {
            pushMaskStart(f, frame, mask, batch);
            f.get(key).i32(4 * keyStride).op("i32.mul").op("i32.add");
            if (queryStride > 0) {
              // Lanes past the end repeat the last query.
              f.get(query).i32(lane).op("i32.add").tee(position);
              f.i32(queries - 1).get(position).i32(queries).op("i32.lt_s");
              f.op("select").i32(4 * queryStride).op("i32.mul").op("i32.add");
            }
            f.set(pointer);
          });
        });
        if (causalOffset !== null) {
          // The last key that each query sees, counted from this one.
          const offset = causalOffset;
          f.v128(offset, offset + 1, offset + 2, offset + 3).get(query);
          f.get(key).op("i32.sub").op("i32x4.splat").op("i32x4.add").set(last);
        }
        f.get(scratch).i32(this.places.scores).op("i32.add").set(at);
        f.get(count).set(left);
        f.loop((next) => {
          f.get(at).memory("v128.load").set(score);
          f.v128(0, 0, 0, 0).set(forbidden);
          masks.forEach((mask, which) => {
            const [one, ...more] = pointers[which]! as [Local, ...Local[]];
            if (more.length === 0) f.get(one).memory("v128.load32_splat");
            else f.get(one).memory("v128.load32_zero");
            f.set(values);
            more.forEach((pointer, lane) => {
              f.get(pointer).get(values);
              f.memoryLane("v128.load32_lane", lane + 1).set(values);
            });
            emitMask(f, this.kernel, mask, values, score, forbidden);
            if (mask.keyStride === 0) return;
            for (const pointer of [one, ...more]) {
              f.get(pointer).i32(4).op("i32.add").set(pointer);
            }
          });
          if (causalOffset !== null) {
            f.get(last).i32x4(0).op("i32x4.lt_s").get(forbidden);
            f.op("v128.or").set(forbidden);
            f.get(last).i32x4(1).op("i32x4.sub").set(last);
          }
          f.get(at).f32x4(FORBIDDEN).get(score).get(forbidden);
          f.op("v128.bitselect").memory("v128.store");
          f.get(at).i32(rowBytes).op("i32.add").set(at);
          f.get(left).i32(1).op("i32.sub").tee(left).brIf(next);
        });
        f.get(scratch).i32(16).op("i32.add").set(scratch);
        f.get(query).i32(4).op("i32.add").set(query);
        f.get(quad).i32(1).op("i32.sub").tee(quad).brIf(again);
      });
    });
  }

  /** `(scratch, count, panels, isFirst)`: scores become weights. */
  #emitSoften(module: ModuleBuilder): Callable {
    const rowBytes = 4 * this.block;
    const { places } = this;
    const params = ["i32", "i32", "i32", "i32"] as const;
    return module.function(undefined, params, [], (f) => {
      const [scratch, count, panels, isFirst] = f.params as [
        Local,
        Local,
        Local,
        Local,
      ];
      const [quad, at, left] = locals(f, "i32", 3);
      const [top, total, score, before] = locals(f, "v128", 4);
      const scan = (body: () => void) => {
        f.get(scratch).i32(places.scores).op("i32.add").set(at);
        f.get(count).set(left);
        f.loop((next) => {
          body();
          f.get(at).i32(rowBytes).op("i32.add").set(at);
          f.get(left).i32(1).op("i32.sub").tee(left).brIf(next);
        });
      };
      f.get(panels).i32(2).op("i32.mul").set(quad);
      f.loop((again) => {
        f.get(scratch).memory("v128.load", places.state).set(before);
        f.get(isFirst).if(() => f.f32x4(FORBIDDEN).set(before));
        f.get(before).set(top);
        scan(() => {
          // A NaN is no maximum, but its power will be one.
          f.get(top).get(at).memory("v128.load").op("f32x4.pmax").set(top);
        });
        f.get(scratch).get(top).memory("v128.store", places.state);
        f.v128(0, 0, 0, 0).set(total);
        scan(() => {
          f.get(at).memory("v128.load").get(top).op("f32x4.sub").set(score);
          f.get(at);
          emitExpBelow(f, score, this.#target);
          if (this.#mask) {
            f.get(at).memory("v128.load").f32x4(FORBIDDEN).op("f32x4.le");
            f.op("v128.andnot");
          }
          f.tee(score).memory("v128.store");
          f.get(total).get(score).op("f32x4.add").set(total);
        });
        f.get(before).get(top).op("f32x4.sub").set(before);
        f.get(scratch);
        emitExpBelow(f, before, this.#target);
        f.tee(before).memory("v128.store", places.state + 2 * rowBytes);
        f.get(scratch).get(scratch);
        f.memory("v128.load", places.state + rowBytes).get(before);
        f.op("f32x4.mul").get(total).op("f32x4.add");
        f.memory("v128.store", places.state + rowBytes);
        f.get(scratch).i32(16).op("i32.add").set(scratch);
        f.get(quad).i32(1).op("i32.sub").tee(quad).brIf(again);
      });
    });
  }

  /** `(scratch, rows)`: sums so far shrink as the maxima rise. */
  #emitShrink(module: ModuleBuilder): Callable {
    const { places, outBytes } = this;
    const factors = places.state + 8 * this.block;
    return module.function(undefined, ["i32", "i32"], [], (f) => {
      const [scratch, rows] = f.params as [Local, Local];
      const [to, row, at, limit] = locals(f, "i32", 4);
      const factor = f.local("v128");
      f.get(scratch).i32(places.sums).op("i32.add").set(to);
      f.i32(outBytes).set(limit);
      emitFor(f, row, rows, 1, () => {
        pushPlace(f, scratch, [row, 4]).memory("f32.load", factors);
        f.f32(1).op("f32.ne").if(() => {
          pushPlace(f, scratch, [row, 4]);
          f.memory("v128.load32_splat", factors).set(factor);
          emitFor(f, at, limit, 16, () => {
            f.get(to).get(at).op("i32.add").get(to).get(at).op("i32.add");
            f.memory("v128.load").get(factor).op("f32x4.mul");
            f.memory("v128.store");
          });
        });
        f.get(to).i32(outBytes).op("i32.add").set(to);
      });
    });
  }

  /** `(frame, scratch, row, rows)`: stores a block of the result. */
  #emitFinish(module: ModuleBuilder): Callable {
    const { places, outBytes, block } = this;
    const { masks, features, buffers } = this.kernel;
    const output = 3 + masks.length;
    const sums = places.state + 4 * block;
    const params = ["i32", "i32", "i32", "i32"] as const;
    return module.function(undefined, params, [], (f) => {
      const [frame, scratch, row, rows] = f.params as [
        Local,
        Local,
        Local,
        Local,
      ];
      const [quad, to, from, at, limit] = locals(f, "i32", 5);
      const [total, inverse, none] = locals(f, "v128", 3);
      // Sums become inverses, maxima logarithms; of nothing both are 0.
      f.get(scratch).set(from);
      emitFor(f, quad, rows, 4, () => {
        f.get(from).memory("v128.load", sums).tee(total);
        f.f32x4(0).op("f32x4.eq").set(none);
        f.get(from).f32x4(1).get(total).op("f32x4.div").get(none);
        f.op("v128.andnot").memory("v128.store", sums);
        if (buffers.length > output + 1) {
          f.get(from).get(from).memory("v128.load", places.state);
          emitLog(f, total, this.#target);
          f.op("f32x4.add").get(none).op("v128.andnot");
          f.memory("v128.store", places.state);
        }
        f.get(from).i32(16).op("i32.add").set(from);
      });
      if (buffers.length > output + 1) {
        pushBuffer(f, frame, output + 1).get(row).i32(4).op("i32.mul");
        f.op("i32.add").get(scratch).i32(places.state).op("i32.add");
        f.get(rows).i32(4).op("i32.mul").memoryCopy();
      }
      pushBuffer(f, frame, output).get(row).i32(4 * features).op("i32.mul");
      f.op("i32.add").set(to);
      f.get(scratch).i32(places.sums).op("i32.add").set(from);
      const whole = 16 * Math.floor(features / 4);
      f.i32(whole).set(limit);
      f.i32(0).set(quad);
      f.loop((next) => {
        pushPlace(f, scratch, [quad, 4]).memory("v128.load32_splat", sums);
        f.set(inverse);
        emitFor(f, at, limit, 16, () => {
          f.get(to).get(at).op("i32.add").get(from).get(at).op("i32.add");
          f.memory("v128.load").get(inverse).op("f32x4.mul");
          f.memory("v128.store");
        });
        if (features % 4 > 0) {
          f.get(to).i32(whole).op("i32.add");
          f.get(from).memory("v128.load", whole).get(inverse).op("f32x4.mul");
          emitPartialStore(f, features % 4);
        }
        f.get(from).i32(outBytes).op("i32.add").set(from);
        f.get(to).i32(4 * features).op("i32.add").set(to);
        f.get(quad).i32(1).op("i32.add").tee(quad).get(rows);
        f.op("i32.lt_u").brIf(next);
      });
    });
  }
}
