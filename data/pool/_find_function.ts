/** A function as a module exports it. */
export type AnyFunction = (...args: unknown[]) => unknown;

const found = new Map<string, AnyFunction>();

/** A function that was found before. */
export function knownFunction(
  moduleUrl: string,
  exportName: string,
): AnyFunction | undefined {
  return found.get(`${moduleUrl} ${exportName}`);
}

/**
 * Loads the module of a function.
 *
 * @throws {TypeError} If it has no such export, or that is no function.
 * @throws {Error} If it cannot be loaded; `cause` says why.
 */
export async function findFunction(
  moduleUrl: string,
  exportName: string,
): Promise<AnyFunction> {
  let module: Record<string, unknown>;
  try {
    module = await import(moduleUrl);
  } catch (cause) {
    throw new Error(
      `${exportName}: cannot load ${moduleUrl}: ${
        cause instanceof Error ? cause.message : cause
      }`,
      { cause },
    );
  }
  const f = module[exportName];
  if (f === undefined && !(exportName in module)) {
    throw new TypeError(
      `${exportName}: ${moduleUrl} has no such export: it exports ` +
        `${Object.keys(module).join(", ") || "nothing"}: ` +
        "export the function under its own name",
    );
  }
  if (typeof f !== "function") {
    throw new TypeError(
      `${exportName}: the export of ${moduleUrl} is no function: got ` +
        `${f === null ? "null" : typeof f}`,
    );
  }
  found.set(`${moduleUrl} ${exportName}`, f as AnyFunction);
  return f as AnyFunction;
}
