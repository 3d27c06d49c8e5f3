import { columns, hostArray, LabelledImages, subset } from "@heddle/data";
import { assertEquals, assertThrows } from "@std/assert";

Deno.test("hostArray() checks sizes against elements", () => {
  assertEquals(hostArray(Uint8Array.of(1, 2)).shape, [2]);
  assertEquals(hostArray(Uint8Array.of(1), []).shape, []);
  assertThrows(
    () => hostArray(new Uint8Array(5), [2, 3]),
    RangeError,
    "shape [2, 3] holds 6 elements: got 5",
  );
  for (const size of [-1, 1.5, NaN]) {
    assertThrows(() => hostArray(new Uint8Array(1), [size]), RangeError);
  }
  assertThrows(
    () => hostArray(new Uint8Array(0), [2 ** 40, 2 ** 40]),
    RangeError,
    "too many elements",
  );
  assertEquals(hostArray(new Uint8Array(0), [2 ** 40, 2 ** 40, 0]).shape[2], 0);
});

Deno.test("columns() gives views of rows", () => {
  const x = hostArray(Float32Array.of(1, 2, 3, 4), [2, 2]);
  const data = columns({ x, y: ["a", "b"] });
  assertEquals(data.length, 2);
  const row = data.get(1);
  assertEquals(row, { x: hostArray(Float32Array.of(3, 4)), y: "b" });
  x.data[2] = 9;
  assertEquals(row.x.data[0], 9);
  assertEquals(columns({}).length, 0);
});

Deno.test("columns() refuses columns of unequal lengths", () => {
  assertThrows(
    () => columns({ x: Uint8Array.of(1, 2), y: ["a"] }),
    RangeError,
    "columns: y has 1 rows: x has 2",
  );
  assertThrows(
    () => columns({ x: hostArray(Uint8Array.of(1), []) }),
    RangeError,
    "no axis",
  );
});

Deno.test("subset() takes items by index and passes the epoch on", async () => {
  const epochs: number[] = [];
  const all = {
    length: 3,
    get: (index: number) => index * 10,
    setEpoch: (epoch: number) => void epochs.push(epoch),
  };
  const some = subset(all, [2, 0, 2]);
  assertEquals([some.length, some.get(0), some.get(1)], [3, 20, 0]);
  await some.setEpoch?.(4);
  assertEquals(epochs, [4]);
  for (const index of [-1, 3, 0.5]) {
    assertThrows(() => subset(all, [index]), RangeError, `index ${index}`);
  }
});

Deno.test("LabelledImages gives an image with its class", () => {
  const set = new LabelledImages(
    hostArray(Uint8Array.of(1, 2, 3, 4), [2, 1, 2]),
    hostArray(Uint8Array.of(0, 1)),
    ["no", "yes"],
  );
  assertEquals(set.get(1), {
    images: hostArray(Uint8Array.of(3, 4), [1, 2]),
    labels: hostArray(Uint8Array.of(1), []),
  });
});
