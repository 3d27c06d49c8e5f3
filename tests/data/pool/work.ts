/**
 * What the tests of pools run in workers.
 *
 * @module
 */
import { delayed, moved, parallel, Pool, remote } from "@heddle/data/pool";

export const square = remote(import.meta, function square(x: number) {
  return x * x;
});

export const add = remote(import.meta, function add(a: number, b: number) {
  return a + b;
});

export const countArguments = remote(
  import.meta,
  function countArguments(...list: unknown[]) {
    return list.length;
  },
);

export const fails = remote(import.meta, function fails(text: string): never {
  throw new RangeError(text);
});

/** Fails on odd numbers. */
export const evenOnly = remote(import.meta, function evenOnly(x: number) {
  if (x % 2 === 1) throw new RangeError(`${x} is odd`);
  return x;
});

export const throwsText = remote(import.meta, function throwsText(): never {
  throw "only text";
});

/** Throws what is hard to take apart. */
export const throwsOdd = remote(
  import.meta,
  function throwsOdd(kind: string): never {
    const error = new RangeError(kind);
    const bad = () => {
      throw new Error("not to be read");
    };
    switch (kind) {
      case "stack":
        throw Object.assign(error, { stack: bad });
      case "cause":
        throw Object.defineProperty(error, "cause", { get: bad });
      case "field":
        throw Object.defineProperty(error, kind, {
          get: bad,
          enumerable: true,
        });
      case "shared":
        throw Object.assign(error, { words: new SharedArrayBuffer(4) });
      case "proxy": {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        throw proxy;
      }
    }
    throw error;
  },
);

class CodedError extends TypeError {
  override name = "CodedError";
  code = "E_CODE";
  helper = () => 0; // cannot be cloned
}

export const throwsOwn = remote(import.meta, function throwsOwn(): never {
  throw new CodedError("own class", { cause: new Error("deeper") });
});

export const givesFunction = remote(
  import.meta,
  function givesFunction(x: number): unknown {
    return x === 1 ? () => x : x;
  },
);

export const wait = remote(import.meta, async function wait(ms: number) {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
});

/** Gives its turn once that has come. */
export const awaitTurn = remote(
  import.meta,
  async function awaitTurn([words, turn]: [Int32Array, number]) {
    while (Atomics.load(words, 0) !== turn) await wait(1);
    return turn;
  },
);

/** Blocks its thread. */
export const spin = remote(import.meta, function spin(ms: number) {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return ms;
});

/** How a worker may end. */
export type End =
  | "exit"
  | "process"
  | "close"
  | "timer"
  | "rejection"
  | "stay";

/** Ends its worker, or gives `x`. */
export const end = remote(
  import.meta,
  async function end(how: End, x: number): Promise<number> {
    if (how === "exit") Deno.exit(7);
    if (how === "process") (await import("node:process")).exit(8);
    if (how === "close") (globalThis as unknown as Worker & Window).close();
    if (how === "timer") {
      setTimeout(() => {
        throw new RangeError("late");
      });
      await new Promise(() => {});
    }
    if (how === "rejection") {
      Promise.reject(new RangeError("nobody listens"));
      await new Promise(() => {});
    }
    return x;
  },
);

/**
 * Counts itself in the first word; as the one that `waits`, blocks until so many
 * others did.
 *
 * @returns Whether they did within 10 s.
 */
export const meetOthers = remote(
  import.meta,
  function meetOthers(words: Int32Array, waits: number): boolean {
    if (waits === 0) {
      Atomics.add(words, 0, 1);
      Atomics.notify(words, 0);
      return true;
    }
    const end = performance.now() + 10_000;
    for (let left; (left = end - performance.now()) > 0;) {
      const count = Atomics.load(words, 0);
      if (count >= waits) return true;
      Atomics.wait(words, 0, count, left);
    }
    return false;
  },
);

/**
 * Leaves a file in a folder; as the one that `waits`, blocks until there are so
 * many.
 *
 * @returns Whether they came within 10 s.
 */
export const meetInFolder = remote(
  import.meta,
  function meetInFolder(folder: string, waits: number): boolean {
    if (waits === 0) {
      Deno.writeTextFileSync(`${folder}/${crypto.randomUUID()}`, "");
    }
    const end = performance.now() + 10_000;
    while ([...Deno.readDirSync(folder)].length < waits) {
      if (performance.now() > end) return false;
      spin(5);
    }
    return true;
  },
);

export const countParts = remote(
  import.meta,
  function countParts(...parts: unknown[]): number {
    return parts.length;
  },
);

export const negate = remote(import.meta, function negate(x: number) {
  return -x;
});

let state = "fresh";

export const setState = remote(
  import.meta,
  function setState(to: string): void {
    if (to === "throw") throw new RangeError("no such state");
    if (to === "exit") Deno.exit(3);
    state = to;
  },
);

export const getState = remote(import.meta, function getState(_: number) {
  return state;
});

let calls = 0;

/** How many items this worker has had. */
export const countCalls = remote(import.meta, function countCalls(_: number) {
  return ++calls;
});

export const sumOf = remote(
  import.meta,
  function sumOf(values: Float64Array): number {
    return values.reduce((sum, x) => sum + x, 0);
  },
);

export const ones = remote(
  import.meta,
  function ones(length: number): Float64Array {
    return moved(new Float64Array(length).fill(1));
  },
);

export const increment = remote(
  import.meta,
  function increment(words: Int32Array): number {
    return Atomics.add(words, 0, 1);
  },
);

/** A pool in a worker. */
export const innerMap = remote(
  import.meta,
  async function innerMap(x: number): Promise<number[]> {
    await using pool = new Pool({ workers: 1, inCaller: false });
    return await pool.map(square, [x, x + 1]);
  },
);

/** No function. */
export const number = 3;

/**
 * Counts its runs at `index` of `runs`; dies at the first `crashes` of them,
 * and throws if that is negative.
 */
export const crashy = remote(
  import.meta,
  function crashy(runs: Int32Array, index: number, crashes: number): number {
    const before = Atomics.add(runs, index, 1);
    if (before < crashes) Deno.exit(1);
    if (crashes < 0) throw new RangeError("its fate");
    return index;
  },
);

export const crashyItem = remote(
  import.meta,
  function crashyItem(item: [Int32Array, number, number]): number {
    return crashy(...item);
  },
);

export const exitAt7 = remote(import.meta, function exitAt7(x: number) {
  if (x === 7) Deno.exit(1);
  return -x;
});

export const sumThenExit = remote(
  import.meta,
  function sumThenExit(values: Float64Array): number {
    Deno.exit(values.length);
  },
);

export const pidOf = remote(import.meta, async function pidOf(_: number) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return Deno.pid;
});

/** Fills the heap with `blocks` of 8 kB, of which it is never rid. */
export const fillMemory = remote(
  import.meta,
  function fillMemory(blocks: number): number {
    const kept: number[][] = [];
    while (kept.length < blocks) {
      kept.push(Array.from({ length: 1000 }, () => Math.random()));
    }
    return kept.length;
  },
);

/** Prints in every way, by itself and by a process of its own. */
export const prints = remote(import.meta, function prints(text: string) {
  // deno-lint-ignore no-console
  console.log(`printed ${text}`);
  Deno.stdout.writeSync(new TextEncoder().encode(`written ${text}\n`));
  return text;
});

export const readEnv = remote(import.meta, function readEnv(name: string) {
  return Deno.env.get(name);
});

/** The sum of 0 to `n - 1`, each term a call of its own. */
export const nestedSum = remote(
  import.meta,
  async function nestedSum(n: number): Promise<number> {
    const terms = await parallel()(
      Array.from({ length: n }, (_, i) => delayed(add)(i, 0)),
    );
    return terms.reduce((sum, term) => sum + term, 0);
  },
);
