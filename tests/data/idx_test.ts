import {
  encodeIdx,
  hostArray,
  type IdxData,
  parseIdx,
  readIdx,
} from "@heddle/data";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { gzip } from "./gzip.ts";

const VALUES: readonly IdxData[] = [
  Uint8Array.of(0, 1, 128, 255, 7, 9),
  Int8Array.of(0, 1, -128, 127, -1, 9),
  Int16Array.of(0, 256, -32768, 32767, -1, 9),
  Int32Array.of(0, 65536, -(2 ** 31), 2 ** 31 - 1, -1, 9),
  Float32Array.of(0, 1.5, -Infinity, NaN, -1e-40, 9),
  Float64Array.of(0, 1.1, -Infinity, NaN, -1e-320, 9),
];

/** A header of type uint8, whatever follows. */
function header(code: number, ...sizes: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 + 4 * sizes.length);
  bytes.set([0, 0, code, sizes.length]);
  const view = new DataView(bytes.buffer);
  sizes.forEach((size, axis) => view.setUint32(4 + 4 * axis, size));
  return bytes;
}

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

Deno.test("parseIdx() reads every type, plain and gzipped", async () => {
  for (const data of VALUES) {
    const array = hostArray(data, [2, 3]);
    const bytes = encodeIdx(array);
    assertEquals(await parseIdx(bytes), array);
    assertEquals(await parseIdx(await gzip(bytes)), array);
  }
});

Deno.test("parseIdx() reads big-endian numbers at any offset", async () => {
  const bytes = join(header(0x0b, 2), Uint8Array.of(1, 2, 255, 254));
  const padded = join(Uint8Array.of(9), bytes).subarray(1);
  const { data } = await parseIdx(padded);
  assertEquals(data, Int16Array.of(0x0102, -2));
});

Deno.test("parseIdx() reads shapes of no, one, zero and many sizes", async () => {
  assertEquals(
    await parseIdx(join(header(8), Uint8Array.of(5))),
    hostArray(Uint8Array.of(5), []),
  );
  assertEquals(
    await parseIdx(header(8, 0, 28, 28)),
    hostArray(new Uint8Array(0), [0, 28, 28]),
  );
  assertEquals(
    await parseIdx(await gzip(header(8, 2 ** 32 - 1, 2 ** 32 - 1, 0))),
    hostArray(new Uint8Array(0), [2 ** 32 - 1, 2 ** 32 - 1, 0]),
  );
  const many = hostArray(Uint8Array.of(3), new Array<number>(255).fill(1));
  assertEquals(await parseIdx(encodeIdx(many)), many);
});

Deno.test("parseIdx() reads a gzipped file of many pieces", async () => {
  const data = Int32Array.from({ length: 300_000 }, (_, i) => i * 7919);
  const array = hostArray(data, [3, 100_000]);
  assertEquals(await parseIdx(await gzip(encodeIdx(array))), array);
});

Deno.test("parseIdx() refuses files that end early or go on", async () => {
  const whole = encodeIdx(hostArray(Int16Array.of(1, 2, 3)));
  for (let length = 0; length < whole.length; length++) {
    const part = whole.slice(0, length);
    await assertRejects(
      () => parseIdx(part),
      RangeError,
      length < 8
        ? "ends inside its header"
        : "is truncated: shape [3] needs 14",
    );
    await assertRejects(async () => parseIdx(await gzip(part)), RangeError);
  }
  const longer = join(whole, Uint8Array.of(0));
  await assertRejects(() => parseIdx(longer), RangeError, "goes on");
  await assertRejects(
    async () => parseIdx(await gzip(longer)),
    RangeError,
    "goes on after its last element: shape [3] ends at byte 14",
  );
});

Deno.test("parseIdx() refuses damaged gzip streams", async () => {
  const compressed = await gzip(encodeIdx(hostArray(new Uint8Array(1000))));
  const cut = compressed.slice(0, -5);
  await assertRejects(() => parseIdx(cut), RangeError, "whole gzip file");
  const more = join(compressed, Uint8Array.of(1, 2, 3));
  await assertRejects(() => parseIdx(more), RangeError, "whole gzip file");
  const flipped = compressed.slice();
  flipped[flipped.length - 6]! ^= 1; // the checksum
  await assertRejects(() => parseIdx(flipped), RangeError, "whole gzip file");
});

Deno.test("parseIdx() refuses sizes that no file can hold", async () => {
  const huge = header(8, 2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1);
  await assertRejects(() => parseIdx(huge), RangeError, "too many elements");
  // 3 GiB from 40 bytes: refused before the memory is taken.
  const forged = await gzip(header(8, 3 * 2 ** 30));
  await assertRejects(
    () => parseIdx(forged),
    RangeError,
    "promises 3221225480",
  );
});

Deno.test("parseIdx() refuses what is no idx file, and names it", async () => {
  await assertRejects(
    () => parseIdx(Uint8Array.of(1, 0, 8, 0), "digits.idx"),
    TypeError,
    "parseIdx: digits.idx is not an idx file: it begins with bytes 1, 0",
  );
  for (const code of [0, 7, 0x0a, 0x0f, 255]) {
    await assertRejects(
      () => parseIdx(Uint8Array.of(0, 0, code, 0)),
      TypeError,
      `type code ${code}`,
    );
  }
});

Deno.test("encodeIdx() refuses other types and shapes that do not fit", () => {
  assertThrows(
    () =>
      encodeIdx({ data: Uint32Array.of(1) as unknown as IdxData, shape: [1] }),
    TypeError,
    "Uint32Array",
  );
  assertThrows(
    () => encodeIdx({ data: Uint8Array.of(1), shape: [2] }),
    RangeError,
    "[2] does not hold 1",
  );
});

Deno.test("readIdx() names the file in its errors", async () => {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, encodeIdx(hostArray(Uint8Array.of(1, 2))));
  assertEquals((await readIdx(path)).data, Uint8Array.of(1, 2));
  await Deno.truncate(path, 9);
  await assertRejects(() => readIdx(path), RangeError, path);
  await Deno.remove(path);
});
