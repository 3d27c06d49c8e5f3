import {
  Uint8ArrayReader,
  Uint8ArrayWriter,
  ZipReader,
  ZipWriter,
} from "@zip.js/zip.js";
import { writeAll, writeAtomically } from "./_atomic_file.ts";
import type { HostArray } from "./host_array.ts";
import { encodeNpy, type NpyArray, type NpyDtype, parseNpy } from "./npy.ts";

/** How an `.npz` file is written. */
export interface NpzWriteOptions {
  /**
   * Whether to compress, as NumPy's `savez_compressed` does.
   *
   * @default false
   */
  readonly compress?: boolean | undefined;
}

/** How an `.npz` file is read. */
export interface NpzReadOptions {
  /** What error messages call it. Default "the data". */
  readonly source?: string | undefined;
  /**
   * The most bytes that the arrays may take together: a guard against a small
   * file that unpacks into all memory.
   *
   * @default 4 GiB
   */
  readonly maxBytes?: number | undefined;
}

/** No worker threads: they would outlive the call. */
const ZIP = { useWebWorkers: false } as const;

/**
 * Packs arrays as NumPy's `savez` does: a zip file of one `.npy` file for each.
 *
 * The same arrays give the same bytes: no time is stored.
 *
 * @param arrays Arrays by name; `dtype: "bool"` marks booleans.
 * @param options Whether to compress.
 * @returns The content of an `.npz` file.
 * @throws {RangeError} If a shape does not fit its elements.
 *
 * @example There and back
 * ```ts
 * import { encodeNpz, hostArray, parseNpz } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const loss = hostArray(Float64Array.of(0.7, 0.5));
 * const { loss: same } = await parseNpz(await encodeNpz({ loss }));
 * assertEquals(same?.data, loss.data);
 * ```
 */
export async function encodeNpz(
  arrays: Readonly<
    Record<string, HostArray & { readonly dtype?: NpyDtype | undefined }>
  >,
  options: NpzWriteOptions = {},
): Promise<Uint8Array> {
  const zip = new ZipWriter(new Uint8ArrayWriter(), {
    ...ZIP,
    level: options.compress ? 6 : 0,
    // Plain entries, as Python's zipfile writes: the first day that zip knows.
    extendedTimestamp: false,
    lastModDate: new Date(1980, 0, 1),
    dataDescriptor: false,
  });
  for (const [name, array] of Object.entries(arrays)) {
    await zip.add(`${name}.npy`, new Uint8ArrayReader(encodeNpy(array)));
  }
  return await zip.close();
}

/**
 * Unpacks what NumPy's `savez`, `savez_compressed` or {@linkcode encodeNpz}
 * packed.
 *
 * Checksums and sizes are checked; see {@linkcode parseNpy} for the arrays.
 *
 * @param bytes The content of an `.npz` file.
 * @param options What to call it, how large it may become.
 * @returns The arrays by name.
 * @throws {TypeError} If it is not a zip file of `.npy` files.
 * @throws {RangeError} If it is damaged or would take too much memory.
 */
export async function parseNpz(
  bytes: Uint8Array,
  options: NpzReadOptions = {},
): Promise<Record<string, NpyArray>> {
  const { source = "the data", maxBytes = 2 ** 32 } = options;
  const zip = new ZipReader(new Uint8ArrayReader(bytes), {
    ...ZIP,
    checkSignature: true,
    checkOverlappingEntry: true,
  });
  try {
    const entries = await attempt(source, () => zip.getEntries());
    const total = entries.reduce(
      (sum, { uncompressedSize }) => sum + uncompressedSize,
      0,
    );
    if (total > maxBytes) {
      throw new RangeError(
        `parseNpz: ${source} unpacks into ${total} bytes: raise maxBytes, ` +
          `now ${maxBytes}, if you trust it`,
      );
    }
    const arrays: [string, NpyArray][] = [];
    for (const entry of entries) {
      const { filename } = entry;
      if (entry.directory || !filename.endsWith(".npy")) {
        throw new TypeError(
          `parseNpz: ${source} has an entry ${filename}: every entry of an ` +
            `.npz file is an .npy file`,
        );
      }
      const content = await attempt(
        source,
        () => entry.getData(new Uint8ArrayWriter()),
      );
      arrays.push([
        filename.slice(0, -".npy".length),
        parseNpy(content, `${filename} of ${source}`),
      ]);
    }
    return Object.fromEntries(arrays);
  } finally {
    await zip.close();
  }
}

/**
 * Reads an `.npz` file: see {@linkcode parseNpz}.
 *
 * @param path The file.
 * @returns The arrays by name.
 * @throws {TypeError} If it is not a zip file of `.npy` files.
 * @throws {RangeError} If it is damaged.
 */
export async function readNpz(path: string): Promise<Record<string, NpyArray>> {
  return await parseNpz(await Deno.readFile(path), { source: path });
}

/**
 * Writes an `.npz` file, for `numpy.load` and {@linkcode readNpz}.
 *
 * It is written beside `path` and renamed once it is whole.
 *
 * @param path The file; missing folders are made.
 * @param arrays Arrays by name; `dtype: "bool"` marks booleans.
 * @param options Whether to compress.
 * @throws {RangeError} If a shape does not fit its elements.
 */
export async function writeNpz(
  path: string,
  arrays: Readonly<
    Record<string, HostArray & { readonly dtype?: NpyDtype | undefined }>
  >,
  options: NpzWriteOptions = {},
): Promise<void> {
  const bytes = await encodeNpz(arrays, options);
  await writeAtomically(path, (file) => writeAll(file, bytes));
}

async function attempt<Value>(
  source: string,
  step: () => Promise<Value>,
): Promise<Value> {
  try {
    return await step();
  } catch (cause) {
    throw new RangeError(
      `parseNpz: ${source} cannot be unpacked: ${(cause as Error).message}: ` +
        `fetch it again`,
      { cause },
    );
  }
}
