import { unpackTar } from "modern-tar";
import { concatBytes, gunzip } from "./_gzip.ts";
import { type FileGroup, locate } from "./_locate.ts";
import { hostArray } from "./host_array.ts";
import { type ImageSplits, LabelledImages } from "./labelled_images.ts";
import type { LoadOptions } from "./load_options.ts";

/** What the ten classes are called, in the order of their numbers. */
export const CIFAR10_CLASSES: readonly string[] = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];

const ARCHIVE = "cifar-10-binary.tar.gz";
const IMAGE_SHAPE = [3, 32, 32];
const IMAGE_BYTES = 3 * 32 * 32;
const FILES = [
  "data_batch_1.bin",
  "data_batch_2.bin",
  "data_batch_3.bin",
  "data_batch_4.bin",
  "data_batch_5.bin",
  "test_batch.bin",
];

const CIFAR10: FileGroup = {
  dataset: "cifar10",
  files: [{
    name: ARCHIVE,
    bytes: 170052171,
    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
  }],
  mirrors: [
    "https://www.cs.toronto.edu/~kriz",
    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10",
  ],
  layouts: ["", "cifar10/"].flatMap((folder) => [
    [`${folder}${ARCHIVE}`],
    FILES.map((name) => `${folder}cifar-10-batches-bin/${name}`),
    FILES.map((name) => `${folder}${name}`),
  ]),
};

/**
 * The photographs of Krizhevsky 2009: 50,000 and 10,000 images of 3 x 32 x 32
 * in ten classes.
 *
 * It looks at `folder` (the archive `cifar-10-binary.tar.gz` or the six files in
 * it), then at `cifar10/` in the cache, then downloads the archive (162 MiB)
 * into the cache. A damaged file in `folder` is an error, not a reason to look
 * elsewhere.
 *
 * @param options Where to look; progress of a download.
 * @returns Training and test images, and where they come from.
 * @throws {DataNotFoundError} If no place has the files: `tried` lists them.
 * @throws {RangeError} If a file is damaged or a label is not from 0 to 9.
 */
export async function cifar10(
  options: LoadOptions = {},
): Promise<ImageSplits> {
  const { files, source } = await locate(CIFAR10, options);
  const [first] = files;
  const batches = first!.path.endsWith(ARCHIVE)
    ? await unpack(first!.path, first!.bytes)
    : files;
  return {
    train: parseCifar10(
      concatBytes(batches.slice(0, -1).map(({ bytes }) => bytes)),
      batches[0]!.path,
    ),
    test: parseCifar10(batches.at(-1)!.bytes, batches.at(-1)!.path),
    source,
  };
}

/**
 * Reads the binary format of CIFAR-10: one byte of class, then 32 x 32 bytes
 * each of red, green and blue, for each image.
 *
 * @param bytes The content of one file, or of several in a row.
 * @param source What error messages call it. Default "the data".
 * @returns The images, `[count, 3, 32, 32]`, and their classes.
 * @throws {RangeError} If the bytes are no whole number of images, or a class is
 * not from 0 to 9.
 *
 * @example One black ship
 * ```ts
 * import { parseCifar10 } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = new Uint8Array(3073);
 * bytes[0] = 8;
 * const { images, labels, classes } = parseCifar10(bytes);
 * assertEquals(images.shape, [1, 3, 32, 32]);
 * assertEquals(classes[labels.data[0]!], "ship");
 * ```
 */
export function parseCifar10(
  bytes: Uint8Array,
  source: string = "the data",
): LabelledImages {
  const record = 1 + IMAGE_BYTES;
  const count = bytes.length / record;
  if (!Number.isInteger(count)) {
    throw new RangeError(
      `parseCifar10: ${source} must hold ${record} bytes an image: got ` +
        `${bytes.length} bytes, ${bytes.length % record} too many`,
    );
  }
  const labels = new Uint8Array(count);
  const images = new Uint8Array(count * IMAGE_BYTES);
  for (let index = 0; index < count; index++) {
    const at = index * record;
    const label = bytes[at]!;
    if (label >= CIFAR10_CLASSES.length) {
      throw new RangeError(
        `parseCifar10: image ${index} of ${source} has class ${label}: ` +
          `classes are 0 to ${CIFAR10_CLASSES.length - 1}`,
      );
    }
    labels[index] = label;
    images.set(bytes.subarray(at + 1, at + record), index * IMAGE_BYTES);
  }
  return new LabelledImages(
    hostArray(images, [count, ...IMAGE_SHAPE]),
    hostArray(labels),
    CIFAR10_CLASSES,
  );
}

/** The six files of the archive, in the order of `FILES`. */
async function unpack(
  path: string,
  archive: Uint8Array,
): Promise<{ path: string; bytes: Uint8Array }[]> {
  // Far above the real size, 30,730,000, and each file once: a bound against a
  // forged archive.
  const largest = 64 * 2 ** 20;
  const baseName = (name: string) => name.slice(name.lastIndexOf("/") + 1);
  const stream = ReadableStream.from(gunzip("cifar10", path, archive));
  const wanted = new Set(FILES);
  const entries = await unpackTar(stream, {
    strict: true,
    filter: (header) =>
      header.type === "file" && header.size <= largest &&
      wanted.delete(baseName(header.name)),
  }).catch((cause: Error) => {
    if (cause instanceof RangeError) throw cause;
    throw new RangeError(
      `cifar10: ${path} is no whole tar archive: ${cause.message}: fetch it ` +
        `again`,
      { cause },
    );
  });
  return FILES.map((name) => {
    const entry = entries.find(({ header }) => baseName(header.name) === name);
    if (entry?.data === undefined) {
      throw new RangeError(`cifar10: ${path} has no ${name}: fetch it again`);
    }
    return { path: `${path}/${name}`, bytes: entry.data };
  });
}
