/**
 * What the tests of pools run in workers.
 *
 * @module
 */
import { remote } from "@heddle/data/pool";

export const square = remote(import.meta, function square(x: number) {
  return x * x;
});

export const add = remote(import.meta, function add(a: number, b: number) {
  return a + b;
});

export const fails = remote(import.meta, function fails(text: string): never {
  throw new RangeError(text);
});
