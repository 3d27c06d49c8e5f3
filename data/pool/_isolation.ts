import type { StartHost } from "./_host.ts";
import { subprocesses } from "./_subprocess.ts";
import { describe } from "./remote.ts";
import { startThread } from "./_thread.ts";

/** Where workers run; see the options of a pool. */
export interface IsolationOptions {
  readonly isolation?: "thread" | "process";
  readonly permissions?: readonly string[];
  readonly v8Flags?: readonly string[];
}

/** What permissions are for. */
const KINDS = "read|write|net|env|run|sys|ffi|import";
const PERMISSION = new RegExp(
  `^(-[ARWNESI]|--allow-all|--(allow|deny)-(${KINDS})|--ignore-(env|read))` +
    "(=.+)?$",
);

/**
 * What starts such workers.
 *
 * @throws {TypeError} If there are none such.
 * @throws {RangeError} If a flag cannot be one.
 */
export function hostsFor(
  operation: string,
  { isolation = "thread", permissions = [], v8Flags = [] }: IsolationOptions,
): StartHost {
  if (isolation !== "thread" && isolation !== "process") {
    throw new TypeError(
      `${operation}: isolation must be "thread" or "process": got ${isolation}`,
    );
  }
  checkFlags(
    operation,
    "permissions",
    permissions,
    PERMISSION,
    "a permission flag, one of -A, --allow-all, --allow-" +
      `${KINDS.replaceAll("|", ", --allow-")}, --deny-..., --ignore-env, ` +
      "--ignore-read, each with =values where it is not for all",
  );
  checkFlags(
    operation,
    "v8Flags",
    v8Flags,
    /^--[^,\s]+$/,
    "one flag of V8, as --max-old-space-size=512: " +
      "deno run --v8-flags=--help lists them",
  );
  if (isolation === "process") return subprocesses({ permissions, v8Flags });
  if (permissions.length + v8Flags.length > 0) {
    throw new TypeError(
      `${operation}: permissions and v8Flags are of processes: ` +
        'threads have those of the program: pass isolation: "process"',
    );
  }
  return startThread;
}

function checkFlags(
  operation: string,
  name: string,
  flags: readonly string[],
  allowed: RegExp,
  expected: string,
): void {
  if (!Array.isArray(flags)) {
    throw new TypeError(
      `${operation}: ${name} must be an array of flags: got ${typeof flags}`,
    );
  }
  for (const [index, flag] of flags.entries()) {
    if (typeof flag === "string" && allowed.test(flag)) continue;
    const Kind = typeof flag === "string" ? RangeError : TypeError;
    const got = typeof flag === "string" ? `"${flag}"` : describe(flag);
    throw new Kind(
      `${operation}: ${name}[${index}]: got ${got}: expected ${expected}`,
    );
  }
}
