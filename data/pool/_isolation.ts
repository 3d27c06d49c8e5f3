import type { StartHost } from "./_host.ts";
import { subprocesses } from "./_subprocess.ts";
import { startThread } from "./_thread.ts";

/** Where workers run; see the options of a pool. */
export interface IsolationOptions {
  readonly isolation?: "thread" | "process";
  readonly permissions?: readonly string[];
  readonly v8Flags?: readonly string[];
}

/**
 * What starts such workers.
 *
 * @throws {TypeError} If there are none such.
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
  for (const [name, flags] of Object.entries({ permissions, v8Flags })) {
    if (Array.isArray(flags)) continue;
    throw new TypeError(
      `${operation}: ${name} must be an array of flags: got ${typeof flags}`,
    );
  }
  if (isolation === "process") return subprocesses({ permissions, v8Flags });
  if (permissions.length + v8Flags.length > 0) {
    throw new TypeError(
      `${operation}: permissions and v8Flags are of processes: ` +
        'threads have those of the program: pass isolation: "process"',
    );
  }
  return startThread;
}
