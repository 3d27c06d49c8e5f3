import type { Shape, Tensor } from "@heddle/tensor";

/** Tensors by name, in order. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** How tensors differ from those that were expected. */
export interface Misfit {
  /** Expected, and not there. */
  readonly missing: readonly string[];
  /** There, and not expected. */
  readonly unexpected: readonly string[];
  /** In words: of another shape. */
  readonly shapes: readonly string[];
  /** In words: of another type. */
  readonly types: readonly string[];
}

/**
 * Compares names, shapes and types. A name is not missing if another name of
 * the same tensor is there.
 */
export function misfitOf(expected: NamedTensors, given: NamedTensors): Misfit {
  const names = Object.keys(expected);
  const reached = new Set(
    names.filter((name) => Object.hasOwn(given, name))
      .map((name) => expected[name]),
  );
  const shapes: string[] = [];
  const types: string[] = [];
  for (const [name, have] of Object.entries(given)) {
    if (!Object.hasOwn(expected, name)) continue;
    const want = expected[name]!;
    if (!sameShape(have.shape, want.shape)) {
      shapes.push(
        `${name} is ${formatShape(have.shape)} instead of ${
          formatShape(want.shape)
        }`,
      );
    } else if (have.dtype !== want.dtype) {
      types.push(`${name} is ${have.dtype} instead of ${want.dtype}`);
    }
  }
  return {
    missing: names.filter((name) => !reached.has(expected[name])),
    unexpected: Object.keys(given).filter((name) =>
      !Object.hasOwn(expected, name)
    ),
    shapes,
    types,
  };
}

/** What is wrong, in words; empty if nothing is. */
export function describeMisfit(misfit: Misfit): string {
  const { missing, unexpected, shapes, types } = misfit;
  return [
    missing.length > 0 ? `missing ${listed(missing)}` : "",
    unexpected.length > 0 ? `unexpected ${listed(unexpected)}` : "",
    listed([...shapes, ...types]),
  ].filter((part) => part !== "").join("; ");
}

/** The error that a misfit deserves. */
export function misfitError(message: string, misfit: Misfit): Error {
  const { missing, unexpected, shapes } = misfit;
  const onlyTypes = missing.length + unexpected.length + shapes.length === 0;
  return onlyTypes ? new TypeError(message) : new RangeError(message);
}

const MOST_LISTED = 5;

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MOST_LISTED).join(", ");
  const rest = names.length - MOST_LISTED;
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}

/** `[2, 3]`, as messages show a shape. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Whether both have the same rank and sizes. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, axis) => extent === b[axis]);
}
