import { isAbsolute, join } from "@std/path";

/**
 * Where downloaded data is kept.
 *
 * `HEDDLE_CACHE` where it is set; else `heddle` in `XDG_CACHE_HOME`, in
 * `LOCALAPPDATA` on Windows, or in `.cache` of `HOME`. A variable that may not
 * be read counts as unset, and nothing is asked of the user.
 *
 * @returns The folder, which need not exist, or `null` where none of the
 * variables is set.
 *
 * @example Where this machine keeps data
 * ```ts
 * import { cacheFolder } from "@heddle/data";
 * import { assert } from "@std/assert";
 *
 * const folder = cacheFolder();
 * assert(folder === null || folder.length > 0);
 * ```
 */
export function cacheFolder(): string | null {
  const own = variable("HEDDLE_CACHE");
  if (own !== undefined) return own;
  // The XDG base directory specification: relative paths are to be ignored.
  const shared = variable("XDG_CACHE_HOME");
  if (shared !== undefined && isAbsolute(shared)) return join(shared, "heddle");
  if (Deno.build.os === "windows") {
    const local = variable("LOCALAPPDATA");
    return local === undefined ? null : join(local, "heddle");
  }
  const home = variable("HOME");
  return home === undefined ? null : join(home, ".cache", "heddle");
}

/** An environment variable; unset where it is empty or may not be read. */
function variable(name: string): string | undefined {
  const access = Deno.permissions.querySync({ name: "env", variable: name });
  if (access.state !== "granted") return undefined;
  return Deno.env.get(name) || undefined;
}
