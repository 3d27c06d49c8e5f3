/**
 * Threefry-2x32 with 20 rounds, inline: Salmon et al. 2011, section 4,
 * https://doi.org/10.1145/2063384.2063405
 *
 * @module
 */

import type { FunctionBuilder, Local } from "./assembler.ts";

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]] as const;

/**
 * Computes both words.
 *
 * @param args key0, key1, counter0, counter1: vectors if `vector`.
 * @returns The words, in locals of their own.
 */
export function emitThreefry(
  f: FunctionBuilder,
  args: readonly Local[],
  vector: boolean,
): [Local, Local] {
  const type = vector ? "v128" : "i32";
  const [key0, key1, counter0, counter1] = args;
  const [x0, x1, key2] = [f.local(type), f.local(type), f.local(type)];
  const add = vector ? "i32x4.add" : "i32.add";
  const xor = vector ? "v128.xor" : "i32.xor";
  const constant = (value: number) => vector ? f.i32x4(value) : f.i32(value);
  f.get(key0!).get(key1!).op(xor);
  constant(0x1BD11BDA).op(xor).set(key2);
  const keys = [key0!, key1!, key2];
  f.get(counter0!).get(key0!).op(add).set(x0);
  f.get(counter1!).get(key1!).op(add).set(x1);
  for (let group = 0; group < 5; group++) {
    for (const distance of ROTATIONS[group % 2]!) {
      f.get(x0).get(x1).op(add).set(x0);
      if (vector) {
        f.get(x1).i32(distance).op("i32x4.shl");
        f.get(x1).i32(32 - distance).op("i32x4.shr_u").op("v128.or");
      } else f.get(x1).i32(distance).op("i32.rotl");
      f.get(x0).op(xor).set(x1);
    }
    f.get(x0).get(keys[(group + 1) % 3]!).op(add).set(x0);
    f.get(x1).get(keys[(group + 2) % 3]!).op(add);
    constant(group + 1).op(add).set(x1);
  }
  return [x0, x1];
}
