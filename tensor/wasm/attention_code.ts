/**
 * What both ways of attention share: blocks, products of blocks, and the masks.
 *
 * Every product runs the microkernel of matrix products on operands as they
 * lie: elements that are repeated may have any strides, so that only the one
 * operand of scores whose lanes are not neighbours is transposed.
 *
 * @module
 */

import {
  type AnyAttentionKernel,
  type AttentionMask,
  FORBIDDEN,
} from "../kernel/attention.ts";
import type {
  Callable,
  FunctionBuilder,
  Local,
  ModuleBuilder,
} from "./assembler.ts";
import { emitTimes } from "./contract_loops.ts";
import { locals } from "./kernel_function.ts";
import type { Target } from "./math.ts";
import { emitMicrokernel } from "./microkernel.ts";

/**
 * Queries or keys of a block: a multiple of the tile's rows and lanes. Five
 * blocks of 64 columns take little more than a first-level cache has.
 */
export const BLOCK = 48;
/** Rows and lanes of the microkernel's tile. */
export const TILE_ROWS = 6;
export const TILE_LANES = 8;

/** The next multiple. */
export function roundUp(n: number, step: number): number {
  return Math.ceil(n / step) * step;
}

/** Rows or lanes of a block where there are `n` in all. */
export function blockOf(n: number): number {
  return Math.min(BLOCK, roundUp(n, TILE_LANES));
}

/** Pushes `base + Σ local * scale`. */
export function pushPlace(
  f: FunctionBuilder,
  base: Local,
  ...terms: readonly (readonly [Local, number])[]
): FunctionBuilder {
  f.get(base);
  for (const [local, scale] of terms) {
    f.get(local).i32(scale).op("i32.mul").op("i32.add");
  }
  return f;
}

/** Pushes the address of a buffer of the frame. */
export function pushBuffer(
  f: FunctionBuilder,
  frame: Local,
  slot: number,
): FunctionBuilder {
  return f.get(frame).memory("i32.load", 4 * slot);
}

/** `for (; start < end; start++)`, unsigned. */
export function emitItems(
  f: FunctionBuilder,
  start: Local,
  end: Local,
  body: () => void,
): void {
  f.get(start).get(end).op("i32.lt_u").if(() => {
    f.loop((again) => {
      body();
      f.get(start).i32(1).op("i32.add").tee(start);
      f.get(end).op("i32.lt_u").brIf(again);
    });
  });
}

/** Sets `result` to `min(limit - at, most)`. */
export function emitRest(
  f: FunctionBuilder,
  limit: number,
  at: Local,
  most: number,
  result: Local,
): void {
  f.i32(limit).get(at).op("i32.sub").tee(result).i32(most);
  f.get(result).i32(most).op("i32.lt_s").op("select").set(result);
}

/** How the operands of {@link emitProduct} lie. */
export interface ProductForm {
  /** Bytes between rows and between terms of the repeated operand. */
  readonly rowBytes: number;
  readonly stepBytes: number;
  /** Bytes between panels of lanes and between terms of the other. */
  readonly panelBytes: number;
  readonly columnBytes: number;
  /** Bytes between the rows of the result; its panels are neighbours. */
  readonly outBytes: number;
  /**
   * Rows that may not be read past: those of the last tile, where it is not
   * full. Without it the last tile is full, whatever it gives.
   */
  readonly lastRows?: number;
}

/**
 * Adds the function `(rows, panels, terms, out, rowCount, panelCount,
 * accumulate)`: a block of the result.
 */
export function emitProduct(
  module: ModuleBuilder,
  form: ProductForm,
  target: Target,
): Callable {
  const { rowBytes, stepBytes, columnBytes, outBytes, panelBytes } = form;
  const { lastRows } = form;
  const quads = TILE_LANES / 4;
  const tileOf = (rows: number) =>
    emitMicrokernel(
      module,
      { rows, quads, rowBytes, stepBytes, columnBytes, outBytes },
      target,
    );
  const whole = tileOf(TILE_ROWS);
  const last = lastRows ? tileOf(lastRows) : undefined;
  const params = ["i32", "i32", "i32", "i32", "i32", "i32", "i32"] as const;
  return module.function(undefined, params, [], (f) => {
    const [rows, panel, terms, out, count, panels, accumulate] = f.params as [
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    const [from, to, left] = locals(f, "i32", 3);
    const tile = (callable: Callable) => {
      f.get(from).get(panel).get(terms).get(to).get(accumulate).call(callable);
    };
    f.loop((next) => {
      f.get(rows).set(from).get(out).set(to);
      f.get(count);
      if (lastRows === undefined) f.i32(TILE_ROWS - 1).op("i32.add");
      f.i32(TILE_ROWS).op("i32.div_u").tee(left).if(() => {
        f.loop((again) => {
          tile(whole);
          f.get(from).i32(TILE_ROWS * rowBytes).op("i32.add").set(from);
          f.get(to).i32(TILE_ROWS * outBytes).op("i32.add").set(to);
          f.get(left).i32(1).op("i32.sub").tee(left).brIf(again);
        });
      });
      if (last) {
        f.get(count).i32(TILE_ROWS).op("i32.rem_u").if(() => tile(last));
      }
      f.get(panel).i32(panelBytes).op("i32.add").set(panel);
      f.get(out).i32(4 * TILE_LANES).op("i32.add").set(out);
      f.get(panels).i32(1).op("i32.sub").tee(panels).brIf(next);
    });
  });
}

/**
 * Adds the function `(rows, count, to)`: rows of `dim` numbers become panels of
 * lanes, `[panel][dim][lane]`, times a scale; lanes past the end are 0.
 */
export function emitTranspose(
  module: ModuleBuilder,
  dim: number,
  scale: number,
): Callable {
  return module.function(undefined, ["i32", "i32", "i32"], [], (f) => {
    const [from, count, to] = f.params as [Local, Local, Local];
    const [lane, at, left] = locals(f, "i32", 3);
    const panelBytes = 4 * TILE_LANES * dim;
    f.get(to).i32(0).get(count).i32(TILE_LANES - 1).op("i32.add");
    f.i32(TILE_LANES).op("i32.div_u").i32(panelBytes).op("i32.mul");
    f.memoryFill();
    f.loop((row) => {
      pushPlace(f, to, [lane, 4]).set(at);
      emitTimes(f, left, dim, () => {
        f.get(at).get(from).memory("f32.load").f32(scale).op("f32.mul");
        f.memory("f32.store");
        f.get(from).i32(4).op("i32.add").set(from);
        f.get(at).i32(4 * TILE_LANES).op("i32.add").set(at);
      });
      f.get(lane).i32(1).op("i32.add").tee(lane).i32(TILE_LANES).op("i32.eq");
      f.if(() => {
        f.i32(0).set(lane);
        f.get(to).i32(panelBytes).op("i32.add").set(to);
      });
      f.get(count).i32(1).op("i32.sub").tee(count).brIf(row);
    });
  });
}

/** Pushes the address of a mask's elements of one problem. */
export function pushMaskStart(
  f: FunctionBuilder,
  frame: Local,
  { slot, terms }: AttentionMask,
  batch: Local,
): void {
  pushBuffer(f, frame, slot);
  for (const { by, extent, stride } of terms) {
    f.get(batch).i32(by).op("i32.div_u").i32(extent).op("i32.rem_u");
    f.i32(4 * stride).op("i32.mul").op("i32.add");
  }
}

/** Adds one vector of masks to `score`, or notes in `forbidden` what they forbid. */
export function emitMask(
  f: FunctionBuilder,
  kernel: AnyAttentionKernel,
  mask: AttentionMask,
  values: Local,
  score: Local,
  forbidden: Local,
): void {
  f.get(forbidden).get(values);
  if (kernel.buffers[mask.slot]!.dtype === "bool") {
    f.i32x4(0).op("i32x4.eq").op("v128.or").set(forbidden);
  } else {
    f.f32x4(FORBIDDEN).op("f32x4.le").op("v128.or").set(forbidden);
    f.get(score).get(values).op("f32x4.add").set(score);
  }
}

/** Whether some scores have to be masked. */
export function isMasked(kernel: AnyAttentionKernel): boolean {
  return kernel.masks.length > 0 || kernel.causalOffset !== null;
}

/**
 * Pushes whether a block has to be masked: always if there are masks, else only
 * if its last key comes after its first query.
 */
export function pushNeedsMask(
  f: FunctionBuilder,
  { masks, causalOffset }: AnyAttentionKernel,
  firstQuery: Local,
  firstKey: Local,
  keyCount: Local,
): void {
  if (masks.length > 0) {
    f.i32(1);
    return;
  }
  f.get(firstKey).get(keyCount).op("i32.add").get(firstQuery);
  f.i32(causalOffset! + 1).op("i32.add").op("i32.gt_s");
}
