import { moved, remote, type SharedValue } from "@heddle/data/pool";

export const add = remote(import.meta, function add(x: number, y: number) {
  return x + y;
});

export const double = remote(import.meta, function double(x: number) {
  return 2 * x;
});

/** The sum of numbers wherever they are. */
export const sumOf = remote(
  import.meta,
  function sumOf(
    { list, record }: { list: readonly number[]; record: { x: number } },
    weights: Float64Array,
  ): number {
    return list.reduce((a, b) => a + b, 0) + record.x +
      weights.reduce((a, b) => a + b, 0);
  },
);

/** The entries of a map of sets. */
export const entriesOf = remote(
  import.meta,
  function entriesOf(
    parts: ReadonlyMap<string | number, ReadonlySet<number | Float64Array>>,
  ): [string | number, unknown[]][] {
    return [...parts].map(([key, set]) => [
      key,
      [...set].map((part) =>
        typeof part === "number"
          ? part
          : part.buffer instanceof SharedArrayBuffer
      ),
    ]);
  },
);

export const isShared = remote(
  import.meta,
  function isShared(values: Float32Array, text: string): string {
    return `${text} ${values.buffer instanceof SharedArrayBuffer} ${values[1]}`;
  },
);

export const fail = remote(
  import.meta,
  function fail(why: string): number {
    throw new RangeError(why);
  },
);

/** Fails so often; counts its tries. */
export const failAtFirst = remote(
  import.meta,
  function failAtFirst(tries: SharedValue<"int32">, times: number): string {
    const before = tries.add(1);
    if (before < times) throw new Error(`try ${before + 1}`);
    return `try ${before + 1}`;
  },
);

export const sleep = remote(
  import.meta,
  async function sleep(ms: number, value: number): Promise<number> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return value;
  },
);

export const compute = remote(
  import.meta,
  function compute(ms: number, ..._needs: unknown[]): number {
    const until = performance.now() + ms;
    while (performance.now() < until);
    return ms;
  },
);

export const large = remote(
  import.meta,
  function large(length: number): Float64Array {
    return moved(new Float64Array(length).fill(1));
  },
);

export const lengthOf = remote(
  import.meta,
  function lengthOf(values: ArrayLike<unknown>): number {
    return values.length;
  },
);

export const exit = remote(import.meta, function exit(): void {
  Deno.exit(3);
});
