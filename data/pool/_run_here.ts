/**
 * Items in the calling thread.
 *
 * @module
 */

import { trapExit } from "./_exit_trap.ts";
import type { Chunk } from "./_job.ts";
import type { Packed } from "./_messages.ts";
import { ownCode } from "./_own_code.ts";
import { revive } from "./shared/_revive.ts";
import { argumentsNotSendable, notSendable } from "./_not_sendable.ts";
import { movedParts } from "./moved.ts";

/**
 * Writes results of `items` to `out`, `shift` further on.
 *
 * @param take Makes the argument of an item that is no number.
 * @param give Makes the result of a value that is no number.
 * @returns Where it stopped, and what was thrown there.
 */
export type Loop = (
  f: (...args: unknown[]) => unknown,
  items: Packed,
  from: number,
  to: number,
  out: unknown[],
  shift: number,
  take: (item: unknown) => unknown,
  give: (value: unknown) => unknown,
) => { readonly at: number; readonly thrown?: unknown };

/**
 * A loop of a function's own: one that saw other functions calls each of them
 * five times as slowly.
 */
export function makeLoop(spread: boolean): Loop {
  return ownCode(
    ["f", "items", "from", "to", "out", "shift", "take", "give"],
    `let at = from;
    try {
      for (; at < to; at++) {
        let item = items[at];
        if (typeof item !== "number") item = take(item);
        let value = f(${spread ? "...item" : "item"});
        if (typeof value !== "number") value = give(value);
        out[at + shift] = value;
      }
    } catch (thrown) {
      return { at, thrown };
    }
    return { at };`,
  );
}

/** How items went. */
export interface RunHere {
  /** How many gave a result, which their job has. */
  readonly count: number;
  /** How long they took. */
  readonly ms: number;
  /** What the item after those did instead. */
  readonly then?:
    | { readonly kind: "threw"; readonly error: unknown }
    | { readonly kind: "promise"; readonly promise: PromiseLike<unknown> }
    | { readonly kind: "exit"; readonly how: string };
}

/** Thrown through a function that asked to end the thread. */
class ExitSignal {
  readonly #how: string;
  constructor(how: string) {
    this.#how = how;
  }
  /** Not by instanceof: what functions throw may be a proxy that was revoked. */
  static howOf(thrown: unknown): string | undefined {
    const isObject = typeof thrown === "object" && thrown !== null;
    return isObject && #how in thrown ? thrown.#how : undefined;
  }
}

/** Thrown where the result is a promise. */
class PromiseSignal {
  readonly #promise: PromiseLike<unknown>;
  constructor(promise: PromiseLike<unknown>) {
    this.#promise = promise;
  }
  /** As {@linkcode ExitSignal.howOf}. */
  static promiseOf(thrown: unknown): PromiseLike<unknown> | undefined {
    const isObject = typeof thrown === "object" && thrown !== null;
    return isObject && #promise in thrown ? thrown.#promise : undefined;
  }
}

/**
 * Runs items until one does not give a value. Objects are cloned both ways, so
 * that nothing shows where an item ran.
 */
export function runHere(
  loop: Loop,
  f: (...args: unknown[]) => unknown,
  { job, items, from, to, start }: Chunk,
): RunHere {
  const { spread } = job.options;
  const { target } = job;
  const out = target ?? [];
  const shift = (target ? start : 0) - from;
  const started = performance.now();
  const untrap = trapExit((how) => {
    throw new ExitSignal(how);
  });
  const { at, thrown } = loop(
    f,
    items,
    from,
    to,
    out,
    shift,
    (item) => clone("the argument", item, spread),
    give,
  );
  untrap();
  const ms = performance.now() - started;
  const count = at - from;
  if (target) job.written(count);
  else job.results(start, out);
  if (at === to) return { count, ms };
  const how = ExitSignal.howOf(thrown);
  if (how !== undefined) return { count, ms, then: { kind: "exit", how } };
  const promise = PromiseSignal.promiseOf(thrown);
  if (promise) return { count, ms, then: { kind: "promise", promise } };
  return { count, ms, then: { kind: "threw", error: thrown } };
}

function give(value: unknown): unknown {
  if (
    typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  ) throw new PromiseSignal(value as PromiseLike<unknown>);
  return clone("the result", value, false);
}

function clone(what: string, value: unknown, spread: boolean): unknown {
  if (typeof value === "string" || value === undefined) return value;
  const transfer = movedParts([value], 0, 1, spread);
  try {
    return revive(structuredClone(value, { transfer }));
  } catch (cause) {
    throw spread
      ? argumentsNotSendable(
        value as unknown[],
        cause,
        structuredClone,
        transfer,
      )
      : notSendable(what, value, cause, structuredClone, transfer);
  }
}
