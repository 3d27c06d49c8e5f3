/**
 * The tensor: a lazy array with gradients.
 *
 * @module
 */

import type { DType, TensorData } from "./dtype.ts";
import { noteOrigin } from "./device/leaks.ts";
import {
  computeAlone,
  computeNow,
  currentDevice,
  defer,
  ensureDevice,
  release,
  retire,
} from "./device/session.ts";
import {
  hostValues,
  isOnDevice,
  readSync,
  readValues,
} from "./device/runtime.ts";
import { constantValue, fence, filled } from "./graph/build.ts";
import { gradients } from "./graph/gradients.ts";
import {
  isGradEnabled,
  type Node,
  topological,
  withGrad,
  withoutGrad,
} from "./graph/node.ts";
import {
  currentTrace,
  placeholder,
  requireNoTrace,
  type Trace,
} from "./graph/trace.ts";
import { formatValues, nest, type NestedArray } from "./format.ts";
import { formatShape, sameShape, type Shape, sizeOf } from "./shape.ts";
import { track } from "./scope.ts";
import * as ops from "./ops/mod.ts";

/** What an elementwise operation takes beside a tensor. */
export type Operand = Tensor | number | boolean;

const variables = new WeakMap<Node, Tensor>();

let unwrap: (tensor: Tensor) => Node;

/**
 * The graph node behind a tensor.
 *
 * @throws {TypeError} If it is no tensor.
 */
export function nodeOf(tensor: Tensor): Node {
  requireTensor("Tensor", tensor);
  return unwrap(tensor);
}

/**
 * Checks a value that came from plain JavaScript.
 *
 * @throws {TypeError} If it is no tensor.
 */
export function requireTensor(operation: string, value: unknown): void {
  if (value instanceof Tensor) return;
  const got = Array.isArray(value)
    ? "an array"
    : typeof value === "number"
    ? `the number ${value}`
    : String(value === null ? null : typeof value);
  throw new TypeError(
    `${operation}: not a tensor: got ${got}: make one with tensor()`,
  );
}

/**
 * A multi-dimensional array that is computed when it is asked for.
 *
 * Operations return at once; `await t.data()` computes everything that the
 * values need in as few kernels as possible. A tensor made with `requiresGrad`
 * receives its gradient in `grad` from `backward()`.
 *
 * @example A gradient
 * ```ts
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const x = tensor([1, 2, 3], { requiresGrad: true });
 * x.mul(x).sum().backward();
 * assertEquals(await x.grad!.toArray(), [2, 4, 6]);
 * ```
 */
export class Tensor {
  #shown: Node;
  #grad: Tensor | null = null;
  #disposed = false;
  /** The trace that it was made in. */
  readonly #home: Trace | undefined = currentTrace();
  /** The traces under way that have taken note of its values and gradient. */
  #seenBy: Trace | undefined;
  #gradSeenBy: Trace | undefined;

  /** Wraps a graph node; use {@link tensor} and the other creators instead. */
  constructor(node: unknown) {
    this.#shown = node as Node;
    this.#shown.handles++;
    noteOrigin(this.#shown);
    if (this.#home === undefined) track(this);
  }

  get #node(): Node {
    const trace = currentTrace();
    if (trace !== this.#home) this.#enter(trace);
    return this.#shown;
  }

  /** Stands in for its values while a function that names it is traced. */
  #enter(trace: Trace | undefined): void {
    if (this.#seenBy === trace && trace !== undefined) return;
    if (trace === undefined || this.#home !== undefined) {
      throw new Error(
        "compile: a tensor that was made while a function was traced is used " +
          "after it: return it from the function",
      );
    }
    const before = this.#shown;
    const isVariable = variables.has(before);
    if (before.needsGrad && !isVariable && isGradEnabled()) {
      throw new TypeError(
        "compile: the function uses a tensor that was made from variables " +
          "outside of it: gradients would not reach them: make it inside, or " +
          "take stopGradient(x)",
      );
    }
    trace.guard(() => variables.has(this.#shown));
    const { shape, dtype } = before;
    const inside = placeholder(shape, dtype, isVariable, () => this.#shown);
    if (isVariable) variables.set(inside, this);
    this.#shown = inside;
    this.#seenBy = trace;
    trace.cells.push({
      kind: "tensor",
      before: inside,
      present: () => this.#shown,
      restore: () => {
        this.#shown = before;
        this.#seenBy = undefined;
      },
      replace: (node) => {
        if (variables.has(this.#shown)) variables.set(node!, this);
        retire(this.#shown);
        this.#shown = node!;
        node!.handles++;
      },
    });
  }

  /**
   * The gradient that `backward()` added up, or null if there is none yet.
   */
  get grad(): Tensor | null {
    this.#enterGrad();
    return this.#grad;
  }

  set grad(value: Tensor | null) {
    this.#enterGrad();
    this.#grad = value;
  }

  #enterGrad(): void {
    const trace = currentTrace();
    if (trace === this.#home || trace === undefined) return;
    if (this.#gradSeenBy === trace) return;
    const outside = this.#grad;
    trace.guard(() => this.#grad === null);
    const inside = outside && placeholder(
      outside.shape,
      outside.dtype,
      false,
      () => this.#grad!.#shown,
    );
    this.#grad = inside && new Tensor(inside);
    this.#gradSeenBy = trace;
    trace.cells.push({
      kind: "gradient",
      before: inside,
      present: () => this.#grad && this.#grad.#node,
      restore: () => {
        this.#grad = outside;
        this.#gradSeenBy = undefined;
      },
      replace: (node) => this.#grad = node && new Tensor(node),
    });
  }

  static {
    unwrap = (tensor) => tensor.#node;
  }

  /** Sizes of the axes, outermost first. */
  get shape(): Shape {
    return this.#shown.shape;
  }

  /** Number of axes. */
  get rank(): number {
    return this.#shown.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.#shown.shape);
  }

  /** Element type. */
  get dtype(): DType {
    return this.#shown.dtype;
  }

  /** Whether `backward()` of what is made from it reaches it. */
  get requiresGrad(): boolean {
    return this.#node.needsGrad;
  }

  /**
   * Whether it is a variable: a leaf whose gradient `backward()` leaves in
   * `grad`. What is made from one has a gradient, but is none itself.
   */
  get isVariable(): boolean {
    return variables.has(this.#node);
  }

  /** Whether its values have been computed. */
  get isComputed(): boolean {
    return this.#node.storage !== undefined;
  }

  /**
   * Makes it a variable: from now on `backward()` leaves its gradient in `grad`.
   *
   * @throws {TypeError} If it is not float32.
   * @throws {Error} In a compiled function, if the tensor is from outside.
   */
  asVariable(): this {
    if (this.dtype !== "float32") {
      throw new TypeError(
        `asVariable: only float32 has gradients: got ${this.dtype}`,
      );
    }
    if (currentTrace() !== this.#home && !this.isVariable) {
      throw new Error(
        "asVariable: a compiled function makes a tensor from outside of it a " +
          "variable: do that before the function is called",
      );
    }
    this.#become(this.#node);
    return this;
  }

  /** Takes over a value as a leaf with a gradient of its own. */
  #become(value: Node): void {
    const leaf = withGrad(() => fence(value, true));
    variables.set(leaf, this);
    this.#show(leaf);
  }

  /** Shows another node from now on. */
  #show(node: Node): void {
    retire(this.#node);
    this.#shown = node;
    node.handles++;
    defer(node);
  }

  /**
   * Replaces the values; identity, and being a variable, stay. Tensors made
   * before keep the old values, which stay until the end of the next
   * optimizer step.
   *
   * @param value Of the same shape and type; no gradient flows through it.
   * @throws {RangeError} If the shapes differ.
   * @throws {TypeError} If the types differ.
   */
  assign(value: Tensor): this {
    requireTensor("assign", value);
    if (!sameShape(value.shape, this.shape)) {
      throw new RangeError(
        `assign: shapes differ: got ${formatShape(value.shape)} for ${
          formatShape(this.shape)
        }`,
      );
    }
    if (value.dtype !== this.dtype) {
      throw new TypeError(
        `assign: types differ: got ${value.dtype} for ${this.dtype}`,
      );
    }
    // Zeros that something is added to, say.
    if (constantValue(this.#node) !== undefined) computeAlone([this.#node]);
    if (variables.has(this.#node)) this.#become(value.#node);
    else this.#show(fence(value.#node, false));
    return this;
  }

  /**
   * Adds the gradient of this tensor to `grad` of every variable that it was
   * made from.
   *
   * @param seed The gradient of the result, of this shape; may be left out
   * for a single element, where it is 1.
   * @throws {RangeError} If there are several elements and no seed, or its
   * shape differs.
   * @throws {TypeError} If the seed is not float32.
   * @throws {Error} If no variable has a part in it.
   */
  backward(seed?: Tensor): void {
    const root = this.#node;
    if (seed !== undefined) requireTensor("backward", seed);
    if (seed === undefined && this.size !== 1) {
      throw new RangeError(
        `backward: not a scalar: got shape ${
          formatShape(this.shape)
        }: reduce it first, or pass a seed of that shape`,
      );
    }
    if (seed !== undefined && !sameShape(seed.shape, this.shape)) {
      throw new RangeError(
        `backward: the seed's shape differs: got ${
          formatShape(seed.shape)
        } for ${formatShape(this.shape)}`,
      );
    }
    if (seed !== undefined && seed.dtype !== "float32") {
      throw new TypeError(
        `backward: the seed must be float32: got ${seed.dtype}`,
      );
    }
    const leaves = topological(
      [root],
      (node) => !node.needsGrad || variables.has(node),
    )
      .filter((node) => variables.has(node));
    if (leaves.length === 0) {
      throw new Error(
        "backward: nothing to differentiate: no tensor with requiresGrad has " +
          "a part in this one: what a compiled function returns has none: " +
          "call backward() inside of it",
      );
    }
    computeAlone(leaves);
    withoutGrad(() => {
      const start = seed ? seed.#node : filled(1, root.shape, "float32");
      const found = gradients([root], [start], leaves);
      found.forEach((gradient, at) => {
        const variable = variables.get(leaves[at]!)!;
        if (gradient === null) return;
        const part = new Tensor(gradient);
        variable.grad = variable.grad ? variable.grad.add(part) : part;
      });
    });
    // The loss shares its work with the gradients if they run together.
    defer(root);
  }

  /**
   * The values, row by row.
   *
   * @returns A new Float32Array, Int32Array, Uint32Array, or for bool a
   * Uint8Array of 0 and 1.
   */
  data(): Promise<TensorData> {
    requireNoTrace("data");
    return this.#read();
  }

  // Apart from what is public: that refuses at once, not by a rejection which
  // nobody may wait for.
  async #read(): Promise<TensorData> {
    const node = this.#node;
    const given = hostValues(node);
    if (given !== undefined) return given;
    if (!isOnDevice(node)) computeNow(await ensureDevice(), [node]);
    return await readValues(node);
  }

  /**
   * The one value.
   *
   * @returns A number; 0 or 1 for a bool.
   * @throws {RangeError} If there is not exactly one element.
   */
  item(): Promise<number> {
    requireNoTrace("item");
    return this.#item();
  }

  async #item(): Promise<number> {
    if (this.size !== 1) {
      throw new RangeError(
        `item: not a single element: got shape ${
          formatShape(this.shape)
        }: use data()`,
      );
    }
    return (await this.#read())[0]!;
  }

  /** The values as nested arrays; a number for a scalar, booleans for bool. */
  toArray(): Promise<NestedArray> {
    requireNoTrace("toArray");
    return this.#read().then((data) => nest(data, this.shape, this.dtype));
  }

  /** The values as text, as NumPy prints them. */
  show(): Promise<string> {
    requireNoTrace("show");
    const { shape, dtype } = this;
    return this.#read().then((data) => formatValues(data, shape, dtype));
  }

  /** Computes the values without reading them. */
  realize(): Promise<this> {
    requireNoTrace("realize");
    return ensureDevice().then((device) => {
      computeNow(device, [this.#node]);
      return this;
    });
  }

  /**
   * Gives the memory back, unless another tensor is the same; neither this one
   * nor what was made of it and is not computed yet may be used again.
   */
  dispose(): void {
    // What a trace makes holds no memory.
    if (this.#disposed || currentTrace() !== undefined) return;
    this.#disposed = true;
    if (this.#home === undefined) release(this.#node);
  }

  /** The values if they can be had at once, or what it takes to have them. */
  toString(): string {
    const { dtype } = this;
    const shape = formatShape(this.shape);
    const values = hostValues(this.#node) ?? readSync(this.#node);
    if (values === undefined) {
      return this.isComputed
        ? `Tensor(${dtype} ${shape}, on ${currentDevice()?.name}: await show())`
        : `Tensor(${dtype} ${shape}, not computed yet: await show())`;
    }
    const text = formatValues(values, this.shape, dtype, "Tensor(");
    return `Tensor(${text}, ${dtype} ${shape})`;
  }

  /** What `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** What `console.log` shows on Node.js. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /**
   * Text for a template; as a number it is an error.
   *
   * @throws {TypeError} From `x + 1`, `x > 0` and the like.
   */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return this.toString();
    throw new TypeError(
      `Tensor: not a number: got shape ${
        formatShape(this.shape)
      } in an expression: use add(), gt() and the like, await item() for ` +
        "the number, or `${x}` for text",
    );
  }

  /**
   * Not possible: values are read asynchronously.
   *
   * @throws {TypeError} From `JSON.stringify`.
   */
  toJSON(): never {
    throw new TypeError(
      "Tensor: JSON cannot wait for the values: use await toArray(), or " +
        "safetensors for many",
    );
  }

  /** `-x`. */
  neg(): Tensor {
    return ops.neg(this);
  }

  /** `|x|`. */
  abs(): Tensor {
    return ops.abs(this);
  }

  /** -1, 0 or 1. */
  sign(): Tensor {
    return ops.sign(this);
  }

  /** `e^x`. */
  exp(): Tensor {
    return ops.exp(this);
  }

  /** The natural logarithm. */
  log(): Tensor {
    return ops.log(this);
  }

  /** The square root. */
  sqrt(): Tensor {
    return ops.sqrt(this);
  }

  /** `1 / sqrt(x)`. */
  rsqrt(): Tensor {
    return ops.rsqrt(this);
  }

  /** `1 / x`. */
  reciprocal(): Tensor {
    return ops.reciprocal(this);
  }

  /** `x * x`. */
  square(): Tensor {
    return ops.square(this);
  }

  /** The sine, in radians. */
  sin(): Tensor {
    return ops.sin(this);
  }

  /** The cosine, in radians. */
  cos(): Tensor {
    return ops.cos(this);
  }

  /** The tangent, in radians. */
  tan(): Tensor {
    return ops.tan(this);
  }

  /** Rounds down. */
  floor(): Tensor {
    return ops.floor(this);
  }

  /** Rounds up. */
  ceil(): Tensor {
    return ops.ceil(this);
  }

  /** Rounds to the nearest, halves to even. */
  round(): Tensor {
    return ops.round(this);
  }

  /** The whole part. */
  trunc(): Tensor {
    return ops.trunc(this);
  }

  /** `log(1 + x)`. */
  log1p(): Tensor {
    return ops.log1p(this);
  }

  /** `exp(x) - 1`. */
  expm1(): Tensor {
    return ops.expm1(this);
  }

  /** The error function. */
  erf(): Tensor {
    return ops.erf(this);
  }

  /** The hyperbolic tangent. */
  tanh(): Tensor {
    return ops.tanh(this);
  }

  /** `1 / (1 + exp(-x))`. */
  sigmoid(): Tensor {
    return ops.sigmoid(this);
  }

  /** `max(x, 0)`. */
  relu(): Tensor {
    return ops.relu(this);
  }

  /** `x * sigmoid(x)`. */
  silu(): Tensor {
    return ops.silu(this);
  }

  /** `log(1 + exp(x))`. */
  softplus(): Tensor {
    return ops.softplus(this);
  }

  /** Whether it is 0. */
  logicalNot(): Tensor {
    return ops.logicalNot(this);
  }

  /** All bits flipped. */
  bitNot(): Tensor {
    return ops.bitNot(this);
  }

  /** Whether it is not a number. */
  isNaN(): Tensor {
    return ops.isNaN(this);
  }

  /** Whether it is infinite. */
  isInf(): Tensor {
    return ops.isInf(this);
  }

  /** Whether it is neither infinite nor NaN. */
  isFinite(): Tensor {
    return ops.isFinite(this);
  }

  /** `this + other`. */
  add(other: Operand): Tensor {
    return ops.add(this, other);
  }

  /** `this - other`. */
  sub(other: Operand): Tensor {
    return ops.sub(this, other);
  }

  /** `this * other`. */
  mul(other: Operand): Tensor {
    return ops.mul(this, other);
  }

  /** `this / other`. */
  div(other: Operand): Tensor {
    return ops.div(this, other);
  }

  /** To the power `other`. */
  pow(other: Operand): Tensor {
    return ops.pow(this, other);
  }

  /** The greater of both. */
  maximum(other: Operand): Tensor {
    return ops.maximum(this, other);
  }

  /** The lesser of both. */
  minimum(other: Operand): Tensor {
    return ops.minimum(this, other);
  }

  /** The remainder, with the divisor's sign. */
  mod(other: Operand): Tensor {
    return ops.mod(this, other);
  }

  /** The quotient rounded down. */
  floorDivide(other: Operand): Tensor {
    return ops.floorDivide(this, other);
  }

  /** `==`, as bool. */
  eq(other: Operand): Tensor {
    return ops.eq(this, other);
  }

  /** `!=`, as bool. */
  ne(other: Operand): Tensor {
    return ops.ne(this, other);
  }

  /** `<`, as bool. */
  lt(other: Operand): Tensor {
    return ops.lt(this, other);
  }

  /** `<=`, as bool. */
  le(other: Operand): Tensor {
    return ops.le(this, other);
  }

  /** `>`, as bool. */
  gt(other: Operand): Tensor {
    return ops.gt(this, other);
  }

  /** `>=`, as bool. */
  ge(other: Operand): Tensor {
    return ops.ge(this, other);
  }

  /** Whether both are not 0. */
  logicalAnd(other: Operand): Tensor {
    return ops.logicalAnd(this, other);
  }

  /** Whether one is not 0. */
  logicalOr(other: Operand): Tensor {
    return ops.logicalOr(this, other);
  }

  /** Whether exactly one is not 0. */
  logicalXor(other: Operand): Tensor {
    return ops.logicalXor(this, other);
  }

  /** Bits set in both. */
  bitAnd(other: Operand): Tensor {
    return ops.bitAnd(this, other);
  }

  /** Bits set in one. */
  bitOr(other: Operand): Tensor {
    return ops.bitOr(this, other);
  }

  /** Bits set in exactly one. */
  bitXor(other: Operand): Tensor {
    return ops.bitXor(this, other);
  }

  /** Bits moved up. */
  shiftLeft(other: Operand): Tensor {
    return ops.shiftLeft(this, other);
  }

  /** Bits moved down. */
  shiftRight(other: Operand): Tensor {
    return ops.shiftRight(this, other);
  }

  /** `x` above 0, else `slope * x`. */
  leakyRelu(slope?: number): Tensor {
    return ops.leakyRelu(this, slope);
  }

  /** `x Φ(x)`. */
  gelu(options?: ops.GeluOptions): Tensor {
    return ops.gelu(this, options);
  }

  /** Values outside of the bounds become the bound. */
  clamp(options: ops.ClampOptions): Tensor {
    return ops.clamp(this, options);
  }

  /** To another type. */
  cast(dtype: DType): Tensor {
    return ops.cast(this, dtype);
  }

  /** The same elements under another shape; one size may be -1. */
  reshape(shape: Shape): Tensor {
    return ops.reshape(this, shape);
  }

  /** Reorders the axes. */
  permute(axes: readonly number[]): Tensor {
    return ops.permute(this, axes);
  }

  /** Swaps two axes, the last two if none are given. */
  transpose(a?: number, b?: number): Tensor {
    return ops.transpose(this, a, b);
  }

  /** Repeats axes of size 1. */
  expand(shape: Shape): Tensor {
    return ops.expand(this, shape);
  }

  /** Drops axes of size 1. */
  squeeze(axis?: number | readonly number[]): Tensor {
    return ops.squeeze(this, axis);
  }

  /** Puts in an axis of size 1. */
  unsqueeze(axis: number): Tensor {
    return ops.unsqueeze(this, axis);
  }

  /** Joins axes to one. */
  flatten(startAxis?: number, endAxis?: number): Tensor {
    return ops.flatten(this, startAxis, endAxis);
  }

  /** A part, by one range an axis. */
  slice(...ranges: readonly ops.SliceRange[]): Tensor {
    return ops.slice(this, ...ranges);
  }

  /** Puts a value around the elements. */
  pad(
    widths: readonly (readonly [before: number, after: number])[],
    value?: number,
  ): Tensor {
    return ops.pad(this, widths, value);
  }

  /** Runs axes backwards. */
  flip(axes?: number | readonly number[]): Tensor {
    return ops.flip(this, axes);
  }

  /** Cuts an axis into pieces. */
  split(sizes: number | readonly number[], axis?: number): Tensor[] {
    return ops.split(this, sizes, axis);
  }

  /** Takes elements along an axis. */
  gather(indices: Tensor, axis: number): Tensor {
    return ops.gather(this, indices, axis);
  }

  /** Takes whole slices of an axis. */
  take(indices: Tensor, axis?: number): Tensor {
    return ops.take(this, indices, axis);
  }

  /** Adds updates at their indices along an axis. */
  scatterAdd(indices: Tensor, updates: Tensor, axis: number): Tensor {
    return ops.scatterAdd(this, indices, updates, axis);
  }

  /** 1 at each index, else 0, on a new last axis. */
  oneHot(classes: number): Tensor {
    return ops.oneHot(this, classes);
  }

  /** Zeros above a diagonal. */
  tril(offset?: number): Tensor {
    return ops.tril(this, offset);
  }

  /** Zeros below a diagonal. */
  triu(offset?: number): Tensor {
    return ops.triu(this, offset);
  }

  /** Sums over axes. */
  sum(options?: ops.ReduceOptions): Tensor {
    return ops.sum(this, options);
  }

  /** Multiplies over axes. */
  prod(options?: ops.ReduceOptions): Tensor {
    return ops.prod(this, options);
  }

  /** The greatest over axes. */
  max(options?: ops.ReduceOptions): Tensor {
    return ops.max(this, options);
  }

  /** The least over axes. */
  min(options?: ops.ReduceOptions): Tensor {
    return ops.min(this, options);
  }

  /** The mean over axes. */
  mean(options?: ops.ReduceOptions): Tensor {
    return ops.mean(this, options);
  }

  /** Whether any is not 0. */
  any(options?: ops.ReduceOptions): Tensor {
    return ops.any(this, options);
  }

  /** Whether all are not 0. */
  all(options?: ops.ReduceOptions): Tensor {
    return ops.all(this, options);
  }

  /** `log Σ exp(x)` over axes. */
  logSumExp(options?: ops.ReduceOptions): Tensor {
    return ops.logSumExp(this, options);
  }

  /** The Euclidean norm over axes. */
  norm(options?: ops.ReduceOptions): Tensor {
    return ops.norm(this, options);
  }

  /** The variance over axes. */
  variance(options?: ops.VarianceOptions): Tensor {
    return ops.variance(this, options);
  }

  /** The standard deviation over axes. */
  std(options?: ops.VarianceOptions): Tensor {
    return ops.std(this, options);
  }

  /** Where the greatest is, int32. */
  argmax(options?: ops.ArgOptions): Tensor {
    return ops.argmax(this, options);
  }

  /** Where the least is, int32. */
  argmin(options?: ops.ArgOptions): Tensor {
    return ops.argmin(this, options);
  }

  /** Sums of all elements up to each. */
  cumsum(axis?: number): Tensor {
    return ops.cumsum(this, axis);
  }

  /** Sorted values and where they were. */
  sort(options?: ops.SortOptions): ops.Sorted {
    return ops.sort(this, options);
  }

  /** The positions that would sort an axis. */
  argsort(options?: ops.SortOptions): Tensor {
    return ops.argsort(this, options);
  }

  /** The `k` greatest along an axis. */
  topK(k: number, options?: { readonly axis?: number }): ops.Sorted {
    return ops.topK(this, k, options);
  }

  /** Positive values that sum to one along an axis. */
  softmax(axis?: number): Tensor {
    return ops.softmax(this, axis);
  }

  /** The logarithm of the softmax. */
  logSoftmax(axis?: number): Tensor {
    return ops.logSoftmax(this, axis);
  }

  /** Mean 0 and variance 1 over the last axes. */
  layerNorm(options?: ops.LayerNormOptions): Tensor {
    return ops.layerNorm(this, options);
  }

  /** The matrix product over the last two axes. */
  matmul(other: Tensor): Tensor {
    return ops.matmul(this, other);
  }

  /** Convolves the last two axes. */
  conv2d(weight: Tensor, options?: ops.ConvOptions): Tensor {
    return ops.conv2d(this, weight, options);
  }

  /** The greatest of each window. */
  maxPool2d(size: ops.Pair, options?: ops.PoolOptions): Tensor {
    return ops.maxPool2d(this, size, options);
  }

  /** The mean of each window. */
  avgPool2d(size: ops.Pair, options?: ops.AvgPoolOptions): Tensor {
    return ops.avgPool2d(this, size, options);
  }

  /** The same values; no gradient flows back through them. */
  detach(): Tensor {
    return ops.stopGradient(this);
  }
}
