import { type Shape, Tensor } from "@heddle/tensor";

/** `[2, 3]`, as messages show a shape. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Whether both have the same rank and sizes. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/**
 * @throws {TypeError} If it is no tensor.
 */
export function requireTensor(
  operation: string,
  name: string,
  value: unknown,
): void {
  if (value instanceof Tensor) return;
  throw new TypeError(
    `${operation}: ${name} must be a tensor: got ${
      Array.isArray(value) ? "an array" : typeof value
    }: make one with tensor()`,
  );
}

/**
 * @throws {TypeError} If it is no float32 tensor.
 */
export function requireFloat(
  operation: string,
  name: string,
  x: Tensor,
): void {
  requireTensor(operation, name, x);
  if (x.dtype !== "float32") {
    throw new TypeError(
      `${operation}: ${name} must be float32: got ${x.dtype}: cast it first`,
    );
  }
}

/**
 * Checks two tensors that are compared element by element. They do not
 * broadcast: `[n]` against `[n, 1]` would quietly compare all with all.
 *
 * @throws {TypeError} If one is not float32.
 * @throws {RangeError} If the shapes differ.
 */
export function requireAlike(
  operation: string,
  name: string,
  x: Tensor,
  targets: Tensor,
): void {
  requireFloat(operation, name, x);
  requireFloat(operation, "targets", targets);
  if (!sameShape(x.shape, targets.shape)) {
    throw new RangeError(
      `${operation}: ${name} and targets differ in shape: got ${
        formatShape(x.shape)
      } and ${formatShape(targets.shape)}: reshape or expand one of them`,
    );
  }
}

/**
 * @throws {TypeError} If the weights are not float32.
 * @throws {RangeError} If they do not broadcast to `shape`.
 */
export function requireWeights(
  operation: string,
  name: string,
  weights: Tensor | undefined,
  shape: Shape,
): void {
  if (weights === undefined) return;
  requireFloat(operation, name, weights);
  const lead = shape.length - weights.rank;
  const fits = lead >= 0 &&
    weights.shape.every((extent, axis) =>
      extent === 1 || extent === shape[lead + axis]
    );
  if (!fits) {
    throw new RangeError(
      `${operation}: ${name} do not broadcast: got ${
        formatShape(weights.shape)
      } for ${formatShape(shape)}`,
    );
  }
}

/**
 * @throws {RangeError} If the value is not a finite number in the range.
 */
export function requireNumber(
  operation: string,
  name: string,
  value: number,
  low: number,
  high: number = Infinity,
): void {
  if (!Number.isFinite(value) || value < low || value > high) {
    const range = high === Infinity ? `${low} or more` : `${low} to ${high}`;
    throw new RangeError(
      `${operation}: ${name} must be ${range}: got ${value}`,
    );
  }
}
