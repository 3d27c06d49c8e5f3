import {
  encodeNpy,
  encodeNpz,
  hostArray,
  parseNpz,
  readNpz,
  writeNpz,
} from "@heddle/data";
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  Uint8ArrayReader,
  Uint8ArrayWriter,
  ZipWriter,
} from "npm:@zip.js/zip.js@^2.24.0";
import { numpyFile } from "./numpy_files.ts";
import { TempFolder } from "./places.ts";

const ARRAYS = {
  weight: hostArray(Float32Array.from({ length: 600 }, (_, i) => i), [20, 30]),
  mask: { data: Uint8Array.of(1, 0), shape: [2], dtype: "bool" as const },
};

async function zip(entries: Record<string, Uint8Array>): Promise<Uint8Array> {
  const writer = new ZipWriter(new Uint8ArrayWriter(), {
    useWebWorkers: false,
  });
  for (const [name, bytes] of Object.entries(entries)) {
    await writer.add(name, new Uint8ArrayReader(bytes));
  }
  return await writer.close();
}

Deno.test("parseNpz() reads what NumPy's savez_compressed wrote", async () => {
  assertEquals(await parseNpz(numpyFile("npz")), {
    w: { data: new Float32Array(4), shape: [2, 2], dtype: "float32" },
    step: { data: Int32Array.of(7), shape: [], dtype: "int32" },
  });
});

Deno.test("encodeNpz() and parseNpz() are inverse, compressed or not", async () => {
  const want = {
    weight: { ...ARRAYS.weight, dtype: "float32" as const },
    mask: ARRAYS.mask,
  };
  for (const compress of [false, true]) {
    const bytes = await encodeNpz(ARRAYS, { compress });
    assertEquals(await parseNpz(bytes), want);
    assertEquals(await encodeNpz(ARRAYS, { compress }), bytes);
  }
  assertEquals(await parseNpz(await encodeNpz({})), {});
});

Deno.test("encodeNpz() is smaller when it compresses", async () => {
  const array = { zeros: hostArray(new Float32Array(10_000)) };
  const plain = await encodeNpz(array);
  const small = await encodeNpz(array, { compress: true });
  assert(plain.length > 40_000 && small.length < 1000);
});

Deno.test("parseNpz() keeps names that objects have of their own", async () => {
  const arrays = Object.fromEntries(
    ["__proto__", "constructor", "a/b"].map((name) => [name, ARRAYS.mask]),
  );
  const got = await parseNpz(await encodeNpz(arrays));
  assertEquals(Object.keys(got), ["__proto__", "constructor", "a/b"]);
});

Deno.test("parseNpz() finds a flipped bit, stored or compressed", async () => {
  for (const compress of [false, true]) {
    const bytes = await encodeNpz(ARRAYS, { compress });
    const at = compress ? 120 : 300;
    bytes[at]! ^= 1;
    await assertRejects(
      () => parseNpz(bytes, { source: "run.npz" }),
      RangeError,
      "parseNpz: run.npz cannot be unpacked",
    );
  }
});

Deno.test("parseNpz() refuses every cut of a file", async () => {
  const bytes = await encodeNpz({ mask: ARRAYS.mask });
  for (let length = 0; length < bytes.length; length += 7) {
    await assertRejects(() => parseNpz(bytes.slice(0, length)), RangeError);
  }
});

Deno.test("parseNpz() refuses other entries than arrays", async () => {
  const text = await zip({ "readme.txt": Uint8Array.of(65) });
  await assertRejects(() => parseNpz(text), TypeError, "an entry readme.txt");
  const wrong = await zip({ "x.npy": Uint8Array.of(65) });
  await assertRejects(() => parseNpz(wrong), TypeError, "x.npy of the data");
});

Deno.test("parseNpz() refuses a file that unpacks into too much", async () => {
  const zeros = encodeNpy(hostArray(new Uint8Array(2 ** 20)));
  const bytes = await zip({ "a.npy": zeros, "b.npy": zeros });
  assert(bytes.length < 10_000);
  await assertRejects(
    () => parseNpz(bytes, { maxBytes: 2 ** 20 }),
    RangeError,
    "raise maxBytes",
  );
});

Deno.test("parseNpz() refuses an entry that unpacks into more than it says", async () => {
  const bytes = await zip({
    "a.npy": encodeNpy(hostArray(new Uint8Array(2 ** 20))),
  });
  const size = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = 0; at + 4 <= bytes.length; at++) {
    if (size.getUint32(at, true) === 2 ** 20 + 128) {
      size.setUint32(at, 1000, true);
    }
  }
  await assertRejects(() => parseNpz(bytes), RangeError);
});

Deno.test("writeNpz() and readNpz() go through a file", async () => {
  using folder = new TempFolder();
  const path = `${folder.path}/deep/run.npz`;
  await writeNpz(path, ARRAYS, { compress: true });
  await writeNpz(path, { mask: ARRAYS.mask });
  assertEquals(await readNpz(path), { mask: ARRAYS.mask });
  assertEquals(folder.list(), ["deep/run.npz"]);
  await Deno.truncate(path, 50);
  await assertRejects(() => readNpz(path), RangeError, path);
});
