/**
 * How a graph is to be run again and again on a device, before it takes any
 * memory.
 *
 * @module
 */

import { bufferBytes, BYTES_PER_ELEMENT } from "../dtype.ts";
import type { Node } from "../graph/node.ts";
import { type Cell, type HostAction, Placeholder } from "../graph/trace.ts";
import { ARENA_STEP } from "../kernel/arena.ts";
import type { Signature } from "../kernel/program.ts";
import { type ReplayPlan, replayPlanOf } from "../kernel/replay_plan.ts";
import { sizeOf } from "../shape.ts";
import type { Device } from "./runtime.ts";

/** What a graph is made into a replay of. */
export interface ReplaySource {
  /** Names the function in messages. */
  readonly name: string;
  /** The graph; its roots are results and new values of cells. */
  readonly signature: Signature;
  /** The cell that each root is the new value of, or undefined for a result. */
  readonly cells: readonly (Cell | undefined)[];
  /** What the host does before each run. */
  readonly actions: readonly (Node | HostAction)[];
}

/** Bytes that a replay needs. */
export interface ReplayMemory {
  /** Arguments. */
  readonly inputs: number;
  /** Tensors that the function reads or replaces: parameters and the like. */
  readonly state: number;
  /** What is computed on the way, in memory that is used again and again. */
  readonly intermediates: number;
  /** What a run returns, and new values that could not be put in place. */
  readonly results: number;
  /** All together. */
  readonly peak: number;
}

/** A plan, and what it was made with. */
export interface Planned {
  readonly plan: ReplayPlan;
  /** Most elements of an arena; 0 for a plan without. */
  readonly maxArena: number;
}

/** Plans a graph for a device; with arenas, if it has them and they may be. */
export function planReplay(
  device: Device,
  { signature, cells }: ReplaySource,
  arenas: boolean,
): Planned {
  const slots = new Map<unknown, number>();
  signature.sources.forEach(({ storage }, slot) => slots.set(storage, slot));
  const replaces = cells.map((cell) =>
    cell?.kind === "tensor" ? slots.get(cell.before!.storage) : undefined
  );
  const planWith = (maxArena: number) =>
    replayPlanOf(device.planOf(signature, { maxArena }), {
      replaces,
      maxArena,
      scalars: signature.params.map(scalarOf),
    });
  const { slice, limits } = device.backend;
  const step = ARENA_STEP * BYTES_PER_ELEMENT;
  const maxArena = arenas && slice
    ? Math.floor(limits.maxBufferBytes / step) * ARENA_STEP
    : 0;
  const plan = maxArena > 0 ? planWith(maxArena) : undefined;
  return plan ? { plan, maxArena } : { plan: planWith(0)!, maxArena: 0 };
}

/** The bytes of a plan. */
export function memoryOf(
  { signature }: ReplaySource,
  plan: ReplayPlan,
): ReplayMemory {
  let [inputs, state, intermediates, results] = [0, 0, 0, 0];
  for (const { storage, shape } of signature.sources) {
    const size = bufferBytes(sizeOf(shape));
    const isArgument = storage instanceof Placeholder &&
      typeof storage.origin === "number";
    if (isArgument) inputs += size;
    else state += size;
  }
  for (const size of plan.blocks) intermediates += bufferBytes(size);
  for (const { size, values } of plan.arenas) {
    if (values[0]?.slot === undefined) intermediates += bufferBytes(size);
  }
  plan.places.forEach(({ kind }, number) => {
    if (kind === "result") results += bufferBytes(plan.sizes[number]!);
  });
  const peak = inputs + state + intermediates + results;
  return { inputs, state, intermediates, results, peak };
}

/** The value of a scalar in the run to come. */
function scalarOf({ op }: Node): number {
  if (op.kind !== "const") throw new TypeError("replay: not a scalar");
  return op.read?.() ?? op.value;
}

/** What follows from a plan for its runs. */
export class Layout {
  /** Buffers that are results, by number. */
  readonly results: readonly number[];
  /** Buffers of each source, by slot. */
  readonly bySlot: readonly (readonly number[])[];
  /** Which sources are overwritten, by the cell that they belong to. */
  readonly overwritten: ReadonlyMap<number, Cell>;
  /** The other slots. */
  readonly onlyRead: readonly number[];
  /** Sources that a kernel writes, each with another that it reads. */
  readonly rivals: readonly (readonly [written: number, read: number])[];

  constructor({ signature, cells }: ReplaySource, plan: ReplayPlan) {
    const { places, roots, steps } = plan;
    this.results = places.flatMap(({ kind }, number) =>
      kind === "result" ? [number] : []
    );
    const bySlot = signature.sources.map((): number[] => []);
    places.forEach((place, number) => {
      if (place.kind === "source") bySlot[place.slot]!.push(number);
    });
    this.bySlot = bySlot;
    const overwritten = new Map<number, Cell>();
    roots.forEach((number, root) => {
      const place = places[number]!;
      const cell = cells[root];
      if (cell && place.kind === "source") overwritten.set(place.slot, cell);
    });
    this.overwritten = overwritten;
    this.onlyRead = signature.sources.flatMap((_, slot) =>
      overwritten.has(slot) ? [] : [slot]
    );
    this.rivals = steps.flatMap(({ kernel, buffers }) => {
      const slots = (output: boolean) =>
        buffers.flatMap((number, at) => {
          const place = places[number]!;
          return kernel.buffers[at]!.output === output &&
              place.kind === "source"
            ? [place.slot]
            : [];
        });
      const read = slots(false);
      return slots(true).flatMap((written) =>
        read.flatMap((slot) => slot === written ? [] : [[written, slot]])
      ) as [number, number][];
    });
  }
}
