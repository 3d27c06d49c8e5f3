import {
  arange,
  type DType,
  eye,
  full,
  fullLike,
  linspace,
  ones,
  onesLike,
  type Tensor,
  tensor,
  type TensorValues,
  zeros,
  zerosLike,
} from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { Values } from "../values.ts";

Deno.test("tensor() takes the shape of nested arrays and the type of the values", () => {
  const cases: [TensorValues, number[], DType][] = [
    [3, [], "float32"],
    [true, [], "bool"],
    [[], [0], "float32"],
    [[1], [1], "float32"],
    [[[1, 2, 3], [4, 5, 6]], [2, 3], "float32"],
    [[[[1]], [[2]]], [2, 1, 1], "float32"],
    [[[], []], [2, 0], "float32"],
    [[true, false], [2], "bool"],
    [[true, 2], [2], "float32"],
    [Float32Array.of(1, 2), [2], "float32"],
    [Float64Array.of(1, 2), [2], "float32"],
    [Int32Array.of(1, 2), [2], "int32"],
    [Uint32Array.of(1, 2), [2], "uint32"],
    [Int8Array.of(-1), [1], "int32"],
    [Uint8Array.of(255), [1], "int32"],
    [Uint8ClampedArray.of(255), [1], "int32"],
    [Int16Array.of(-300), [1], "int32"],
    [Uint16Array.of(65535), [1], "int32"],
    [new Float32Array(0), [0], "float32"],
  ];
  for (const [values, shape, dtype] of cases) {
    const made = tensor(values);
    assertEquals([made.shape, made.dtype], [shape, dtype]);
    assertEquals(made.rank, shape.length);
    assertEquals(made.size, shape.reduce((a, b) => a * b, 1));
  }
});

deviceTest(
  "tensor() keeps the values, cast to the type asked for",
  async () => {
    const values = [-1.5, 0, 0.5, 3e9, 1];
    const expected: Record<DType, number[]> = {
      float32: values,
      int32: [-1, 0, 0, 2 ** 31 - 1, 1],
      uint32: [0, 0, 0, 3e9, 1],
      bool: [1, 0, 1, 1, 1],
    };
    for (const dtype of ["float32", "int32", "uint32", "bool"] as const) {
      const made = tensor(values, { dtype });
      assertEquals(made.dtype, dtype);
      await assertSame(made, expected[dtype], dtype);
      // The same once it has been on a device.
      await assertSame(made.reshape([5, 1]).squeeze(), expected[dtype], dtype);
    }
    await assertSame(tensor([NaN], { dtype: "int32" }), [0]);
  },
);

deviceTest("tensor() takes a shape of its own", async () => {
  const made = tensor(Int32Array.of(1, 2, 3, 4, 5, 6), { shape: [3, 2] });
  await assertSame(made, [[1, 2], [3, 4], [5, 6]]);
  await assertSame(tensor([[1, 2], [3, 4]], { shape: [4] }), [1, 2, 3, 4]);
  assertEquals(tensor(7, { shape: [1, 1] }).shape, [1, 1]);
});

Deno.test("tensor() copies its values", async () => {
  const values = Float32Array.of(1, 2);
  const made = tensor(values);
  values[0] = 9;
  assertEquals(await made.data(), Float32Array.of(1, 2));
  // And gives copies away.
  (await made.data())[1] = 9;
  assertEquals(await made.data(), Float32Array.of(1, 2));
  const shape = [2, 1];
  const shaped = tensor([1, 2], { shape });
  shape[0] = 7;
  assertEquals(shaped.shape, [2, 1]);
});

Deno.test("tensor() refuses ragged nesting, other values and other sizes", () => {
  const cases: [() => unknown, ErrorConstructor, string][] = [
    [
      () => tensor([[1, 2], [3]]),
      RangeError,
      "tensor: ragged nesting: got 1 values beside 2 on axis 1",
    ],
    [
      () => tensor([[1], 2] as TensorValues),
      RangeError,
      "tensor: ragged nesting: some values lie deeper than others",
    ],
    [
      () => tensor([1, [2]] as TensorValues),
      RangeError,
      "tensor: ragged nesting: some values lie deeper than others",
    ],
    [
      () => tensor(["a"] as unknown as number[]),
      TypeError,
      "tensor: values must be numbers or booleans: got string",
    ],
    [
      () => tensor(null as unknown as number),
      TypeError,
      "tensor: values must be numbers or booleans: got null",
    ],
    [
      () => tensor([1, undefined] as unknown as number[]),
      TypeError,
      "tensor: values must be numbers or booleans: got undefined",
    ],
    [
      () => tensor([1, 2, 3], { shape: [2, 2] }),
      RangeError,
      "tensor: the shape does not fit the values: got [2, 2] for 3 values",
    ],
    [
      () => tensor([1], { shape: [-1] }),
      RangeError,
      "tensor: sizes must be whole numbers >= 0: got [-1]",
    ],
    [
      () => tensor([1], { shape: [0.5] }),
      RangeError,
      "tensor: sizes must be whole numbers >= 0: got [0.5]",
    ],
    [
      () => tensor(Int32Array.of(1), { requiresGrad: true }),
      TypeError,
      "tensor: only float32 has gradients: got int32",
    ],
  ];
  for (const [make, type, message] of cases) {
    assertThrows(make, type, message);
  }
});

deviceTest("full(), zeros() and ones() fill every type and shape", async () => {
  for (const shape of [[], [0], [1], [2, 3], [2, 0, 5], [1, 1]]) {
    for (const dtype of ["float32", "int32", "uint32", "bool"] as const) {
      const of = `${dtype} [${shape}]`;
      const filled = (value: number) => Values.of(shape, () => value);
      await assertSame(zeros(shape, { dtype }), filled(0), of);
      await assertSame(ones(shape, { dtype }), filled(1), of);
      assertEquals(zeros(shape, { dtype }).dtype, dtype);
      const many = dtype === "bool" ? 1 : 100;
      await assertSame(full(shape, 100, { dtype }), filled(many), of);
    }
  }
  assertEquals(zeros([2]).dtype, "float32");
  await assertSame(full([2], 0.1), [Math.fround(0.1), Math.fround(0.1)]);
});

deviceTest("full() keeps infinities and NaN", async () => {
  await assertSame(full([1], Infinity), [Infinity]);
  await assertSame(full([1], -Infinity), [-Infinity]);
  await assertSame(full([1], NaN), [NaN]);
}, { devices: ["reference", "wasm"] });

deviceTest(
  "fullLike(), zerosLike() and onesLike() take shape and type",
  async () => {
    const x = tensor(Int32Array.of(1, 2, 3), { shape: [3, 1] });
    for (
      const [made, value] of [
        [fullLike(x, 7), 7],
        [zerosLike(x), 0],
        [onesLike(x), 1],
      ] as [Tensor, number][]
    ) {
      assertEquals([made.shape, made.dtype], [[3, 1], "int32"]);
      await assertSame(made.flatten(), [value, value, value]);
    }
  },
);

deviceTest("arange() counts like NumPy's", async () => {
  const cases: [Tensor, DType, number[]][] = [
    [arange(5), "int32", [0, 1, 2, 3, 4]],
    [arange(2, 5), "int32", [2, 3, 4]],
    [arange(5, 0, -2), "int32", [5, 3, 1]],
    [arange(0, 7, 3), "int32", [0, 3, 6]],
    [arange(0), "int32", []],
    [arange(3, 1), "int32", []],
    [arange(0, 1, 0.25), "float32", [0, 0.25, 0.5, 0.75]],
    [arange(1.5), "float32", [0, 1]],
    [arange(3, undefined, 1, { dtype: "float32" }), "float32", [0, 1, 2]],
    [arange(0, 2, 1, { dtype: "bool" }), "bool", [0, 1]],
    [arange(-3, 3, 2), "int32", [-3, -1, 1]],
    [
      arange(16777216, 16777220),
      "int32",
      [16777216, 16777217, 16777218, 16777219],
    ],
  ];
  for (const [made, dtype, expected] of cases) {
    assertEquals(made.dtype, dtype);
    await assertSame(made, expected);
  }
});

Deno.test("arange() refuses steps of 0 and what is not finite", () => {
  for (const [from, to, step] of [[0, 5, 0], [0, Infinity, 1], [NaN, 1, 1]]) {
    assertThrows(
      () => arange(from!, to, step),
      RangeError,
      `arange: needs finite numbers and a step that is not 0: got ${from}, ${to}, ${step}`,
    );
  }
  assertThrows(() => arange(2 ** 33), RangeError, "arange: too large");
});

deviceTest("linspace() includes both ends exactly", async () => {
  await assertClose(linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1]);
  await assertClose(linspace(1, -1, 3), [1, 0, -1]);
  await assertSame(linspace(3, 9, 1), [3]);
  await assertSame(linspace(3, 9, 0), []);
  await assertSame(linspace(3, 9, 2), [3, 9]);
  for (const count of [7, 10, 1001]) {
    const values = await linspace(0.1, 0.7, count).data();
    assertEquals(values[0], Math.fround(0.1));
    assertEquals(values[count - 1], Math.fround(0.7));
    await assertClose(
      values,
      Array.from({ length: count }, (_, i) => 0.1 + i * 0.6 / (count - 1)),
    );
  }
  assertThrows(() => linspace(0, 1, -1), RangeError, "linspace: sizes");
  assertThrows(() => linspace(0, 1, 1.5), RangeError, "linspace: sizes");
});

deviceTest("eye() has ones on the diagonal", async () => {
  await assertSame(eye(3), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]);
  await assertSame(eye(2, 3), [[1, 0, 0], [0, 1, 0]]);
  await assertSame(eye(3, 1), [[1], [0], [0]]);
  assertEquals(eye(0).shape, [0, 0]);
  assertThrows(() => eye(-1), RangeError, "eye: sizes");
});

Deno.test("creation refuses shapes that are none", () => {
  assertThrows(
    () => zeros([2, -1]),
    RangeError,
    "zeros: sizes must be whole numbers >= 0: got [2, -1]",
  );
  assertThrows(
    () => ones([70000, 70000]),
    RangeError,
    "ones: too large: [70000, 70000] has more than 2^31 - 1 elements",
  );
});
