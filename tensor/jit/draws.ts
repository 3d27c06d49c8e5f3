/**
 * What is made of the numbers of a generator: plain functions, which the class
 * calls, and which compiled functions inline, so that both give the same bits.
 *
 * @module
 */

/** Where numbers from 0 up to, without, 1 come from. */
export interface Uniform {
  next(): number;
}

/** A whole number from 0 up to, without, n. */
function integer(random: Uniform, n: number): number {
  return Math.floor(random.next() * n);
}

/**
 * Normal, with mean 0 and deviation 1: Marsaglia and Bray 1964, "A convenient
 * method for generating normal variables".
 */
function normal(random: Uniform): number {
  let x = 0;
  let square = 0;
  do {
    x = 2 * random.next() - 1;
    const y = 2 * random.next() - 1;
    square = x * x + y * y;
  } while (square >= 1 || square === 0);
  return x * Math.sqrt(-2 * Math.log(square) / square);
}

/** By the names of the methods. */
export const DRAWS: {
  readonly integer: typeof integer;
  readonly normal: typeof normal;
} = { integer, normal };
