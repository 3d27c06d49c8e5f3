import { Generator, HostValue, Tensor } from "@heddle/tensor";
import {
  describeMisfit,
  misfitError,
  misfitOf,
  type NamedTensors,
} from "./_fit.ts";
import { allParts, ownParts, type Placed } from "./_parts.ts";

/** The tensors of a module by their paths, such as `branch.0.weight`. */
export type StateDict = Readonly<Record<string, Tensor>>;

/** How {@link Module.loadStateDict} takes a state. */
export interface LoadStateOptions {
  /**
   * Whether every name must be in both. Without it what is in both is taken;
   * shapes and types must agree all the same.
   * @default true
   */
  readonly strict?: boolean;
}

/** What {@link Module.loadStateDict} left alone. */
export interface LoadStateResult {
  /** Paths of the module that the state lacks. */
  readonly missing: readonly string[];
  /** Names of the state that the module lacks. */
  readonly unexpected: readonly string[];
}

/**
 * A part of a network: tensors, other modules, and a function of both.
 *
 * What belongs to it is read off its fields, also in arrays and plain objects
 * that they hold: variables (tensors made with `requiresGrad`) are parameters,
 * other tensors are buffers, modules are children, generators are random state.
 * Paths join the names of the fields: `branch.0.weight`. Keep what is none of
 * the module's state in `#private` fields.
 *
 * A subclass has a `forward` of its own with the inputs that it takes.
 *
 * @example A residual block
 * ```ts
 * import { Linear, Module } from "@heddle/nn";
 * import { ones, type Tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * class Residual extends Module {
 *   layers = [new Linear(4, 8), new Linear(8, 4, { bias: false })];
 *
 *   override forward(x: Tensor): Tensor {
 *     const hidden = this.layers[0]!.forward(x).relu();
 *     return this.layers[1]!.forward(hidden).add(x);
 *   }
 * }
 *
 * const block = new Residual();
 * assertEquals(block.forward(ones([2, 4])).shape, [2, 4]);
 * assertEquals(Object.keys(block.stateDict()), [
 *   "layers.0.weight",
 *   "layers.0.bias",
 *   "layers.1.weight",
 * ]);
 * ```
 */
export abstract class Module {
  readonly #training: HostValue<boolean> = new HostValue(true);

  /** Computes the outputs; subclasses say from what. */
  abstract forward(...inputs: never[]): unknown;

  /** Whether it trains: dropout drops and batch norm counts. */
  get training(): boolean {
    return this.#training.value;
  }

  /**
   * Sets this module and all below it to training, or with false to
   * evaluation.
   *
   * @returns This module.
   */
  train(mode: boolean = true): this {
    for (const module of this.modules()) module.#training.value = mode;
    return this;
  }

  /**
   * Sets this module and all below it to evaluation. Gradients are a matter of
   * `noGrad`, not of this.
   *
   * @returns This module.
   */
  eval(): this {
    return this.train(false);
  }

  /** The modules in its own fields, by path; each once. */
  namedChildren(): [path: string, child: Module][] {
    return onceEach(ownParts<Module>(this, isModule), isModule)
      .filter(([, child]) => child !== this);
  }

  /** The modules in its own fields; each once. */
  children(): Module[] {
    return this.namedChildren().map(([, child]) => child);
  }

  /** This module, under the path `""`, and all below it, by path; each once. */
  namedModules(): [path: string, module: Module][] {
    const below = onceEach(this.#parts(), isModule);
    return [["", this], ...below.filter(([, module]) => module !== this)];
  }

  /** This module and all below it; each once. */
  modules(): Module[] {
    return this.namedModules().map(([, module]) => module);
  }

  /** The variables, by path; each once, under its first path. */
  namedParameters(): [path: string, parameter: Tensor][] {
    return onceEach(this.#parts(), isParameter);
  }

  /** The variables, as optimizers want them; each once. */
  parameters(): Tensor[] {
    return this.namedParameters().map(([, parameter]) => parameter);
  }

  /**
   * Clears the gradients of all parameters, those included that no optimizer
   * has.
   */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad = null;
  }

  /** The tensors that are no variables, by path; each once. */
  namedBuffers(): [path: string, buffer: Tensor][] {
    return onceEach(this.#parts(), isBuffer);
  }

  /** The tensors that are no variables; each once. */
  buffers(): Tensor[] {
    return this.namedBuffers().map(([, buffer]) => buffer);
  }

  /** The sources of random numbers, by path; each once. */
  namedGenerators(): [path: string, generator: Generator][] {
    return onceEach(this.#parts(), isGenerator);
  }

  /**
   * Parameters and buffers by path: the tensors themselves, not copies, so that
   * they change with the module. What is shared has an entry for each path.
   *
   * @throws {RangeError} If two tensors have one path.
   */
  stateDict(): StateDict {
    const entries = new Map<string, Tensor>();
    for (const { path, part } of this.#parts()) {
      if (!(part instanceof Tensor && isState(part))) continue;
      if (entries.has(path)) {
        throw new RangeError(`stateDict: two tensors have the path ${path}`);
      }
      entries.set(path, part);
    }
    return Object.fromEntries(entries);
  }

  /**
   * Takes over the values of a state; identity, and being a variable, stay.
   * Where anything does not fit, nothing is changed.
   *
   * @param state Tensors by path, as {@link Module.stateDict} or a file has
   * them. A path may be missing if the tensor has another one that is there.
   * @param options Whether names may be left out.
   * @returns What was left alone; empty if `strict`.
   * @throws {RangeError} If a name is missing or unexpected, or a shape
   * differs.
   * @throws {TypeError} If a type differs.
   *
   * @example
   * ```ts
   * import { Linear } from "@heddle/nn";
   * import { tensor } from "@heddle/tensor";
   * import { assertEquals, assertThrows } from "@std/assert";
   *
   * const layer = new Linear(2, 1);
   * layer.loadStateDict({ weight: tensor([[1, 2]]), bias: tensor([3]) });
   * assertEquals(await layer.forward(tensor([1, 1])).toArray(), [6]);
   * assertThrows(
   *   () => layer.loadStateDict({ weight: tensor([[1, 2]]) }),
   *   RangeError,
   *   "missing bias",
   * );
   * ```
   */
  loadStateDict(
    state: StateDict,
    options: LoadStateOptions = {},
  ): LoadStateResult {
    const { strict = true } = options;
    const expected = this.stateDict();
    const result = checkState("loadStateDict", this, expected, state, strict);
    for (const [name, value] of Object.entries(state)) {
      if (Object.hasOwn(expected, name)) expected[name]!.assign(value);
    }
    return result;
  }

  /** Its options, as {@link Module.toString} shows them. */
  protected describe(): string {
    return "";
  }

  /** The tree of modules as text. */
  toString(): string {
    const head = `${this.constructor.name}(${this.describe()}`;
    const lines = this.namedChildren().map(([path, child]) =>
      `  ${path}: ${`${child}`.replaceAll("\n", "\n  ")}\n`
    );
    return lines.length > 0 ? `${head}\n${lines.join("")})` : `${head})`;
  }

  /** What `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** What `console.log` shows on Node.js. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  #parts(): Placed<Module | Tensor | Generator>[] {
    return allParts<Module>(this, isModule);
  }
}

/** A module of one tensor to one tensor. */
export interface Layer extends Module {
  /** Computes the output. */
  forward(input: Tensor): Tensor;
}

/**
 * Compares a state with what a module expects, in the words of `operation`.
 *
 * @throws {RangeError} See {@link Module.loadStateDict}.
 * @throws {TypeError} The same.
 */
export function checkState(
  operation: string,
  module: Module,
  expected: NamedTensors,
  given: NamedTensors,
  strict: boolean = true,
): LoadStateResult {
  const all = misfitOf(expected, given);
  const misfit = strict ? all : { ...all, missing: [], unexpected: [] };
  const problem = describeMisfit(misfit);
  if (problem !== "") {
    throw misfitError(
      `${operation}: the state does not fit ${module.constructor.name}: ` +
        problem,
      misfit,
    );
  }
  return { missing: all.missing, unexpected: all.unexpected };
}

function isModule(value: unknown): value is Module {
  return value instanceof Module;
}

function isGenerator(value: unknown): value is Generator {
  return value instanceof Generator;
}

function isParameter(value: unknown): value is Tensor {
  return value instanceof Tensor && value.isVariable;
}

function isBuffer(value: unknown): value is Tensor {
  return value instanceof Tensor && !value.requiresGrad;
}

/** What is computed from variables and kept in a field is no state. */
function isState(value: Tensor): boolean {
  return isParameter(value) || isBuffer(value);
}

function onceEach<Part>(
  placed: readonly Placed<unknown>[],
  isWanted: (part: unknown) => part is Part,
): [path: string, part: Part][] {
  const seen = new Set<unknown>();
  return placed.flatMap(({ path, part }): [string, Part][] => {
    if (!isWanted(part) || seen.has(part)) return [];
    seen.add(part);
    return [[path, part]];
  });
}
