import {
  DataNotFoundError,
  type DownloadProgress,
  encodeIdx,
  hostArray,
  mnist,
} from "@heddle/data";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { gzip } from "./gzip.ts";
import { realData, TempFolder } from "./places.ts";

const NAMES = [
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
] as const;
const REAL = realData("mnist");

/** Four small files: three images of 4 x 4 and two, labels from `first`. */
function smallFiles(first = 0): Uint8Array[] {
  return [3, 2].flatMap((count) => [
    encodeIdx(hostArray(new Uint8Array(count * 16), [count, 4, 4])),
    encodeIdx(
      hostArray(Uint8Array.from({ length: count }, (_, i) => first + i)),
    ),
  ]);
}

async function write(
  folder: string,
  names: readonly string[],
  files = smallFiles(),
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [index, name] of names.entries()) {
    const bytes = name.endsWith(".gz")
      ? await gzip(files[index]!)
      : files[index]!;
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
}

const OFFLINE = { cache: null, download: false } as const;

Deno.test("mnist() reads each layout of a user's folder", async () => {
  const dotted = NAMES.map((name) => name.replace("-idx", ".idx"));
  for (const inside of ["", "/mnist", "/MNIST/raw"]) {
    for (const names of [NAMES, dotted, NAMES.map((name) => `${name}.gz`)]) {
      using folder = new TempFolder();
      await write(folder.path + inside, names);
      const set = await mnist({ folder: folder.path, ...OFFLINE });
      assertEquals(set.train.images.shape, [3, 4, 4]);
      assertEquals(set.test.labels.data, Uint8Array.of(0, 1));
      assertEquals(set.source, folder.path);
    }
  }
});

Deno.test("mnist() never mixes the files of two layouts", async () => {
  using folder = new TempFolder();
  await write(folder.path, NAMES.slice(0, 2));
  await write(`${folder.path}/mnist`, NAMES.map((name) => `${name}.gz`));
  const set = await mnist({ folder: folder.path, ...OFFLINE });
  assertEquals(set.train.length, 3);
  await Deno.remove(`${folder.path}/mnist/${NAMES[3]}.gz`);
  await assertRejects(
    () => mnist({ folder: folder.path, ...OFFLINE }),
    DataNotFoundError,
  );
});

Deno.test("mnist() throws on a damaged file of the user, naming it", async () => {
  const damaged: [number, Uint8Array, string][] = [
    [0, smallFiles()[0]!.slice(0, -1), "truncated"],
    [1, smallFiles()[0]!, "must have 1 axes"],
    [1, encodeIdx(hostArray(Uint8Array.of(1, 2))), "one label for each image"],
    [1, encodeIdx(hostArray(Uint8Array.of(1, 2, 10))), "has label 10"],
    [2, encodeIdx(hostArray(new Int8Array(32), [2, 4, 4])), "must hold uint8"],
  ];
  for (const [place, bytes, message] of damaged) {
    using folder = new TempFolder();
    const files = smallFiles();
    files[place] = bytes;
    await write(folder.path, NAMES, files);
    await assertRejects(
      () => mnist({ folder: folder.path, ...OFFLINE }),
      Error,
      message,
    );
  }
});

Deno.test("mnist() lists every place it tried", async () => {
  using cache = new TempFolder();
  await using server = Deno.serve(
    { port: 0, onListen: () => {} },
    () => new Response("gone", { status: 410 }),
  );
  const mirror = `http://localhost:${server.addr.port}`;
  const error = await assertRejects(
    () =>
      mnist({
        folder: "/no/such/folder",
        cache: cache.path,
        mirrors: [`${mirror}/a`, `${mirror}/b/`],
      }),
    DataNotFoundError,
  );
  assertEquals(error.dataset, "mnist");
  const file = `${NAMES[0]}.gz`;
  assertEquals(error.tried, [
    `/no/such/folder: it has no ${file}`,
    `${cache.path}/mnist/${file}: no such file`,
    `${mirror}/a/${file}: the server answered 410`,
    `${mirror}/b/${file}: the server answered 410`,
  ]);
  assertStringIncludes(error.message, "mnist: the data was not found: tried");
  assertEquals(cache.list(), []);
});

Deno.test("mnist() says where no cache folder is set", async () => {
  const error = await assertRejects(() => mnist(OFFLINE), DataNotFoundError);
  assertEquals(error.tried, ["the cache: no folder for it is set"]);
});

Deno.test({
  name: "mnist() reads the 70,000 real digits",
  ignore: REAL === undefined,
  fn: async () => {
    const { train, test } = await mnist({ folder: REAL, ...OFFLINE });
    assertEquals(train.images.shape, [60_000, 28, 28]);
    assertEquals(test.images.shape, [10_000, 28, 28]);
    assertEquals([...train.labels.data.subarray(0, 5)], [5, 0, 4, 1, 9]);
    assertEquals([...test.labels.data.subarray(0, 5)], [7, 2, 1, 0, 4]);
    // Published: the mean pixel of the training images is 0.1307.
    const sum = train.images.data.reduce((total, pixel) => total + pixel, 0);
    assertEquals((sum / train.images.data.length / 255).toFixed(4), "0.1307");
  },
});

Deno.test({
  name: "mnist() downloads once, checks, reports and mends its cache",
  ignore: REAL === undefined,
  fn: async () => {
    using cache = new TempFolder();
    const asked: string[] = [];
    await using server = Deno.serve(
      { port: 0, onListen: () => {} },
      async (request) => {
        const { pathname } = new URL(request.url);
        asked.push(pathname);
        const file = await Deno.readFile(REAL + pathname.replace("/bad", ""));
        if (pathname.startsWith("/bad")) file[file.length - 1]! ^= 1;
        return new Response(file);
      },
    );
    const mirror = `http://localhost:${server.addr.port}`;
    const reports: DownloadProgress[] = [];
    const options = {
      cache: cache.path,
      mirrors: [`${mirror}/bad`, mirror],
      progress: (report: DownloadProgress) => reports.push(report),
    };
    const first = await mnist(options);
    assertEquals(asked.length, 8); // each file from the bad mirror first
    assertEquals(first.source, `${mirror}/${NAMES[3]}.gz`);
    assertEquals(cache.list(), NAMES.map((n) => `mnist/${n}.gz`).sort());
    const last = reports.at(-1)!;
    assertEquals(last.file, `${NAMES[3]}.gz`);
    assertEquals([last.receivedBytes, last.totalBytes], [4542, 4542]);
    assert(reports.every((r) => r.receivedBytes <= r.totalBytes));

    const again = await mnist(options);
    assertEquals(asked.length, 8);
    assertEquals(again.source, `${cache.path}/mnist`);
    assertEquals(again.test.labels, first.test.labels);

    const damaged = `${cache.path}/mnist/${NAMES[1]}.gz`;
    await Deno.truncate(damaged, 100);
    const error = await assertRejects(
      () => mnist({ ...options, download: false }),
      DataNotFoundError,
    );
    assertStringIncludes(error.tried[0]!, `${damaged}: its SHA-256 is`);
    await mnist(options);
    assertEquals(asked.length, 10);
  },
});
