/**
 * The ways to count points, each behind the same few calls.
 *
 * @module
 */
import { Pool, type RemoteFunction } from "@heddle/data/pool";
import {
  compile,
  type Compiled,
  type Device,
  Generator as KeyGenerator,
  type RandomKey,
  Scope,
  type Tensor,
  uniform,
  useDevice,
} from "@heddle/tensor";
import { Random, setJitThreads } from "@heddle/tensor/jit";
import {
  CHUNK,
  type Chunk,
  chunksOf,
  countChunk,
  countChunkCompiled,
  countInsideUnseeded,
  isInside,
  type Part,
} from "./_pi_count.ts";

/** A way, ready to run. */
export interface OpenWay {
  /** Counts points, part by part. */
  parts(points: number): Iterable<Part> | AsyncIterable<Part>;
  /** What shows that it runs: its kernels. */
  explain?(): string;
  /** Gives back what it holds. */
  close?(): void | Promise<void>;
}

/** A way to count points. */
export interface Way {
  readonly name: string;
  /** What runs it. */
  readonly where: string;
  /** Points of the first call, which may compile or start something. */
  readonly first: number;
  open(seed: number): OpenWay;
}

/** The most points that one call of a device counts. */
const BATCH = 10_000_000;

/** A loop over chunks, in the calling thread. */
function loop(name: string, where: string, count: (chunk: Chunk) => Part): Way {
  return {
    name,
    where,
    first: CHUNK,
    open: (seed) => ({
      *parts(points) {
        for (const chunk of chunksOf(seed, points)) yield count(chunk);
      },
    }),
  };
}

/** Loops in the calling thread. */
export function loops(): Way[] {
  return [
    loop("plain loop", "JavaScript", countChunk),
    loop("with Math.random()", "JavaScript", ({ points }) => ({
      points,
      inside: countInsideUnseeded(points),
    })),
    loop("jit", "wasm, 1 thread", countChunkCompiled),
  ];
}

/** A compiled function of one point, over a range that the threads share. */
export function range(threads: number): Way {
  return {
    name: "jit, parallel range",
    where: `wasm, ${plural(threads, "thread")}`,
    first: BATCH,
    open(seed) {
      setJitThreads(threads);
      return {
        async *parts(points) {
          const random = new Random(seed);
          for (const batch of batchesOf(points)) {
            yield { points: batch, inside: await isInside.sum(batch, random) };
          }
        },
        close: () => setJitThreads(navigator.hardwareConcurrency),
      };
    },
  };
}

/** Points as the batches that they are counted in. */
function* batchesOf(points: number): Generator<number> {
  for (let left = points; left > 0; left -= BATCH) yield Math.min(BATCH, left);
}

/** As `2 threads`. */
export function plural(count: number, thing: string): string {
  return `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
}

/**
 * How many of so many random points lie inside, as a tensor: an int32, since
 * float32 stops counting at 2²⁴.
 */
export function insideOf(key: RandomKey, points: number): Tensor {
  const [keyX, keyY] = key.split() as [RandomKey, RandomKey];
  const x = uniform(keyX, [points]);
  const y = uniform(keyY, [points]);
  return x.square().add(y.square()).lt(1).sum(); // bool counts as int32
}

/** Counts batches; the host adds them up, beyond 2³¹ if need be. */
async function* addUp(
  points: number,
  count: (points: number) => Tensor,
): AsyncGenerator<Part> {
  for (const batch of batchesOf(points)) {
    let inside: number;
    {
      using _scope = new Scope();
      inside = await count(batch).item();
    }
    yield { points: batch, inside };
  }
}

/** Tensors on a device, as they are written and compiled. */
export function tensors(device: Device, where: string): Way[] {
  return [
    {
      name: "eager tensors",
      where,
      first: BATCH,
      open: (seed) => ({
        parts(points) {
          useDevice(device);
          const generator = new KeyGenerator(seed);
          return addUp(points, (size) => insideOf(generator.next(), size));
        },
      }),
    },
    {
      name: "compiled tensors",
      where,
      first: BATCH,
      open: (seed) => {
        const generator = new KeyGenerator(seed);
        const start = generator.state();
        // A full batch and the rest have different shapes.
        const compiled = new Map<number, Compiled<[], Tensor>>();
        const counter = (size: number): Compiled<[], Tensor> => {
          const made = compiled.get(size) ??
            compile(() => insideOf(generator.next(), size), {
              name: `${size.toLocaleString("en")} points`,
            });
          compiled.set(size, made);
          return made;
        };
        return {
          parts(points) {
            useDevice(device);
            generator.restore(start);
            return addUp(points, (size) => counter(size)());
          },
          explain() {
            useDevice(device);
            return counter(CHUNK).explain();
          },
          close() {
            for (const made of compiled.values()) made.dispose();
          },
        };
      },
    },
  ];
}

/** Both loops in the workers of a pool. */
export function pooled(workers: number): Way[] {
  const way = (
    name: string,
    count: RemoteFunction<[chunk: Chunk], Part>,
  ): Way => ({
    name,
    where: plural(workers, "worker"),
    first: workers * CHUNK,
    open(seed) {
      const pool = new Pool({ workers, inCaller: false });
      return {
        parts: (points) => pool.imapUnordered(count, chunksOf(seed, points)),
        close: () => pool[Symbol.asyncDispose](),
      };
    },
  });
  return [
    way("pool, plain loop", countChunk),
    way("pool, jit", countChunkCompiled),
  ];
}
