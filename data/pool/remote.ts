/**
 * A function that another thread, process or machine can find: by the URL of
 * its module and the name under which that module exports it. Its text is never
 * sent.
 *
 * @typeParam Args What it takes.
 * @typeParam Result What it returns; a promise is awaited where it runs.
 */
export interface RemoteReference<
  Args extends unknown[] = never[],
  Result = unknown,
> {
  /** Absolute URL of the module. */
  readonly moduleUrl: string;
  /** Name of the export. */
  readonly exportName: string;
  /** Only for the type checker; there is nothing at run time. */
  readonly signature?: (...args: Args) => Result;
}

/** A {@linkcode RemoteReference} that can also be called here. */
export type RemoteFunction<
  Args extends unknown[] = never[],
  Result = unknown,
> =
  & RemoteReference<Args, Result>
  & ((...args: Args) => Result);

/** The functions that a module exports, each as a {@linkcode RemoteReference}. */
export type RemoteModule<Module> = {
  readonly [
    Name in keyof Module as Module[Name] extends (...args: never[]) => unknown
      ? Name
      : never
  ]: Module[Name] extends (...args: infer Args) => infer Result
    ? RemoteReference<Args, Result>
    : never;
};

/**
 * Makes an exported function one that a pool can run.
 *
 * It must be exported under its own name, and stays callable as before. A
 * worker imports the module, so what stands at its top level runs there as
 * well: put what only the main program should do behind
 * `if (import.meta.main)`.
 *
 * @param meta `import.meta` of the module that exports the function.
 * @param f The function, with a name.
 * @returns `f` itself, with the name of its module and its own.
 * @throws {TypeError} If `f` is no function or has no name.
 *
 * @example A function for a pool
 * ```ts
 * import { remote } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * export const square = remote(import.meta, function square(x: number) {
 *   return x * x;
 * });
 * assertEquals(square(3), 9);
 * assertEquals(square.exportName, "square");
 * ```
 */
export function remote<Args extends unknown[], Result>(
  meta: { readonly url: string },
  f: (...args: Args) => Result,
): RemoteFunction<Args, Result> {
  if (typeof f !== "function") {
    throw new TypeError(`remote: expected a function: got ${describe(f)}`);
  }
  if (typeof meta?.url !== "string") {
    throw new TypeError(
      `remote: expected import.meta and a function: got ${describe(meta)}`,
    );
  }
  if (f.name === "") {
    throw new TypeError(
      "remote: the function has no name: write " +
        "remote(import.meta, function name() {...}), exported as that name",
    );
  }
  return Object.defineProperties(f, {
    moduleUrl: { value: meta.url, enumerable: true },
    exportName: { value: f.name, enumerable: true },
  }) as RemoteFunction<Args, Result>;
}

/**
 * The exported functions of a module that knows nothing of pools.
 *
 * The module is not loaded here, only where its functions run; so its
 * references cannot be called here. Whether an export is there shows when it
 * is first run.
 *
 * @param url Absolute, as from `import.meta.resolve()`.
 * @returns An object whose every property names the export of that name.
 * @throws {TypeError} If `url` is not absolute.
 *
 * @example A function of a library
 * ```ts
 * import { Pool, remoteModule } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const path = remoteModule<typeof import("@std/path")>(
 *   import.meta.resolve("@std/path"),
 * );
 * await using pool = new Pool({ workers: 1 });
 * assertEquals(await pool.map(path.extname, ["a.csv", "b.txt"]), [
 *   ".csv",
 *   ".txt",
 * ]);
 * ```
 */
export function remoteModule<Module>(url: string | URL): RemoteModule<Module> {
  if (!URL.canParse(String(url))) {
    throw new TypeError(
      `remoteModule: the URL must be absolute: got "${url}": ` +
        `use import.meta.resolve("${url}")`,
    );
  }
  const moduleUrl = new URL(url).href;
  return new Proxy({}, {
    get: (_, exportName) =>
      typeof exportName === "symbol" || exportName === "then"
        ? undefined
        : { moduleUrl, exportName },
  }) as RemoteModule<Module>;
}

/** `f` if it names a function of a module. */
export function checkRemote<Args extends unknown[], Result>(
  operation: string,
  f: RemoteReference<Args, Result>,
): RemoteReference<Args, Result> {
  if (
    typeof f?.moduleUrl === "string" && typeof f.exportName === "string"
  ) return f;
  throw new TypeError(
    `${operation}: the function has no module to find it by: got ` +
      `${describe(f)}: export it as remote(import.meta, function ...), ` +
      "or name its module with remoteModule(url)",
  );
}

/** What a value is, for errors. */
export function describe(value: unknown): string {
  if (typeof value === "function") return `function ${value.name || "()"}`;
  if (typeof value !== "object") return typeof value;
  return value === null ? "null" : value.constructor?.name ?? "object";
}
