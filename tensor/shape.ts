/**
 * Shapes, axes and broadcasting.
 *
 * @module
 */

/** Sizes of the axes, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements: the product of the sizes, 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const extent of shape) size *= extent;
  return size;
}

/** Whether both have the same rank and sizes. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}

/** `[2, 3]`, as messages show a shape. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/**
 * @throws {TypeError} If a shape is no array.
 */
export function requireList(operation: string, shape: Shape): void {
  if (Array.isArray(shape)) return;
  throw new TypeError(
    `${operation}: a shape is an array of sizes: got ${String(shape)}`,
  );
}

/**
 * Checks sizes that came from outside.
 *
 * @throws {RangeError} If a size is not a whole number >= 0, or the whole is
 * more than 2^31 - 1 elements.
 */
export function checkShape(operation: string, shape: Shape): void {
  requireList(operation, shape);
  for (const extent of shape) {
    if (!Number.isInteger(extent) || extent < 0) {
      throw new RangeError(
        `${operation}: sizes must be whole numbers >= 0: got ${
          formatShape(shape)
        }`,
      );
    }
  }
  if (sizeOf(shape) > 0x7fffffff) {
    throw new RangeError(
      `${operation}: too large: ${
        formatShape(shape)
      } has more than 2^31 - 1 elements`,
    );
  }
}

/**
 * The axis counted from the front.
 *
 * @throws {RangeError} If it is not in `-rank` to `rank - 1`.
 */
export function normalizeAxis(
  operation: string,
  axis: number,
  shape: Shape,
): number {
  const rank = shape.length;
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new RangeError(
      rank === 0
        ? `${operation}: axis ${axis} is out of range: a scalar has no axes`
        : `${operation}: axis ${axis} is out of range for shape ${
          formatShape(shape)
        }: use ${-rank} to ${rank - 1}`,
    );
  }
  return axis < 0 ? axis + rank : axis;
}

/**
 * Distinct axes counted from the front, ascending; all axes if none are given.
 *
 * @throws {RangeError} If one is out of range or given twice.
 */
export function normalizeAxes(
  operation: string,
  axes: number | readonly number[] | undefined,
  shape: Shape,
): number[] {
  if (axes === undefined) return shape.map((_, axis) => axis);
  const list = typeof axes === "number" ? [axes] : axes;
  const found = list.map((axis) => normalizeAxis(operation, axis, shape));
  if (new Set(found).size !== found.length) {
    throw new RangeError(
      `${operation}: an axis is given twice: [${list.join(", ")}]`,
    );
  }
  return found.sort((a, b) => a - b);
}

/**
 * The shape that all operands broadcast to, by NumPy's rule.
 *
 * @throws {RangeError} If two sizes differ and neither is 1.
 */
export function broadcastShapes(
  operation: string,
  ...shapes: readonly Shape[]
): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    const lead = rank - shape.length;
    shape.forEach((extent, axis) => {
      const present = result[lead + axis]!;
      if (present === 1) result[lead + axis] = extent;
      else if (extent !== 1 && extent !== present) {
        throw new RangeError(
          `${operation}: shapes do not broadcast: ${
            shapes.map(formatShape).join(" and ")
          }`,
        );
      }
    });
  }
  return result;
}
