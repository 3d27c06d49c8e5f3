import { FAILURE } from "./emit_memory.ts";
import type { Site } from "./emit_wasm.ts";
import { locate } from "./jit_error.ts";
import type { JitMemory } from "./memory.ts";

/** What a failure of compiled code means. */
export function failureOf(
  memory: JitMemory,
  sites: readonly Site[],
  error: unknown,
): unknown {
  const noted = memory.words[FAILURE.site / 4]! - 1;
  memory.words[FAILURE.site / 4] = 0;
  const site = sites[noted];
  if (!site) return error;
  const { source, offset } = site.place;
  const { line, column } = locate(source, offset);
  const index = memory.numbers[FAILURE.index / 8]!;
  const length = memory.words[FAILURE.length / 4]!;
  return new RangeError(
    `jit: ${source.name}:${line}:${column}: index ${index} is out of range ` +
      `for ${site.array} of length ${length}`,
  );
}
