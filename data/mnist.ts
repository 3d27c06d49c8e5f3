import { type FileGroup, locate } from "./_locate.ts";
import type { HostArray } from "./host_array.ts";
import { parseIdx } from "./idx.ts";
import { type ImageSplits, LabelledImages } from "./labelled_images.ts";
import type { LoadOptions } from "./load_options.ts";

const DIGITS: readonly string[] = Array.from("0123456789");

const NAMES = [
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
];

/** The names that copies of the files go by, beside the first ones. */
const LAYOUTS = ["", "mnist/", "MNIST/raw/"].flatMap((folder) => {
  const dotted = NAMES.map((name) => name.replace("-idx", ".idx"));
  return [NAMES, dotted].flatMap((names) =>
    [".gz", ""].map((end) => names.map((name) => `${folder}${name}${end}`))
  );
});

const MNIST: FileGroup = {
  dataset: "mnist",
  files: [
    {
      name: "train-images-idx3-ubyte.gz",
      bytes: 9912422,
      sha256:
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    },
    {
      name: "train-labels-idx1-ubyte.gz",
      bytes: 28881,
      sha256:
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    },
    {
      name: "t10k-images-idx3-ubyte.gz",
      bytes: 1648877,
      sha256:
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    },
    {
      name: "t10k-labels-idx1-ubyte.gz",
      bytes: 4542,
      sha256:
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
  ],
  mirrors: [
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "https://raw.githubusercontent.com/fgnt/mnist/master",
  ],
  layouts: LAYOUTS,
};

/**
 * The handwritten digits of LeCun, Cortes and Burges: 60,000 and 10,000 images
 * of 28 x 28 pixels, ink 255 on paper 0.
 *
 * It looks at `folder` (plain or gzipped idx files, alone, in `mnist/` or in
 * `MNIST/raw/`), then at `mnist/` in the cache, then downloads into the cache.
 * A file of the cache with a wrong checksum is fetched anew. A damaged file in
 * `folder` is an error, not a reason to look elsewhere.
 *
 * @param options Where to look; progress of a download.
 * @returns Training and test images, and where they come from.
 * @throws {DataNotFoundError} If no place has the files: `tried` lists them.
 * @throws {RangeError} If a file is damaged or its images and labels disagree.
 *
 * @example The real digits, or else generated ones
 * ```ts
 * import { DataNotFoundError, generatedDigits, mnist } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const options = { folder: "no/such/folder", cache: null, download: false };
 * const digits = await mnist(options).catch((error) => {
 *   if (!(error instanceof DataNotFoundError)) throw error;
 *   return generatedDigits({ train: 100, test: 10 });
 * });
 * assertEquals(digits.train.images.shape, [100, 28, 28]);
 * ```
 */
export async function mnist(options: LoadOptions = {}): Promise<ImageSplits> {
  const { files, source } = await locate(MNIST, options);
  const [trainImages, trainLabels, testImages, testLabels] = await Promise.all(
    files.map(({ path, bytes }, index) =>
      readBytes(path, bytes, index % 2 === 0 ? 3 : 1)
    ),
  );
  return {
    train: new LabelledImages(trainImages!, trainLabels!, DIGITS),
    test: new LabelledImages(testImages!, testLabels!, DIGITS),
    source,
  };
}

async function readBytes(
  path: string,
  bytes: Uint8Array,
  rank: number,
): Promise<HostArray<Uint8Array>> {
  const { data, shape } = await parseIdx(bytes, path);
  if (!(data instanceof Uint8Array)) {
    throw new TypeError(
      `mnist: ${path} must hold uint8: got ${data.constructor.name}`,
    );
  }
  if (shape.length !== rank) {
    throw new RangeError(
      `mnist: ${path} must have ${rank} axes: got [${shape.join(", ")}]`,
    );
  }
  return { data, shape };
}
