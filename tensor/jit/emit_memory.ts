/**
 * Elements of arrays: addresses, and what happens out of range.
 *
 * @module
 */

import type { Local, MemoryOp, WasmType } from "../wasm/assembler.ts";
import {
  emitF32,
  emitF64,
  emitInt,
  emitLong,
  isLong,
} from "./emit_expression.ts";
import type { FunctionEmitter } from "./emit_wasm.ts";
import {
  type ArrayElement,
  type ArrayVariable,
  type Expression,
  isApply,
  type Place,
} from "./ir.ts";
import { naturalOf } from "./representation.ts";
import { type NumberValue, onlyNumber } from "./values.ts";

/** log2 of the bytes of an element, and the instructions that move it. */
const ACCESS: Readonly<
  Record<
    ArrayElement,
    readonly [shift: number, load: MemoryOp, store: MemoryOp]
  >
> = {
  f64: [3, "f64.load", "f64.store"],
  f32: [2, "f32.load", "f32.store"],
  i32: [2, "i32.load", "i32.store"],
  u32: [2, "i32.load", "i32.store"],
  i16: [1, "i32.load16_s", "i32.store16"],
  u16: [1, "i32.load16_u", "i32.store16"],
  i8: [0, "i32.load8_s", "i32.store8"],
  u8: [0, "i32.load8_u", "i32.store8"],
};

/** Where the last failure is noted: its site, the index, the length. */
export const FAILURE = { site: 64, length: 68, index: 72 } as const;

/** Pushes an element: an i32, an f32 or an f64. */
export function emitLoad(
  e: FunctionEmitter,
  array: ArrayVariable,
  index: Expression,
  place: Place,
): void {
  const before = e.checked.loaded(array, index);
  if (before) {
    e.f.get(before);
    return;
  }
  const [shift, load] = ACCESS[array.element];
  const offset = emitAddress(e, array, index, place);
  const local = e.f.local(wasmTypeOf(array.element));
  e.f.memory(load, offset, shift).tee(local);
  e.checked.keep(array, index, local);
}

function wasmTypeOf(element: ArrayElement): WasmType {
  return element === "f64" || element === "f32" ? element : "i32";
}

/** Stores a value. */
export function emitStore(
  e: FunctionEmitter,
  array: ArrayVariable,
  index: Expression,
  value: Expression,
  place: Place,
): void {
  const [shift, , store] = ACCESS[array.element];
  const held = e.f.local(wasmTypeOf(array.element));
  if (array.element === "f64") emitF64(e, value);
  else if (array.element === "f32") emitF32(e, value);
  else emitInt(e, value);
  e.f.set(held);
  const offset = emitAddress(e, array, index, place);
  e.f.get(held).memory(store, offset, shift);
  e.checked.store();
}

/**
 * Pushes an address in range, of an element or of one before it; gives how many
 * bytes are missing.
 */
function emitAddress(
  e: FunctionEmitter,
  array: ArrayVariable,
  index: Expression,
  place: Place,
): number {
  const { f } = e;
  const { base } = e.array(array);
  const [shift] = ACCESS[array.element];
  const scaled = (push: () => void) => {
    f.get(base);
    push();
    if (shift > 0) f.i32(shift).op("i32.shl");
    f.op("i32.add");
  };
  const added = constantIn(index);
  const begin = added > 0 && isApply(index) ? index.args[0]! : undefined;
  if (!begin || naturalOf(begin) !== "int") {
    scaled(() => emitIndex(e, array, index, place));
    return 0;
  }
  // What neighbours have in common is computed once. The constant is part of
  // the instruction: in front of the arrays is room enough for it to be missing.
  if (needsCheck(e, array, index)) {
    emitIndex(e, array, index, place);
    f.op("drop");
  }
  scaled(() => emitInt(e, begin));
  return added << shift;
}

/** The largest constant in an index that becomes part of the instruction. */
const MOST_ADDED = 1024;

/** The constant that an index adds to something else, or 0. */
function constantIn(index: Expression): number {
  if (!isApply(index) || index.op !== "add" || naturalOf(index) !== "int") {
    return 0;
  }
  const by = onlyNumber(index.args[1]!.value!);
  return by !== undefined && Number.isInteger(by) && by > 0 && by <= MOST_ADDED
    ? by
    : 0;
}

function needsCheck(
  e: FunctionEmitter,
  array: ArrayVariable,
  index: Expression,
): boolean {
  return !isKnownInRange(e, array, index) && !e.checked.has(array, index);
}

/** Whether an index needs no check, without those that came before it. */
export function isKnownInRange(
  e: FunctionEmitter,
  array: ArrayVariable,
  index: Expression,
): boolean {
  return e.guarded.has(index) || isInRange(index.value as NumberValue, array);
}

/** Whether an index is in range, as far as its value says. */
export function isInRange(value: NumberValue, array: ArrayVariable): boolean {
  return value.integer && !value.nan && value.lo >= 0 &&
    (value.below?.get(array) ?? 0) < 0;
}

/** Pushes an index that is in range: what is above 32 bits cancels out. */
function emitKnown(e: FunctionEmitter, x: Expression): void {
  if (naturalOf(x) !== "int" && isLong(x) && isApply(x)) {
    for (const arg of x.args) emitKnown(e, arg);
    e.f.op(
      x.op === "add" ? "i32.add" : x.op === "sub" ? "i32.sub" : "i32.mul",
    );
  } else emitInt(e, x);
}

function emitIndex(
  e: FunctionEmitter,
  array: ArrayVariable,
  index: Expression,
  place: Place,
): void {
  const { f } = e;
  const value = index.value as NumberValue;
  if (isInRange(value, array)) {
    emitInt(e, index);
    return;
  }
  if (e.guarded.has(index) || e.checked.add(array, index)) {
    emitKnown(e, index);
    return;
  }
  const { length } = e.array(array);
  const site = e.module.site(place, array.name);
  const at = f.local("i32");
  const failIf = (pushIndex: () => void) =>
    e.failIf(() => {
      f.i32(site);
      pushIndex();
      f.get(length).call(e.module.imports.fail);
    });
  if (naturalOf(index) === "int") {
    emitInt(e, index);
    f.tee(at).get(length).op("i32.ge_u");
    const convert = value.hi > 0x7fffffff
      ? "f64.convert_i32_u"
      : "f64.convert_i32_s";
    failIf(() => f.get(at).op(convert));
    f.get(at);
    return;
  }
  if (isLong(index)) {
    const long = f.local("i64");
    emitLong(e, index);
    f.tee(long).get(length).op("i64.extend_i32_u").op("i64.ge_u");
    failIf(() => f.get(long).op("f64.convert_i64_s"));
    f.get(long).op("i32.wrap_i64");
    return;
  }
  const number = f.local("f64");
  emitF64(e, index);
  f.tee(number).op("i32.trunc_sat_f64_s").tee(at);
  f.get(length).op("i32.ge_u");
  if (!value.integer || value.nan) {
    const isWhole = (x: Local) =>
      f.get(x).op("f64.convert_i32_s").get(number).op("f64.ne");
    isWhole(at).op("i32.or");
  }
  failIf(() => f.get(number));
  f.get(at);
}
