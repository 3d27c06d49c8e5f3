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
 * @throws {TypeError} If a tensor is not float32.
 */
export function requireFloat(
  operation: string,
  tensors: Readonly<Record<string, Tensor>>,
): void {
  for (const [name, value] of Object.entries(tensors)) {
    if (!((value as unknown) instanceof Tensor)) {
      throw new TypeError(
        `${operation}: ${name} must be a tensor: got ${
          Array.isArray(value) ? "an array" : typeof value
        }: make one with tensor()`,
      );
    }
    const { dtype } = value;
    if (dtype === "float32") continue;
    throw new TypeError(
      `${operation}: ${name} must be float32: got ${dtype}: cast it first`,
    );
  }
}

/**
 * @throws {RangeError} If a size is not a whole number from 1.
 */
export function requireSizes(
  operation: string,
  sizes: Readonly<Record<string, number>>,
): void {
  for (const [name, size] of Object.entries(sizes)) {
    if (Number.isSafeInteger(size) && size >= 1) continue;
    throw new RangeError(
      `${operation}: ${name} must be a whole number from 1: got ${size}`,
    );
  }
}

/** Broadcasts to `shape` by NumPy's rule without making it larger. */
export function broadcastsTo(from: Shape, shape: Shape): boolean {
  const lead = shape.length - from.length;
  return lead >= 0 &&
    from.every((extent, axis) => extent === 1 || extent === shape[lead + axis]);
}
