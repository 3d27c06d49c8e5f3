import {
  cifar10,
  CIFAR10_CLASSES,
  DataNotFoundError,
  parseCifar10,
} from "@heddle/data";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { packTar } from "npm:modern-tar@^0.8.6";
import { gzip } from "./gzip.ts";
import { TempFolder } from "./places.ts";

const RECORD = 3073;
const NAMES = [
  ...[1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`),
  "test_batch.bin",
];
const OFFLINE = { cache: null, download: false } as const;

/** One record for each label; pixel `p` of record `r` is `r + p`, mod 256. */
function records(...labels: number[]): Uint8Array {
  const bytes = new Uint8Array(labels.length * RECORD);
  labels.forEach((label, record) => {
    for (let at = 0; at < RECORD; at++) {
      bytes[record * RECORD + at] = at === 0 ? label : record + at - 1;
    }
  });
  return bytes;
}

/** Six files of one image, class 0 to 5 by file. */
function files(): [string, Uint8Array][] {
  return NAMES.map((name, index) => [name, records(index)]);
}

async function archive(
  entries: readonly [string, Uint8Array][],
): Promise<Uint8Array> {
  const tar = await packTar([
    { header: { name: "cifar-10-batches-bin/", type: "directory", size: 0 } },
    ...entries.map(([name, body]) => ({
      header: { name: `cifar-10-batches-bin/${name}`, size: body.length },
      body,
    })),
  ]);
  return await gzip(tar);
}

Deno.test("parseCifar10() separates classes and planes", () => {
  const { images, labels, classes } = parseCifar10(records(9, 0));
  assertEquals(images.shape, [2, 3, 32, 32]);
  assertEquals(labels.data, Uint8Array.of(9, 0));
  assertEquals(classes, CIFAR10_CLASSES);
  assertEquals([...images.data.subarray(0, 3)], [0, 1, 2]);
  assertEquals([...images.data.subarray(3072, 3075)], [1, 2, 3]);
});

Deno.test("parseCifar10() refuses parts of images and unknown classes", () => {
  assertThrows(
    () => parseCifar10(records(1).subarray(1), "test_batch.bin"),
    RangeError,
    "parseCifar10: test_batch.bin must hold 3073 bytes an image: got 3072",
  );
  assertThrows(
    () => parseCifar10(records(0, 10)),
    RangeError,
    "image 1 of the data has class 10",
  );
});

Deno.test("cifar10() reads unpacked files and the archive", async () => {
  for (const layout of ["", "cifar-10-batches-bin/", "archive"]) {
    using folder = new TempFolder();
    if (layout === "archive") {
      // In another order, with a file that is of no use.
      const entries = [...files().reverse(), ["readme.html", Uint8Array.of(1)]];
      await Deno.writeFile(
        `${folder.path}/cifar-10-binary.tar.gz`,
        await archive(entries as [string, Uint8Array][]),
      );
    } else {
      await Deno.mkdir(`${folder.path}/${layout}`, { recursive: true });
      for (const [name, bytes] of files()) {
        await Deno.writeFile(`${folder.path}/${layout}${name}`, bytes);
      }
    }
    const set = await cifar10({ folder: folder.path, ...OFFLINE });
    assertEquals(set.train.labels.data, Uint8Array.of(0, 1, 2, 3, 4));
    assertEquals(set.test.labels.data, Uint8Array.of(5));
    assertEquals(set.train.images.shape, [5, 3, 32, 32]);
    assertEquals(set.source, folder.path);
  }
});

Deno.test("cifar10() refuses archives that are damaged or lack a file", async () => {
  const whole = await archive(files());
  const checksum = await (async () => {
    const stream = new Blob([whole as Uint8Array<ArrayBuffer>]).stream()
      .pipeThrough(new DecompressionStream("gzip"));
    const tar = new Uint8Array(await new Response(stream).arrayBuffer());
    tar[512 + 3]! ^= 1; // a letter of the first file's name
    return await gzip(tar);
  })();
  const damaged: [Uint8Array, string][] = [
    [whole.slice(0, whole.length / 2), "cifar10"],
    [await archive(files().slice(0, 5)), "has no test_batch.bin"],
    [checksum, "cifar10"],
    [await gzip(new Uint8Array(100)), "cifar10"],
  ];
  for (const [bytes, message] of damaged) {
    using folder = new TempFolder();
    await Deno.writeFile(`${folder.path}/cifar-10-binary.tar.gz`, bytes);
    await assertRejects(
      () => cifar10({ folder: folder.path, ...OFFLINE }),
      RangeError,
      message,
    );
  }
});

Deno.test("cifar10() takes no archive from its cache with another checksum", async () => {
  using cache = new TempFolder();
  await Deno.mkdir(`${cache.path}/cifar10`);
  const path = `${cache.path}/cifar10/cifar-10-binary.tar.gz`;
  await Deno.writeFile(path, await archive(files()));
  const error = await assertRejects(
    () => cifar10({ cache: cache.path, download: false }),
    DataNotFoundError,
  );
  assertEquals(error.tried.length, 2);
  assertEquals(error.tried[0]!.startsWith(`${path}: its SHA-256 is`), true);
});
