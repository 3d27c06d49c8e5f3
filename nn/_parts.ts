import { Generator, Tensor } from "@heddle/tensor";

/** Something below a module, and where: names of fields joined by dots. */
export interface Placed<Part> {
  /** From the module that was asked. */
  readonly path: string;
  /** The part. */
  readonly part: Part;
}

/** Tensors and generators are the leaves of a module. */
export type Leaf = Tensor | Generator;

/**
 * The modules and leaves in an object's fields, and in the arrays and plain
 * objects that its fields hold.
 *
 * @throws {RangeError} If a name on the way is empty or holds a dot, which
 * would make two paths look alike.
 * @throws {TypeError} If a Map or Set holds a part, which has no path there.
 */
export function ownParts<M>(
  owner: object,
  isModule: (value: unknown) => value is M,
): Placed<M | Leaf>[] {
  const found: Placed<M | Leaf>[] = [];
  const visit = (
    value: unknown,
    names: readonly string[],
    above: readonly unknown[],
  ): void => {
    if (isModule(value) || isLeaf(value)) {
      found.push({ path: pathOf(names), part: value });
    } else if (isHolder(value) && !above.includes(value)) {
      for (const [name, inner] of Object.entries(value)) {
        visit(inner, [...names, name], [...above, value]);
      }
    } else if (value instanceof Map || value instanceof Set) {
      for (const inner of value.values()) {
        if (isModule(inner) || isState(inner)) throw misplaced(value, names);
      }
    }
  };
  for (const [name, value] of Object.entries(owner)) visit(value, [name], []);
  return found;
}

/**
 * Everything below a module, outer parts first. What is shared comes once for
 * each place. A field that leads back to a module around it is left out.
 */
export function allParts<M extends object>(
  root: M,
  isModule: (value: unknown) => value is M,
): Placed<M | Leaf>[] {
  const found: Placed<M | Leaf>[] = [];
  const visit = (module: M, prefix: string, above: readonly M[]): void => {
    for (const { path, part } of ownParts(module, isModule)) {
      if (!isModule(part)) found.push({ path: prefix + path, part });
      else if (!above.includes(part)) {
        found.push({ path: prefix + path, part });
        visit(part, `${prefix}${path}.`, [...above, part]);
      }
    }
  };
  visit(root, "", [root]);
  return found;
}

function isLeaf(value: unknown): value is Leaf {
  return value instanceof Tensor || value instanceof Generator;
}

/** What must be saved, other than tensors that may be a cache. */
function isState(value: unknown): boolean {
  return value instanceof Tensor ? value.isVariable : isLeaf(value);
}

function misplaced(holder: object, names: readonly string[]): TypeError {
  return new TypeError(
    `Module: ${names.join(".")} is a ${holder.constructor.name} of parts, ` +
      "which would not be trained or saved: use an array or a plain object",
  );
}

function isHolder(value: unknown): value is object {
  return Array.isArray(value) ||
    (typeof value === "object" && value !== null &&
      Object.getPrototypeOf(value) === Object.prototype);
}

function pathOf(names: readonly string[]): string {
  const wrong = names.find((name) => name === "" || name.includes("."));
  if (wrong !== undefined) {
    throw new RangeError(
      `Module: a part's name must not be empty or hold a dot: got "${wrong}"`,
    );
  }
  return names.join(".");
}
