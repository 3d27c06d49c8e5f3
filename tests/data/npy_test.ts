import { encodeNpy, type HostArray, hostArray, parseNpy } from "@heddle/data";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { numpyFile } from "./numpy_files.ts";

/** An `.npy` file of version 1 with this header. */
function npy(header: string, content: number[] = []): Uint8Array {
  const text = `\x93NUMPY\x01\x00${String.fromCharCode(header.length, 0)}`;
  const bytes = Array.from(text + header, (char) => char.charCodeAt(0));
  return Uint8Array.from([...bytes, ...content]);
}

Deno.test("parseNpy() reads what NumPy wrote", () => {
  assertEquals(parseNpy(numpyFile("bool")), {
    data: Uint8Array.of(1, 0, 1),
    shape: [3],
    dtype: "bool",
  });
  assertEquals(parseNpy(numpyFile("bigEndian")), {
    data: Int16Array.of(-3, -2, -1, 0, 1, 2),
    shape: [2, 3],
    dtype: "int16",
  });
  assertEquals(parseNpy(numpyFile("columnMajor")), {
    data: Float32Array.of(0, 0.5, 1, 1.5, 2, 2.5),
    shape: [2, 3],
    dtype: "float32",
  });
  assertEquals(parseNpy(numpyFile("half")), {
    data: Float32Array.of(1.5, -0.25),
    shape: [2],
    dtype: "float16",
  });
  assertEquals(parseNpy(numpyFile("scalar")), {
    data: Float64Array.of(0.1),
    shape: [],
    dtype: "float64",
  });
  assertEquals(parseNpy(numpyFile("long")), {
    data: BigInt64Array.of(2n ** 62n, -1n),
    shape: [2],
    dtype: "int64",
  });
  assertEquals(parseNpy(numpyFile("version2")).shape, [2, 0]);
  assertEquals(parseNpy(numpyFile("version3")).data, Uint16Array.of(65535));
});

Deno.test("parseNpy() turns column-major arrays of three axes around", () => {
  const [a, b, c] = [2, 3, 5];
  const content = new Array<number>(a * b * c);
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      for (let k = 0; k < c; k++) {
        content[i + a * (j + b * k)] = 16 * i + 5 * j + k;
      }
    }
  }
  const { data } = parseNpy(npy(
    `{'descr': '|u1', 'fortran_order': True, 'shape': (${a}, ${b}, ${c}), }\n`,
    content,
  ));
  const want = [];
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      for (let k = 0; k < c; k++) want.push(16 * i + 5 * j + k);
    }
  }
  assertEquals([...data as Uint8Array], want);
});

Deno.test("encodeNpy() writes the bytes that NumPy writes", () => {
  assertEquals(
    encodeNpy({ data: Uint8Array.of(1, 0, 1), shape: [3], dtype: "bool" }),
    numpyFile("bool"),
  );
  assertEquals(
    encodeNpy(hostArray(BigInt64Array.of(2n ** 62n, -1n))),
    numpyFile("long"),
  );
  assertEquals(
    encodeNpy(hostArray(Float64Array.of(0.1), [])),
    numpyFile("scalar"),
  );
});

Deno.test("encodeNpy() and parseNpy() are inverse for every type", () => {
  const arrays: HostArray[] = [
    hostArray(Int8Array.of(-128, 127), [2, 1]),
    hostArray(Uint8Array.of(0, 255)),
    hostArray(Int16Array.of(-32768, 32767)),
    hostArray(Uint16Array.of(0, 65535)),
    hostArray(Int32Array.of(-(2 ** 31), 2 ** 31 - 1)),
    hostArray(Uint32Array.of(0, 2 ** 32 - 1), [1, 2, 1]),
    hostArray(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)),
    hostArray(BigUint64Array.of(0n, 2n ** 64n - 1n)),
    hostArray(Float32Array.of(NaN, -0, Infinity)),
    hostArray(Float64Array.of(NaN, -0, 5e-324)),
    hostArray(new Float32Array(0), [0, 3]),
    hostArray(Uint8Array.of(9), new Array<number>(30_000).fill(1)),
  ];
  for (const array of arrays) {
    const bytes = encodeNpy(array);
    assert(bytes.length - array.data.byteLength > 0);
    assertEquals((bytes.length - array.data.byteLength) % 64, 0);
    const { data, shape } = parseNpy(bytes);
    assertEquals({ data, shape }, array);
  }
});

Deno.test("encodeNpy() writes only the part that a subarray shows", () => {
  const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
  assertEquals(
    parseNpy(encodeNpy(hostArray(data))).data,
    Float32Array.of(2, 3),
  );
});

Deno.test("parseNpy() brings every true to 1", () => {
  const file = npy(
    "{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }\n",
    [0, 1, 255],
  );
  assertEquals(parseNpy(file).data, Uint8Array.of(0, 1, 1));
});

Deno.test("parseNpy() refuses files that are no plain arrays", () => {
  assertThrows(() => parseNpy(new Uint8Array(20), "w.npy"), TypeError, "w.npy");
  assertThrows(() => parseNpy(numpyFile("object")), TypeError, "type |O");
  assertThrows(() => parseNpy(numpyFile("record")), TypeError, "not read");
  const version4 = numpyFile("bool");
  version4[6] = 4;
  assertThrows(() => parseNpy(version4), TypeError, "version 4");
});

Deno.test("parseNpy() refuses sizes that disagree with the file", () => {
  const whole = numpyFile("long");
  for (let length = 0; length < whole.length; length++) {
    assertThrows(() => parseNpy(whole.slice(0, length)));
  }
  const longer = Uint8Array.from([...whole, 0]);
  assertThrows(() => parseNpy(longer), RangeError, "17 bytes of elements");
  const shape = (sizes: string) =>
    npy(`{'descr': '<f8', 'fortran_order': False, 'shape': (${sizes}), }\n`);
  assertThrows(() => parseNpy(shape("4294967296, 4294967296")), RangeError);
  assertThrows(() => parseNpy(shape("-1,")), TypeError, "not read");
  assertThrows(() => parseNpy(shape("99999999999999999999,")), RangeError);
  assertThrows(
    () => parseNpy(Uint8Array.from(npy("xx").with(8, 255).with(9, 255))),
    RangeError,
    "header of 65535 bytes",
  );
});

Deno.test("encodeNpy() refuses booleans that are not bytes", () => {
  const array = { ...hostArray(Int32Array.of(1)), dtype: "bool" } as const;
  assertThrows(() => encodeNpy(array), TypeError, "must be a Uint8Array");
  const clamped = Uint8ClampedArray.of(1) as unknown as Uint8Array;
  assertThrows(
    () => encodeNpy(hostArray(clamped)),
    TypeError,
    "no element type",
  );
});
