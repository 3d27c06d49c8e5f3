/**
 * How the error falls with the number of points.
 *
 * @module
 */
import { Random } from "@heddle/tensor/jit";
import { countInsideCompiled } from "./_pi_count.ts";

/** Errors of estimates from ever more points. */
export interface PiConvergence {
  /** Numbers of points, rising. */
  readonly points: readonly number[];
  /** The size of the error of one sequence of points after so many. */
  readonly one: readonly number[];
  /** The root of the mean square of the errors of many sequences. */
  readonly many: readonly number[];
  /** How many those are. */
  readonly sequences: number;
}

/** Standard deviation of the estimate from one point. */
export const DEVIATION: number = Math.sqrt(Math.PI * (4 - Math.PI));

const SEQUENCES = 32;
const FROM = 10;
const MOST = 10_000_000;
/** As many at once as let a signal through soon. */
const STRETCH = 5_000_000;

/** 10, 20, 50, 100, … up to `most`. */
function roundNumbers(most: number): number[] {
  const numbers: number[] = [];
  for (let power = FROM; power <= most; power *= 10) {
    numbers.push(
      ...[1, 2, 5].map((factor) => factor * power).filter((n) => n <= most),
    );
  }
  return numbers;
}

/**
 * Follows the errors of many sequences of points.
 *
 * @param points Up to so many, of at least 1,000 and at most 10 million.
 * @param seed What they are drawn from.
 * @param onStretch Called now and then.
 */
export async function converge(
  points: number,
  seed: number,
  onStretch: (share: number) => Promise<void>,
): Promise<PiConvergence> {
  const at = roundNumbers(Math.min(Math.max(points, 1000), MOST));
  const squares = at.map(() => 0);
  const one = at.map(() => 0);
  for (let sequence = 0; sequence < SEQUENCES; sequence++) {
    const random = new Random(seed).split(sequence);
    let [done, inside] = [0, 0];
    for (const [i, target] of at.entries()) {
      while (done < target) {
        const stretch = Math.min(STRETCH, target - done);
        inside += countInsideCompiled(stretch, random);
        done += stretch;
        await onStretch((sequence + done / at.at(-1)!) / SEQUENCES);
      }
      const error = 4 * inside / done - Math.PI;
      squares[i]! += error ** 2;
      if (sequence === 0) one[i] = Math.abs(error);
    }
  }
  return {
    points: at,
    one,
    many: squares.map((square) => Math.sqrt(square / SEQUENCES)),
    sequences: SEQUENCES,
  };
}
