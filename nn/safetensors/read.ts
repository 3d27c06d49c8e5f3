import { type Tensor, tensor } from "@heddle/tensor";
import { convert } from "./_convert.ts";
import { readSafetensorsHeader } from "./header.ts";

/** What {@link readSafetensors} takes of a file. */
export interface ReadSafetensorsOptions {
  /**
   * Whether to read the tensor of a name.
   * @default all are read
   */
  readonly only?: (name: string) => boolean;
}

/** The content of a safetensors file. */
export interface SafetensorsFile {
  /** Tensors by name, in the order of the file. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** Text by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads a safetensors file: https://github.com/huggingface/safetensors.
 *
 * | in the file                    | in the tensor                           |
 * | ------------------------------ | --------------------------------------- |
 * | F32, I32, U32, BOOL            | float32, int32, uint32, bool            |
 * | F16, BF16, F8_E4M3, F8_E5M2    | float32, the same values                |
 * | F64                            | float32, rounded; too large is an error |
 * | I8, U8, I16, U16               | int32, the same values                  |
 * | I64                            | int32; too large is an error            |
 * | U64                            | uint32; too large is an error           |
 *
 * @param bytes The whole file. Values are copied.
 * @param options Which tensors to read.
 * @throws {SafetensorsError} If the file is damaged: its header too long, no
 * JSON, not UTF-8 or with a key twice, a tensor out of range, overlapping, of
 * the wrong size or of an unknown type, bytes that belong to none; or if a
 * tensor that is wanted has no type here.
 *
 * @example
 * ```ts
 * import { readSafetensors, writeSafetensors } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = await writeSafetensors({ x: tensor([1, 2]) }, { made: "now" });
 * const { tensors, metadata } = readSafetensors(bytes);
 * assertEquals(await tensors["x"]!.toArray(), [1, 2]);
 * assertEquals(metadata, { made: "now" });
 * ```
 */
export function readSafetensors(
  bytes: Uint8Array,
  options: ReadSafetensorsOptions = {},
): SafetensorsFile {
  const { only = () => true } = options;
  const { tensors, metadata } = readSafetensorsHeader(bytes);
  const wanted = Object.entries(tensors).filter(([name]) => only(name));
  return {
    tensors: Object.fromEntries(
      wanted.map(([name, { dtype: stored, shape, range }]) => {
        const { values, dtype } = convert(
          name,
          stored,
          bytes.subarray(...range),
        );
        return [name, tensor(values, { shape, dtype })];
      }),
    ),
    metadata,
  };
}
