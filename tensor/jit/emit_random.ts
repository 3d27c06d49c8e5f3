/**
 * The generator of {@link Random} in WebAssembly: its four words stay in locals.
 *
 * @module
 */

import type { FunctionBuilder, Local } from "../wasm/assembler.ts";
import { GOLDEN, MIX } from "./random.ts";

/** Where a generator's state is. */
export interface RandomState {
  /** In memory, while the function does not run. */
  readonly address: Local;
  /** While it runs. */
  readonly words: readonly Local[];
}

/** Takes the state from memory. */
export function loadState(
  f: FunctionBuilder,
  { address, words }: RandomState,
): void {
  words.forEach((word, at) =>
    f.get(address).memory("i64.load", 8 * at, 3).set(word)
  );
}

/** Puts the state back. */
export function saveState(
  f: FunctionBuilder,
  { address, words }: RandomState,
): void {
  words.forEach((word, at) =>
    f.get(address).get(word).memory("i64.store", 8 * at, 3)
  );
}

/** Pushes the next number: xoshiro256+, its upper 53 bits. */
export function emitDraw(f: FunctionBuilder, { words }: RandomState): void {
  const [s0, s1, s2, s3] = words as [Local, Local, Local, Local];
  const shifted = f.local("i64");
  f.get(s0).get(s3).op("i64.add").i64(11n).op("i64.shr_u");
  f.op("f64.convert_i64_s").f64(2 ** -53).op("f64.mul");
  f.get(s1).i64(17n).op("i64.shl").set(shifted);
  f.get(s2).get(s0).op("i64.xor").set(s2);
  f.get(s3).get(s1).op("i64.xor").set(s3);
  f.get(s1).get(s2).op("i64.xor").set(s1);
  f.get(s0).get(s3).op("i64.xor").set(s0);
  f.get(s2).get(shifted).op("i64.xor").set(s2);
  f.get(s3).i64(45n).op("i64.rotl").set(s3);
}

/** Stores the state of `Random.split(index)` at an address. */
export function emitSplit(
  f: FunctionBuilder,
  pushState: () => void,
  index: Local,
  to: Local,
): void {
  const z = f.local("i64");
  const xorShift = (by: bigint) =>
    f.get(z).get(z).i64(by).op("i64.shr_u").op("i64.xor");
  for (let at = 0; at < 4; at++) {
    f.get(to);
    pushState();
    f.memory("i64.load", 8 * at, 3);
    f.get(index).op("i64.extend_i32_u").i64(4n).op("i64.mul");
    f.i64(BigInt(at + 1)).op("i64.add").i64(GOLDEN).op("i64.mul");
    f.op("i64.add").set(z);
    xorShift(30n).i64(MIX[0]).op("i64.mul").set(z);
    xorShift(27n).i64(MIX[1]).op("i64.mul").set(z);
    xorShift(31n).memory("i64.store", 8 * at, 3);
  }
}
