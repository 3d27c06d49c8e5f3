import {
  columns,
  DataLoader,
  defaultCollate,
  type HostArray,
  hostArray,
  toTensor,
  toTensors,
} from "@heddle/data";
import { assertEquals, assertThrows } from "@std/assert";

Deno.test("toTensor() keeps shape and values of every type", async () => {
  const arrays: [HostArray, string][] = [
    [hostArray(Float32Array.of(0.5, -1), [2, 1]), "float32"],
    [hostArray(Float64Array.of(0.5, -1)), "float32"],
    [hostArray(Int8Array.of(-128, 127)), "int32"],
    [hostArray(Uint8Array.of(0, 255)), "int32"],
    [hostArray(Int16Array.of(-32768, 1), [1, 2]), "int32"],
    [hostArray(Uint16Array.of(0, 65535)), "int32"],
    [hostArray(Int32Array.of(-(2 ** 31), 2 ** 31 - 1)), "int32"],
    [hostArray(Uint32Array.of(0, 2 ** 32 - 1)), "uint32"],
    [hostArray(Uint8Array.of(7), []), "int32"],
  ];
  for (const [array, dtype] of arrays) {
    const made = toTensor(array);
    assertEquals([made.shape, made.dtype], [array.shape, dtype]);
    assertEquals([...await made.data()], [...array.data as Float64Array]);
  }
});

Deno.test("toTensor() takes 64-bit integers that fit in int32", async () => {
  for (const data of [BigInt64Array.of(-5n, 7n), BigUint64Array.of(5n, 7n)]) {
    const made = toTensor(hostArray(data));
    assertEquals(made.dtype, "int32");
    assertEquals([...await made.data()], [...data].map(Number));
  }
  for (
    const data of [
      BigInt64Array.of(0n, 2n ** 31n),
      BigInt64Array.of(0n, -(2n ** 31n) - 1n),
      BigUint64Array.of(0n, 2n ** 64n - 1n),
    ]
  ) {
    assertThrows(() => toTensor(hostArray(data)), RangeError, "element 1");
  }
});

Deno.test("toTensor() takes the element type that is asked for", async () => {
  const bytes = hostArray(Uint8Array.of(0, 3));
  const floats = toTensor(bytes, { dtype: "float32" });
  assertEquals(await floats.data(), Float32Array.of(0, 3));
  const bools = toTensor({ ...bytes, dtype: "bool" } as HostArray);
  assertEquals([bools.dtype, await bools.data()], [
    "bool",
    Uint8Array.of(0, 1),
  ]);
});

Deno.test("toTensors() makes batches of tensors, and keeps the rest", async () => {
  const data = columns({
    x: hostArray(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]),
    y: Uint8Array.of(7, 8, 9),
    name: ["a", "b", "c"],
  });
  const loader = new DataLoader(data, {
    batchSize: 2,
    collate: (items) => toTensors(defaultCollate(items)),
  });
  const [first, second] = await Array.fromAsync(loader);
  assertEquals(await first!.x.toArray(), [[1, 2], [3, 4]]);
  assertEquals(await second!.y.toArray(), [9]);
  assertEquals(first!.name, ["a", "b"]);
});
