/**
 * A data race, and the lock that ends it.
 *
 * @module
 */
import {
  Barrier,
  Lock,
  Pool,
  remote,
  type RemoteFunction,
  SharedArray,
} from "@heddle/data/pool";

/** A counter that workers increment together, without a lock and with one. */
export interface PiRace {
  /** How many workers. */
  readonly workers: number;
  /** Increments of all of them. */
  readonly increments: number;
  /** Increments that the counter lacks at the end. */
  readonly lost: number;
  /** The same with the lock. */
  readonly lostWithLock: number;
  /** Milliseconds of all of them without the lock. */
  readonly ms: number;
  /** Milliseconds with it. */
  readonly lockedMs: number;
}

/** What a worker does in the race. */
export interface Racer {
  readonly counter: SharedArray<"int32">;
  readonly times: number;
  /** All begin together: else the first would be done before the last came. */
  readonly start: Barrier;
  readonly lock?: Lock;
}

/** Increments the counter; gives the milliseconds that it took. */
export const increment: RemoteFunction<[racer: Racer], number> = remote(
  import.meta,
  function increment({ counter, times, start, lock }: Racer): number {
    const cells = counter.data;
    start.waitSync({ timeoutMs: 30_000 });
    const begin = performance.now();
    if (lock) {
      for (let i = 0; i < times; i++) {
        using _held = lock.acquireSync();
        cells[0] = cells[0]! + 1;
      }
    } else {
      // Reads, adds and writes: another worker may write in between.
      for (let i = 0; i < times; i++) cells[0] = cells[0]! + 1;
    }
    return performance.now() - begin;
  },
);

/** Increments of all workers. */
const INCREMENTS = 1_000_000;
/** Where cores are busy the workers may still run one after the other. */
const MOST_TRIES = 20;

/**
 * Lets workers increment one counter without a lock, then with one.
 *
 * @param workers At least two take part.
 * @param onRound Called between the two.
 */
export async function race(
  workers: number,
  onRound: (share: number) => Promise<void>,
): Promise<PiRace> {
  const racers = Math.max(2, workers);
  const each = Math.ceil(INCREMENTS / racers);
  const increments = racers * each;
  const round = async (lock?: Lock) => {
    // New workers: each takes one racer, since none knows how short it is.
    await using pool = new Pool({ workers: racers, inCaller: false });
    const counter = new SharedArray("int32", 1);
    const start = new Barrier(racers);
    const racer: Racer = { counter, times: each, start, ...lock && { lock } };
    const times = await pool.map(
      increment,
      Array.from({ length: racers }, () => racer),
      { chunkSize: 1 },
    );
    return {
      lost: increments - counter.get(0),
      ms: Math.max(...times),
    };
  };
  let without = await round();
  for (let tries = 1; without.lost === 0 && tries < MOST_TRIES; tries++) {
    await onRound(tries / MOST_TRIES / 2);
    without = await round();
  }
  await onRound(0.5);
  const withLock = await round(new Lock());
  await onRound(1);
  return {
    workers: racers,
    increments,
    lost: without.lost,
    lostWithLock: withLock.lost,
    ms: without.ms,
    lockedMs: withLock.ms,
  };
}
