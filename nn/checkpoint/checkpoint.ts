import { type GeneratorState, realize, type Tensor } from "@heddle/tensor";
import { checkState, Module } from "../module.ts";
import { Optimizer } from "../optimizers/optimizer.ts";
import { defaultGenerator } from "../random.ts";
import { readSafetensorsHeader } from "../safetensors/header.ts";
import { readSafetensors } from "../safetensors/read.ts";
import { writeSafetensors } from "../safetensors/write.ts";
import {
  METADATA_KEY,
  readSaved,
  type Saved,
  type SavedPart,
  writeSaved,
} from "./_saved.ts";

/** What says in JSON where it is: a schedule, a generator, a data loader. */
export interface Resumable {
  /** Where it is. */
  state(): unknown;
  /** Goes there. */
  restore(state: never): void;
}

/** Something that a checkpoint holds. */
export type CheckpointPart = Module | Optimizer | Resumable;

/** What a checkpoint holds, under names of one's own. */
export type CheckpointParts = Readonly<Record<string, CheckpointPart>>;

/** Where the bytes of a checkpoint are kept. */
export interface CheckpointStore {
  /** All bytes, or undefined if there are none yet. */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Replaces all bytes. A file is written beside and renamed, so that whatever
   * happens meanwhile the old bytes are there, or the new ones.
   */
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * Makes a checkpoint: one safetensors file, from which a run goes on as if it
 * had never stopped.
 *
 * It holds the parameters, buffers and random state of modules, the averages,
 * counts and rates of optimizers, what `state()` of the other parts gives, the
 * default generator, and a state of one's own. A tensor's name is that of its
 * part and its path, `model.0.weight`; the rest is JSON in the metadata.
 *
 * @param parts What is to be restored.
 * @param state JSON of one's own, such as the epoch and the best loss so far;
 * NaN and infinities are kept.
 * @returns The bytes of the file.
 * @throws {RangeError} If a part's name is empty or holds a dot.
 * @throws {TypeError} If a state cannot be written as JSON.
 *
 * @example To bytes and back
 * ```ts
 * import { Adam, Linear, readCheckpoint, writeCheckpoint } from "@heddle/nn";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const make = () => {
 *   const model = new Linear(2, 1);
 *   return { model, optimizer: new Adam(model.parameters()) };
 * };
 * const first = make();
 * first.model.forward(ones([1, 2])).sum().backward();
 * first.optimizer.step();
 * const bytes = await writeCheckpoint(first, { epoch: 1 });
 *
 * const second = make();
 * assertEquals(await readCheckpoint(bytes, second), { epoch: 1 });
 * assertEquals(
 *   await second.model.weight.data(),
 *   await first.model.weight.data(),
 * );
 * ```
 */
export async function writeCheckpoint(
  parts: CheckpointParts,
  state: unknown = null,
): Promise<Uint8Array> {
  checkNames("writeCheckpoint", parts);
  const tensors = tensorsOf(parts);
  const random = defaultGenerator().state();
  // All states are taken before anything is waited for.
  const saved = await Promise.all(
    Object.entries(parts).map(async ([name, part]) =>
      [name, await savePart(part)] as const
    ),
  );
  const json = writeSaved({ random, parts: Object.fromEntries(saved), state });
  return await writeSafetensors(tensors, { [METADATA_KEY]: json });
}

/**
 * Restores parts from the bytes of a checkpoint.
 *
 * @param bytes What {@link writeCheckpoint} gave.
 * @param parts Made as those that were saved, under the same names.
 * @returns The state of one's own that was saved with them.
 * @throws {SafetensorsError} If the bytes are damaged, or no checkpoint.
 * @throws {RangeError} If names or shapes differ from those of the parts;
 * nothing is changed then.
 * @throws {TypeError} The same for types.
 */
export async function readCheckpoint(
  bytes: Uint8Array,
  parts: CheckpointParts,
): Promise<unknown> {
  checkNames("readCheckpoint", parts);
  const { tensors, metadata } = readSafetensors(bytes);
  const saved = readSaved(metadata[METADATA_KEY]);
  checkParts(parts, saved, tensors);
  const entries = Object.entries(parts).map(([name, part]) =>
    [part, saved.parts[name]!, below(tensors, name)] as const
  );
  for (const [part, record, own] of entries) checkPart(part, record, own);
  // First those that may still refuse: a loader of other data, say.
  for (const [part, record] of entries) {
    if (record.kind === "state") {
      (part as Resumable).restore(record.state as never);
    }
  }
  for (const [part, record, own] of entries) restorePart(part, record, own);
  defaultGenerator().restore(saved.random);
  // Computed now: so the next step has the graph that it would have had.
  await realize(...Object.values(tensorsOf(parts)));
  return saved.state;
}

/**
 * Reads the state of one's own alone, say to learn which parts to make.
 *
 * @param bytes What {@link writeCheckpoint} gave.
 * @throws {SafetensorsError} If the bytes are damaged, or no checkpoint.
 *
 * @example
 * ```ts
 * import { readCheckpointState, writeCheckpoint } from "@heddle/nn";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = await writeCheckpoint({}, { hidden: 300 });
 * assertEquals(readCheckpointState(bytes), { hidden: 300 });
 * ```
 */
export function readCheckpointState(bytes: Uint8Array): unknown {
  return readSaved(readSafetensorsHeader(bytes).metadata[METADATA_KEY]).state;
}

/**
 * Writes a checkpoint to a store: see {@link writeCheckpoint}.
 *
 * @example A store in memory
 * ```ts
 * import { Linear, loadCheckpoint, saveCheckpoint } from "@heddle/nn";
 * import { assertEquals } from "@std/assert";
 *
 * let kept: Uint8Array | undefined;
 * const store = {
 *   read: () => Promise.resolve(kept),
 *   write: (bytes: Uint8Array) => Promise.resolve(void (kept = bytes)),
 * };
 * const model = new Linear(2, 1);
 * assertEquals(await loadCheckpoint(store, { model }), undefined);
 * await saveCheckpoint(store, { model }, { epoch: 3 });
 * assertEquals(await loadCheckpoint(store, { model }), { epoch: 3 });
 * ```
 */
export async function saveCheckpoint(
  store: CheckpointStore,
  parts: CheckpointParts,
  state: unknown = null,
): Promise<void> {
  await store.write(await writeCheckpoint(parts, state));
}

/**
 * Restores parts from a store: see {@link readCheckpoint}.
 *
 * @returns The state of one's own that was saved with them, or undefined if
 * the store has no checkpoint yet; the parts are as they were then.
 */
export async function loadCheckpoint(
  store: CheckpointStore,
  parts: CheckpointParts,
): Promise<unknown> {
  const bytes = await store.read();
  return bytes && await readCheckpoint(bytes, parts);
}

function checkNames(operation: string, parts: CheckpointParts): void {
  for (const name of Object.keys(parts)) {
    if (name !== "" && !name.includes(".")) continue;
    throw new RangeError(
      `${operation}: a part's name must not be empty or hold a dot: got ` +
        `"${name}"`,
    );
  }
}

/** The tensors of all parts, by part and path. */
function tensorsOf(parts: CheckpointParts): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(parts).flatMap(([name, part]) => {
      const own = part instanceof Module
        ? part.stateDict()
        : part instanceof Optimizer
        ? part.stateDict().tensors
        : {};
      return Object.entries(own).map(([path, x]) => [`${name}.${path}`, x]);
    }),
  );
}

/** The tensors of one part, by path. */
function below(
  tensors: Readonly<Record<string, Tensor>>,
  name: string,
): Record<string, Tensor> {
  const prefix = `${name}.`;
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([path, x]) =>
      path.startsWith(prefix) ? [[path.slice(prefix.length), x]] : []
    ),
  );
}

async function savePart(part: CheckpointPart): Promise<SavedPart> {
  if (part instanceof Module) {
    return { kind: "module", generators: generatorStates(part) };
  }
  if (part instanceof Optimizer) {
    const { learningRates, steps } = part.stateDict();
    return { kind: "optimizer", learningRates, steps };
  }
  return { kind: "state", state: await part.state() };
}

function generatorStates(module: Module): Record<string, GeneratorState> {
  return Object.fromEntries(
    module.namedGenerators().map(([path, generator]) => [
      path,
      generator.state(),
    ]),
  );
}

function kindOf(part: CheckpointPart): SavedPart["kind"] {
  if (part instanceof Module) return "module";
  return part instanceof Optimizer ? "optimizer" : "state";
}

/** Whether the checkpoint has these parts, and no tensors of others. */
function checkParts(
  parts: CheckpointParts,
  saved: Saved,
  tensors: Readonly<Record<string, Tensor>>,
): void {
  const list = (kinds: Iterable<readonly [string, string]>) =>
    [...kinds].map(([name, kind]) => `${name} (${kind})`).sort().join(", ");
  const have = list(
    Object.entries(saved.parts).map(([name, { kind }]) => [name, kind]),
  );
  const want = list(
    Object.entries(parts).map(([name, part]) => [name, kindOf(part)]),
  );
  if (have !== want) {
    throw new RangeError(
      `readCheckpoint: other parts were saved: got ${have}: the parts to ` +
        `restore are ${want}`,
    );
  }
  const stray = Object.keys(tensors).find((name) =>
    !Object.hasOwn(parts, name.slice(0, Math.max(0, name.indexOf("."))))
  );
  if (stray !== undefined) {
    throw new RangeError(`readCheckpoint: ${stray} belongs to no part`);
  }
}

function checkPart(
  part: CheckpointPart,
  record: SavedPart,
  tensors: Readonly<Record<string, Tensor>>,
): void {
  if (part instanceof Module && record.kind === "module") {
    checkState("readCheckpoint", part, part.stateDict(), tensors);
    const have = Object.keys(record.generators).sort().join(", ");
    const want = part.namedGenerators().map(([path]) => path).sort().join(", ");
    if (have !== want) {
      throw new RangeError(
        `readCheckpoint: other generators were saved: got ${have || "none"}: ` +
          `${part.constructor.name} has ${want || "none"}`,
      );
    }
  } else if (part instanceof Optimizer && record.kind === "optimizer") {
    part.checkStateDict({ ...record, tensors });
  }
}

function restorePart(
  part: CheckpointPart,
  record: SavedPart,
  tensors: Readonly<Record<string, Tensor>>,
): void {
  if (part instanceof Module && record.kind === "module") {
    part.loadStateDict(tensors);
    for (const [path, generator] of part.namedGenerators()) {
      generator.restore(record.generators[path]!);
    }
  } else if (part instanceof Optimizer && record.kind === "optimizer") {
    part.loadStateDict({ ...record, tensors });
  }
}
