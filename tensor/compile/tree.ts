/**
 * Tensors in arrays and plain objects: what compiled functions take and give.
 *
 * @module
 */

import { formatShape } from "../shape.ts";
import { Tensor } from "../tensor.ts";

/** A tensor, nothing, or a list or record of such. */
export type TensorTree =
  | Tensor
  | null
  | undefined
  | void
  | readonly TensorTree[]
  | { readonly [name: string]: TensorTree };

/** The same structure with the tensors taken out. */
export interface Structure {
  /** Equal for trees of the same structure, shapes and types. */
  readonly key: string;
  /** Its tensors, in order. */
  readonly tensors: readonly Tensor[];
  /** The tree, with other tensors in their places. */
  readonly rebuild: (tensors: readonly Tensor[]) => TensorTree;
}

/**
 * Takes a tree apart.
 *
 * @param what Names the tree in messages.
 * @throws {TypeError} If it holds anything else.
 */
export function structureOf(tree: unknown, what: string): Structure {
  const tensors: Tensor[] = [];
  const parts: string[] = [];
  const rebuild = takeApart(tree, what, tensors, parts);
  return { key: parts.join(""), tensors, rebuild };
}

function takeApart(
  tree: unknown,
  where: string,
  tensors: Tensor[],
  parts: string[],
): (tensors: readonly Tensor[]) => TensorTree {
  if (tree instanceof Tensor) {
    const at = tensors.push(tree) - 1;
    parts.push(tree.dtype, formatShape(tree.shape));
    return (all) => all[at]!;
  }
  if (tree === null || tree === undefined) {
    parts.push(`${tree};`);
    return () => tree as null | undefined;
  }
  if (Array.isArray(tree)) {
    parts.push("[");
    const items = tree.map((item, at) =>
      takeApart(item, `${where}[${at}]`, tensors, parts)
    );
    parts.push("]");
    return (all) => items.map((item) => item(all));
  }
  if (isRecord(tree)) {
    parts.push("{");
    const fields = Object.entries(tree).map(([name, value]) => {
      parts.push(JSON.stringify(name));
      return [
        name,
        takeApart(value, `${where}.${name}`, tensors, parts),
      ] as const;
    });
    parts.push("}");
    return (all) =>
      Object.fromEntries(fields.map(([name, field]) => [name, field(all)]));
  }
  throw new TypeError(
    `compile: ${where} is no tensor: got ${describe(tree)}: ` +
      (typeof tree === "number" || typeof tree === "boolean"
        ? "make it a tensor, or a hostScalar() inside the function"
        : "pass tensors, or lists and plain objects of them"),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function describe(value: unknown): string {
  if (value instanceof Promise) return "a promise";
  if (typeof value === "function") return "a function";
  if (typeof value === "object") {
    const { constructor } = value as { readonly constructor?: unknown };
    return typeof constructor === "function" ? constructor.name : "an object";
  }
  return `${typeof value} ${String(value)}`;
}
