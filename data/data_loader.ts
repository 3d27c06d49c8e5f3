import { callOf } from "./_dataset_calls.ts";
import type { Collating } from "./_load_items.ts";
import type { LoaderWorkers } from "./_loader_workers.ts";
import type { Dataset } from "./dataset.ts";
import { type Collated, defaultCollate } from "./default_collate.ts";
import type { RemoteReference } from "./pool/remote.ts";
import { SeededRandom } from "./seeded_random.ts";

/** How a {@linkcode DataLoader} makes batches. */
export interface DataLoaderOptions<Item, Batch> {
  /**
   * Items in a batch.
   *
   * @default 1
   */
  readonly batchSize?: number | undefined;
  /**
   * Whether each epoch has an order of its own, a function of `seed` and the
   * number of the epoch.
   *
   * @default false
   */
  readonly shuffle?: boolean | undefined;
  /**
   * The seed of the orders.
   *
   * @default 0
   */
  readonly seed?: number | undefined;
  /**
   * Whether to leave out a last batch of fewer items.
   *
   * @default false
   */
  readonly dropLast?: boolean | undefined;
  /**
   * Makes a batch of items. With `workers` they do it where this is the default,
   * or a function that was made with `remote()`; any other is called here.
   *
   * @default defaultCollate
   */
  readonly collate?:
    | ((items: readonly Item[]) => Batch | Promise<Batch>)
    | undefined;
  /**
   * How many batches are begun before they are asked for, so that an
   * asynchronous `get`, or the workers, work while the loop does.
   *
   * @default 2 a worker; 0 without workers
   */
  readonly prefetch?: number | undefined;
  /**
   * Threads that get the items; 0: they are got here. The batches are the same,
   * in the same order. The data set must be one that workers can make: see
   * `remoteDataset`.
   *
   * @default 0
   */
  readonly workers?: number | undefined;
  /**
   * Whether workers are kept from one epoch to the next, until the loader is
   * disposed of (`using`) or they had nothing to do for ten seconds. Otherwise
   * they end with each loop.
   *
   * @default false
   */
  readonly persistentWorkers?: boolean | undefined;
}

/** Where a {@linkcode DataLoader} stands: JSON-safe. */
export interface DataLoaderState {
  /** The epoch, from 0. */
  readonly epoch: number;
  /** Batches of that epoch that were handed out. */
  readonly position: number;
  /** What the order of the items follows from. */
  readonly order: {
    /** Items in the data set. */
    readonly length: number;
    /** Items in a batch. */
    readonly batchSize: number;
    /** Whether the items are shuffled. */
    readonly shuffle: boolean;
    /** The seed of the orders. */
    readonly seed: number;
    /** Whether a smaller last batch is left out. */
    readonly dropLast: boolean;
  };
}

/**
 * Batches of a data set, epoch by epoch.
 *
 * Each `for await` gives the rest of the current epoch; once it ends the loader
 * stands at the next. The order depends on the seed and the epoch only, so that
 * `state()` is a few numbers and a loader that was restored gives the same
 * remaining batches. A loop that is left early leaves the loader where it was:
 * the next loop goes on behind the last batch, `setEpoch` begins an epoch anew.
 *
 * @example Two epochs, each in its own order
 * ```ts
 * import { columns, DataLoader } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const data = columns({ x: Float32Array.of(0, 1, 2, 3, 4) });
 * const loader = new DataLoader(data, { batchSize: 2, shuffle: true, seed: 1 });
 * const sizes: number[] = [];
 * const seen: number[] = [];
 * while (loader.epoch < 2) {
 *   for await (const { x } of loader) {
 *     sizes.push(x.shape[0]!);
 *     seen.push(...x.data);
 *   }
 * }
 * assertEquals(sizes, [2, 2, 1, 2, 2, 1]);
 * assertEquals(seen.slice(5).sort(), [0, 1, 2, 3, 4]);
 * ```
 */
export class DataLoader<Item, Batch = Collated<Item>>
  implements AsyncIterable<Batch>, Disposable {
  readonly #dataset: Dataset<Item>;
  readonly #collate: (items: readonly Item[]) => Batch | Promise<Batch>;
  readonly #order: DataLoaderState["order"];
  readonly #prefetch: number;
  readonly #workers: number;
  readonly #persistent: boolean;
  readonly #collating: Collating;
  /** Those that are kept. */
  #crew: LoaderWorkers | undefined;
  #epoch = 0;
  #position = 0;
  /** Changes when another loop takes over. */
  #loop: symbol = Symbol();

  /**
   * Begins at epoch 0.
   *
   * @param dataset The items.
   * @param options Size and order of the batches, and how they are made.
   * @throws {RangeError} If `batchSize`, `prefetch` or `workers` is out of range.
   * @throws {TypeError} If the data set has no `get`, or workers cannot make it.
   */
  constructor(
    dataset: Dataset<Item>,
    options: DataLoaderOptions<Item, Batch> = {},
  ) {
    const { batchSize = 1, seed = 0, workers = 0, collate } = options;
    const { prefetch = 2 * workers } = options;
    if (typeof dataset?.get !== "function") {
      throw new TypeError(
        `DataLoader: a data set must have length and get: got ${
          Array.isArray(dataset) ? "an array" : typeof dataset
        }: pass columns({ name: array })`,
      );
    }
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
      throw new RangeError(
        `DataLoader: batchSize must be a whole number from 1: got ${batchSize}`,
      );
    }
    if (!Number.isSafeInteger(workers) || workers < 0) {
      throw new RangeError(
        `DataLoader: workers must be a whole number from 0: got ${workers}`,
      );
    }
    if (workers > 0 && callOf(dataset) === undefined) {
      throw new TypeError(
        "DataLoader: workers cannot make this data set: it was made here: pass " +
          "await remoteDataset(delayed(f)(...args))",
      );
    }
    if (!Number.isSafeInteger(prefetch) || prefetch < 0) {
      throw new RangeError(
        `DataLoader: prefetch must be a whole number from 0: got ${prefetch}`,
      );
    }
    if (!Number.isSafeInteger(seed)) {
      throw new RangeError(
        `DataLoader: seed must be a whole number below 2^53: got ${seed}`,
      );
    }
    this.#dataset = dataset;
    this.#prefetch = prefetch;
    this.#collate = collate ??
      (defaultCollate as unknown as (items: readonly Item[]) => Batch);
    this.#collating = collatingOf(collate);
    this.#workers = workers;
    this.#persistent = options.persistentWorkers ?? false;
    this.#order = {
      length: dataset.length,
      batchSize,
      shuffle: options.shuffle ?? false,
      seed,
      dropLast: options.dropLast ?? false,
    };
  }

  /** Batches in an epoch. */
  get length(): number {
    const { length, batchSize, dropLast } = this.#order;
    return dropLast
      ? Math.floor(length / batchSize)
      : Math.ceil(length / batchSize);
  }

  /** The epoch that the next batch belongs to, from 0. */
  get epoch(): number {
    return this.#epoch;
  }

  /**
   * Goes to the beginning of an epoch.
   *
   * @param epoch From 0.
   * @throws {RangeError} If `epoch` is not a whole number from 0.
   */
  setEpoch(epoch: number): void {
    this.#moveTo(epoch, 0);
  }

  /**
   * Where the loader stands: behind the last batch that was handed out, however
   * many were prefetched.
   *
   * @returns A JSON-safe copy, for {@linkcode DataLoader.restore}.
   */
  state(): DataLoaderState {
    return {
      epoch: this.#epoch,
      position: this.#position,
      order: { ...this.#order },
    };
  }

  /**
   * Goes on where `state` was taken, with the same remaining batches. A state
   * taken behind the last batch of an epoch gives a first loop of no batches,
   * as the loop that it was taken in had none left.
   *
   * @param state What {@linkcode DataLoader.state} gave.
   * @throws {RangeError} If this loader has another order or length, so that
   * the batches would not be the same.
   *
   * @example The rest of an epoch
   * ```ts
   * import { columns, DataLoader } from "@heddle/data";
   * import { assertEquals } from "@std/assert";
   *
   * const data = columns({ x: Float32Array.of(0, 1, 2) });
   * const loader = new DataLoader(data, { shuffle: true });
   * await loader[Symbol.asyncIterator]().next();
   * const resumed = new DataLoader(data, { shuffle: true });
   * resumed.restore(JSON.parse(JSON.stringify(loader.state())));
   * assertEquals(await Array.fromAsync(resumed), await Array.fromAsync(loader));
   * ```
   */
  restore(state: DataLoaderState): void {
    for (const [name, mine] of Object.entries(this.#order)) {
      const theirs = state.order[name as keyof DataLoaderState["order"]];
      if (theirs !== mine) {
        throw new RangeError(
          `DataLoader.restore: ${name} differs: the state has ${theirs}, the ` +
            `loader ${mine}: make the loader as the saved one was`,
        );
      }
    }
    this.#moveTo(state.epoch, state.position);
  }

  /**
   * The rest of the current epoch.
   *
   * @returns The batches, in order.
   * @throws {Error} From `next`, if another loop began or the loader was moved
   * meanwhile.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Batch> {
    const loop = Symbol();
    this.#loop = loop;
    return this.#batches(loop);
  }

  #moveTo(epoch: number, position: number): void {
    if (!Number.isSafeInteger(epoch) || epoch < 0) {
      throw new RangeError(
        `DataLoader: an epoch must be a whole number from 0: got ${epoch}`,
      );
    }
    if (!Number.isInteger(position) || position < 0 || position > this.length) {
      throw new RangeError(
        `DataLoader: a position must be from 0 to ${this.length}: got ` +
          `${position}`,
      );
    }
    this.#epoch = epoch;
    this.#position = position;
    this.#loop = Symbol();
  }

  async *#batches(loop: symbol): AsyncGenerator<Batch, void> {
    await this.#dataset.setEpoch?.(this.#epoch);
    const indices = this.#indices();
    const begun: Promise<Batch>[] = [];
    let next = this.#position;
    const crew = next < this.length ? await this.#openWorkers() : undefined;
    try {
      while (this.#position < this.length) {
        this.#checkLoop(loop);
        const end = Math.min(this.length, this.#position + 1 + this.#prefetch);
        while (next < end) {
          const batch = this.#make(indices, next++, crew);
          // Reported where it is awaited, or not at all if the loop is left.
          batch.catch(() => {});
          begun.push(batch);
        }
        const batch = await begun.shift()!;
        this.#checkLoop(loop);
        this.#position++;
        yield batch;
      }
    } finally {
      if (crew !== this.#crew) crew?.[Symbol.dispose]();
    }
    this.#checkLoop(loop);
    this.#epoch++;
    this.#position = 0;
  }

  async #openWorkers(): Promise<LoaderWorkers | undefined> {
    if (this.#workers === 0 || this.#crew !== undefined) return this.#crew;
    // Only here: a program without workers does without a pool.
    const { LoaderWorkers } = await import("./_loader_workers.ts");
    const crew = new LoaderWorkers(this.#workers, callOf(this.#dataset)!);
    if (this.#persistent) this.#crew = crew;
    return crew;
  }

  /** Ends the workers that are kept; the next loop starts others. */
  [Symbol.dispose](): void {
    this.#crew?.[Symbol.dispose]();
    this.#crew = undefined;
  }

  #checkLoop(loop: symbol): void {
    if (loop === this.#loop) return;
    throw new Error(
      "DataLoader: another loop over this loader began, or it was moved: use " +
        "one loop at a time, or one loader for each",
    );
  }

  #indices(): Uint32Array {
    const { length, shuffle, seed } = this.#order;
    if (this.#dataset.length !== length) {
      throw new RangeError(
        `DataLoader: the data set had ${length} items: it has ` +
          `${this.#dataset.length} now: make a new loader`,
      );
    }
    return shuffle
      ? new SeededRandom(seed).fold(this.#epoch).permutation(length)
      : Uint32Array.from({ length }, (_, index) => index);
  }

  async #make(
    indices: Uint32Array,
    batch: number,
    crew: LoaderWorkers | undefined,
  ): Promise<Batch> {
    const { batchSize } = this.#order;
    const begin = batch * batchSize;
    const chosen = Array.from(indices.subarray(begin, begin + batchSize));
    if (crew !== undefined) {
      const collating = this.#collating;
      const loaded = await crew.load(batch, chosen, this.#epoch, collating);
      return collating === "items"
        ? await this.#collate(loaded as Item[])
        : loaded as Batch;
    }
    // Each in a function of its own: when several items fail, all are heard.
    const items = await Promise.all(
      chosen.map(async (index) => await this.#dataset.get(index)),
    );
    return await this.#collate(items);
  }
}

/** Where batches are made of what workers get. */
function collatingOf(collate: unknown): Collating {
  if (collate === undefined || collate === defaultCollate) return "default";
  const { moduleUrl, exportName } = collate as Partial<RemoteReference>;
  return moduleUrl === undefined || exportName === undefined
    ? "items"
    : { moduleUrl, exportName };
}
