/**
 * A function traced for one structure of arguments, on one device.
 *
 * @module
 */

import type { Device } from "../device/runtime.ts";
import { Replay } from "../device/replay.ts";
import type { ReplaySource } from "../device/replay_layout.ts";
import { NanWatch } from "./nan_watch.ts";
import type { Node } from "../graph/node.ts";
import { type Cell, placeholder, runTrace, Trace } from "../graph/trace.ts";
import { signatureOf } from "../kernel/program.ts";
import { nodeOf, Tensor } from "../tensor.ts";
import { type Structure, structureOf, type TensorTree } from "./tree.ts";

/** A function of trees of tensors. */
// deno-lint-ignore no-explicit-any -- any function of trees can be compiled
export type TreeFunction = (...args: any[]) => TensorTree;

/** What a trace found, ready to be planned. */
export interface Traced {
  /** What is computed, and where it goes. */
  readonly source: ReplaySource;
  /** Whether all that the function relied on is as it was. */
  holds(): boolean;
  /** Puts results into the structure that the function returned. */
  rebuild(results: readonly Tensor[]): TensorTree;
  /** Gradients that the function cleared, to be cleared in each run. */
  readonly cleared: readonly Cell[];
}

/**
 * Runs a function on stand-ins and notes what it does.
 *
 * @throws What the function throws; then nothing has changed.
 */
export function traceOf(
  name: string,
  f: TreeFunction,
  args: Structure,
): Traced {
  const trace = new Trace();
  const { result, replaced } = runTrace(trace, () => {
    const inside = args.tensors.map(({ shape, dtype }, at) =>
      new Tensor(placeholder(shape, dtype, false, at))
    );
    const returned: unknown = f(...args.rebuild(inside) as unknown[]);
    if (returned instanceof Promise) {
      // What it may still throw is nobody's to handle.
      returned.catch(() => {});
      throw new TypeError(
        "compile: the function is asynchronous: tensors are computed after it " +
          "returns: read values outside of it",
      );
    }
    const structure = structureOf(returned, "the result");
    return { structure, nodes: structure.tensors.map(nodeOf) };
  });
  const changed = trace.cells.flatMap((cell, at) =>
    replaced[at] === cell.before ? [] : [{ cell, node: replaced[at]! }]
  );
  const written = changed.filter(({ node }) => node !== null);
  const roots: Node[] = [...result.nodes, ...written.map(({ node }) => node)];
  return {
    source: {
      name,
      signature: signatureOf(roots),
      cells: [
        ...result.nodes.map(() => undefined),
        ...written.map(({ cell }) => cell),
      ],
      actions: trace.actions,
    },
    holds: () => trace.holds,
    rebuild: result.structure.rebuild,
    cleared: changed.filter(({ node }) => node === null)
      .map(({ cell }) => cell),
  };
}

/** A traced function with its replay. */
export class Entry {
  /** The device that it runs on. */
  readonly device: Device;
  /** What the trace found. */
  readonly traced: Traced;
  /** What runs. */
  readonly replay: Replay;

  readonly #watch: NanWatch | undefined;

  /** Plans; memory is taken by the first run. */
  constructor(device: Device, traced: Traced, nanWatch: boolean) {
    this.device = device;
    this.traced = traced;
    this.replay = new Replay(device, traced.source);
    if (nanWatch) this.#watch = new NanWatch(this.replay);
  }

  /** Runs once. */
  run(args: readonly Tensor[]): TensorTree {
    const watch = this.#watch;
    watch?.check();
    const nodes = this.replay.run(
      args.map(nodeOf),
      watch && ((ran) => watch.look(ran)),
    );
    for (const cell of this.traced.cleared) cell.replace(null);
    const results = nodes.map((node) => new Tensor(node));
    try {
      watch?.check();
    } catch (error) {
      for (const result of results) result.dispose();
      throw error;
    }
    return this.traced.rebuild(results);
  }
}
