import {
  Linear,
  readSafetensors,
  readSafetensorsHeader,
  SafetensorsError,
  writeSafetensors,
} from "@heddle/nn";
import { ones, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { realData } from "../data/places.ts";
import { deviceTest } from "../devices.ts";

/** A file of a header, as text, bytes or anything JSON, and its data. */
function file(
  header: unknown,
  data: ArrayBufferView = new Uint8Array(),
  headerLength?: bigint,
): Uint8Array {
  const text = header instanceof Uint8Array ? header : new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + text.length + data.byteLength);
  new DataView(bytes.buffer)
    .setBigUint64(0, headerLength ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    8 + text.length,
  );
  return bytes;
}

/** A file of one tensor, `x`. */
function lone(
  dtype: string,
  data: ArrayBufferView,
  shape: readonly number[] = [
    data.byteLength /
    (data as ArrayBufferView & { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT,
  ],
): Uint8Array {
  const entry = { dtype, shape, "data_offsets": [0, data.byteLength] };
  return file({ x: entry }, data);
}

async function values(bytes: Uint8Array): Promise<number[]> {
  const { tensors } = readSafetensors(bytes);
  return [...await tensors["x"]!.data()];
}

deviceTest(
  "writeSafetensors() and readSafetensors() keep every bit",
  async () => {
    const odd = [0, -0, 1e-45, -3.4e38, Infinity, -Infinity, NaN, 0.1];
    const tensors: Record<string, Tensor> = {
      floats: tensor(odd, { shape: [2, 2, 2] }),
      computed: ones([3]).mul(2).add(0.5),
      ints: tensor(new Int32Array([-(2 ** 31), 2 ** 31 - 1, -1])),
      uints: tensor(new Uint32Array([0, 2 ** 32 - 1])),
      bools: tensor([true, false, true]),
      scalar: tensor(7),
      empty: zeros([0, 3]),
      'a name, "quoted" Ünïcode\n': tensor([1]),
    };
    const metadata = { b: "2", a: 'ä "1"' };
    const bytes = await writeSafetensors(tensors, metadata);
    const read = readSafetensors(bytes);
    assertEquals(read.metadata, metadata);
    assertEquals(
      Object.keys(read.tensors).sort(),
      Object.keys(tensors).sort(),
    );
    for (const [name, x] of Object.entries(tensors)) {
      const got = read.tensors[name]!;
      assertEquals([got.dtype, got.shape], [x.dtype, x.shape], name);
      const [a, b] = [await got.data(), await x.data()];
      assertEquals(new Uint8Array(a.buffer), new Uint8Array(b.buffer), name);
    }
  },
);

deviceTest(
  "writeSafetensors() gives the same aligned bytes in any order",
  async () => {
    const tensors = {
      b: tensor([true]),
      c: tensor([1, 2]),
      a: tensor(new Int32Array([3])),
      aa: tensor([4]),
    };
    const turned = Object.fromEntries(Object.entries(tensors).reverse());
    const bytes = await writeSafetensors(tensors, { x: "1", y: "2" });
    assertEquals(await writeSafetensors(turned, { y: "2", x: "1" }), bytes);
    const length = new DataView(bytes.buffer).getUint32(0, true);
    assertEquals((8 + length) % 8, 0);
    const header = JSON.parse(
      new TextDecoder().decode(bytes.subarray(8, 8 + length)),
    );
    assertEquals(header, {
      __metadata__: { x: "1", y: "2" },
      aa: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
      c: { dtype: "F32", shape: [2], data_offsets: [4, 12] },
      a: { dtype: "I32", shape: [1], data_offsets: [12, 16] },
      b: { dtype: "BOOL", shape: [1], data_offsets: [16, 17] },
    });
  },
);

Deno.test("writeSafetensors() refuses names and metadata that no reader takes", async () => {
  const x = ones([1]);
  await assertRejects(
    () => writeSafetensors({ __metadata__: x }),
    RangeError,
    `writeSafetensors: "__metadata__" cannot be the name of a tensor`,
  );
  await assertRejects(() => writeSafetensors({ "\ud800": x }), RangeError);
  await assertRejects(
    () => writeSafetensors({ x }, { a: "\udc00" }),
    RangeError,
    "metadata is not Unicode",
  );
  await assertRejects(
    () => writeSafetensors({ x }, { n: 1 as unknown as string }),
    TypeError,
    `metadata must be text: got 1 for "n"`,
  );
});

Deno.test("readSafetensors() takes files without tensors and padded headers", () => {
  assertEquals(readSafetensors(file("{}")).tensors, {});
  assertEquals(
    readSafetensors(file(`{"__metadata__":{"a":"b"}}   `)).metadata,
    { a: "b" },
  );
});

deviceTest(
  "readSafetensors() reads values on any boundary, from a part of a buffer",
  async () => {
    const bytes = file(
      `{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},` +
        `"x":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}`,
      new Uint8Array([
        1,
        ...new Uint8Array(new Float32Array([1.5, -2]).buffer),
      ]),
    );
    const larger = new Uint8Array(bytes.length + 7);
    larger.set(bytes, 3);
    const part = larger.subarray(3, 3 + bytes.length);
    assertEquals(await values(part), [1.5, -2]);
  },
);

deviceTest("readSafetensors() widens types that we have not", async () => {
  const cases:
    readonly (readonly [string, ArrayBufferView, number[], string])[] = [
      ["U8", new Uint8Array([0, 255]), [0, 255], "int32"],
      ["I8", new Int8Array([-128, 127]), [-128, 127], "int32"],
      ["I16", new Int16Array([-32768, 32767]), [-32768, 32767], "int32"],
      ["U16", new Uint16Array([0, 65535]), [0, 65535], "int32"],
      ["U32", new Uint32Array([2 ** 32 - 1]), [2 ** 32 - 1], "uint32"],
      [
        "I64",
        new BigInt64Array([-(2n ** 31n), 2n ** 31n - 1n, -1n]),
        [-(2 ** 31), 2 ** 31 - 1, -1],
        "int32",
      ],
      ["U64", new BigUint64Array([2n ** 32n - 1n]), [2 ** 32 - 1], "uint32"],
      [
        "F64",
        new Float64Array([0.1, 1e-60, -Infinity, NaN]),
        [Math.fround(0.1), 0, -Infinity, NaN],
        "float32",
      ],
    ];
  for (const [dtype, data, expected, ours] of cases) {
    const bytes = lone(dtype, data);
    assertEquals(await values(bytes), expected, dtype);
    assertEquals(readSafetensors(bytes).tensors["x"]!.dtype, ours);
  }
});

/** The value of a narrow float, by its definition. */
function smallFloat(
  bits: number,
  exponentBits: number,
  fractionBits: number,
  finite: boolean,
): number {
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >> (exponentBits + fractionBits) ? -1 : 1;
  const exponent = (bits >> fractionBits) % 2 ** exponentBits;
  const fraction = bits % 2 ** fractionBits / 2 ** fractionBits;
  const top = 2 ** exponentBits - 1;
  if (exponent === top && !finite) return fraction ? NaN : sign * Infinity;
  const last = fraction === 1 - 2 ** -fractionBits;
  if (exponent === top && finite && last) return NaN;
  return exponent === 0
    ? sign * fraction * 2 ** (1 - bias)
    : sign * (1 + fraction) * 2 ** (exponent - bias);
}

Deno.test("readSafetensors() gives every value of the narrow floats", async () => {
  const halves = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  const bytes = Uint8Array.from({ length: 256 }, (_, bits) => bits);
  const cases = [
    ["F16", halves, 5, 10, false],
    ["BF16", halves, 8, 7, false],
    ["F8_E5M2", bytes, 5, 2, false],
    ["F8_E4M3", bytes, 4, 3, true],
  ] as const;
  for (const [dtype, all, exponentBits, fractionBits, finite] of cases) {
    const got = await values(lone(dtype, all));
    const wrong = got.findIndex((value, bits) =>
      !Object.is(value, smallFloat(bits, exponentBits, fractionBits, finite))
    );
    assertEquals(wrong, -1, `${dtype} ${wrong}: ${got[wrong]}`);
  }
});

Deno.test("readSafetensors() says which value does not fit", () => {
  const cases: readonly (readonly [string, ArrayBufferView, string])[] = [
    [
      "I64",
      new BigInt64Array([0n, 2n ** 31n]),
      "2147483648 does not fit int32",
    ],
    [
      "I64",
      new BigInt64Array([-(2n ** 31n) - 1n]),
      "-2147483649 does not fit int32",
    ],
    ["U64", new BigUint64Array([2n ** 32n]), "4294967296 does not fit uint32"],
    ["F64", new Float64Array([1, 1e39]), "1e+39 is too large for float32"],
    ["BOOL", new Uint8Array([1, 2]), "a BOOL must be 0 or 1: got 2"],
  ];
  for (const [dtype, data, message] of cases) {
    assertThrows(
      () => readSafetensors(lone(dtype, data)),
      SafetensorsError,
      `readSafetensors: "x": ${message}`,
    );
  }
});

Deno.test("readSafetensors() leaves out what is not wanted", () => {
  const bytes = file({
    bad: { dtype: "C64", shape: [1], data_offsets: [0, 8] },
    good: { dtype: "U8", shape: [1], data_offsets: [8, 9] },
  }, new Uint8Array(9));
  assertThrows(
    () => readSafetensors(bytes),
    SafetensorsError,
    `"bad": C64 has no tensor type: leave it out by \`only\``,
  );
  const { tensors } = readSafetensors(bytes, {
    only: (name) => name !== "bad",
  });
  assertEquals(Object.keys(tensors), ["good"]);
  assertEquals(Object.keys(readSafetensorsHeader(bytes).tensors), [
    "bad",
    "good",
  ]);
});

const FOUR = new Uint8Array(4);
const entry = (
  range: readonly unknown[],
  shape: readonly unknown[] = [1],
  dtype: unknown = "F32",
) => ({ dtype, shape, data_offsets: range });

/** Every way to be damaged, with the data that follows. */
const HOSTILE: readonly (readonly [
  what: string,
  bytes: Uint8Array,
  message: string,
])[] = [
  ["no file", new Uint8Array(), "the file is cut off: got 0 bytes"],
  ["a cut length", new Uint8Array(7), "the file is cut off: got 7 bytes"],
  [
    "a header longer than the file",
    file("{}", FOUR, 7n),
    "the file is cut off: its header takes 7 bytes: 6 are there",
  ],
  [
    "a header above the limit",
    file("{}", FOUR, 100_000_001n),
    "the header is too long: got 100000001 bytes: at most 100000000",
  ],
  [
    "a header of 2^64 - 1 bytes",
    file("{}", FOUR, 2n ** 64n - 1n),
    "the header is too long: got 18446744073709551615 bytes",
  ],
  ["no header", file(""), `the header does not begin with {: got ""`],
  ["a header that is a list", file("[]"), "the header does not begin with {"],
  ["a blank in front", file(" {}"), "the header does not begin with {"],
  ["a byte order mark", file("\ufeff{}"), "the header does not begin with {"],
  ["cut JSON", file(`{"x":`), "the header is not JSON"],
  ["JSON with more behind", file("{}{}"), "the header is not JSON"],
  ["NaN in JSON", file(`{"x":NaN}`), "the header is not JSON"],
  [
    "bytes that are not UTF-8",
    file(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])),
    "the header is not UTF-8",
  ],
  [
    "an overlong UTF-8 form",
    file(new Uint8Array([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d])),
    "the header is not UTF-8",
  ],
  [
    "half a surrogate pair",
    file(`{"\\ud800":${JSON.stringify(entry([0, 4]))}}`, FOUR),
    "a name is not Unicode",
  ],
  [
    "a name twice",
    file(
      `{"x":${JSON.stringify(entry([0, 4]))},"x":${
        JSON.stringify(entry([0, 4]))
      }}`,
      FOUR,
    ),
    `the header has a key twice: "x"`,
  ],
  [
    "a name twice, written in two ways",
    file(
      `{"x":${JSON.stringify(entry([0, 4]))},"\\u0078":${
        JSON.stringify(entry([0, 4]))
      }}`,
      FOUR,
    ),
    `the header has a key twice: "x"`,
  ],
  [
    "a field twice",
    file(`{"x":{"dtype":"F32","dtype":"I32"}}`),
    `the header has a key twice: "dtype"`,
  ],
  [
    "metadata twice",
    file(`{"__metadata__":{"a":"\\"{","b":"}","a":"2"}}`),
    `the header has a key twice: "a"`,
  ],
  [
    "metadata that is a list",
    file({ __metadata__: ["a"] }),
    "__metadata__ is no object",
  ],
  [
    "metadata that is no text",
    file({ __metadata__: { a: 1 } }),
    `__metadata__: "a" is no text: got 1`,
  ],
  ["an entry that is no object", file({ x: 3 }), `"x": is no object: got 3`],
  ["an entry that is null", file({ x: null }), `"x": is no object: got null`],
  [
    "no dtype",
    file({ x: { shape: [], data_offsets: [0, 0] } }),
    `"x": unknown dtype: got nothing`,
  ],
  [
    "an unknown dtype",
    file({ x: entry([0, 4], [1], "F33") }, FOUR),
    `"x": unknown dtype: got "F33"`,
  ],
  [
    "an inherited dtype",
    file({ x: entry([0, 4], [1], "toString") }, FOUR),
    `"x": unknown dtype: got "toString"`,
  ],
  [
    "a negative shape",
    file({ x: entry([0, 4], [-1]) }, FOUR),
    `"x": the shape must be whole numbers >= 0: got [-1]`,
  ],
  [
    "a broken shape",
    file({ x: entry([0, 4], [0.5]) }, FOUR),
    `"x": the shape must be whole numbers >= 0`,
  ],
  [
    "a shape that is text",
    file({ x: entry([0, 4], ["1"]) }, FOUR),
    `"x": the shape must be whole numbers >= 0`,
  ],
  [
    "a huge axis",
    file(`{"x":{"dtype":"F32","shape":[1e300],"data_offsets":[0,4]}}`, FOUR),
    `"x": the shape must be whole numbers >= 0`,
  ],
  [
    "a huge product",
    file({ x: entry([0, 4], [2 ** 31, 2 ** 31, 2 ** 31]) }, FOUR),
    `"x": the shape is too large`,
  ],
  [
    "a wrong size",
    file({ x: entry([0, 4], [2]) }, FOUR),
    `"x": F32 of shape [2] takes 8 bytes: got 4 by data_offsets`,
  ],
  [
    "half a byte",
    file({ x: entry([0, 4], [7], "F4") }, FOUR),
    `"x": F4 of shape [7] takes 3.5 bytes`,
  ],
  [
    "reversed offsets",
    file({ x: entry([4, 0], [1]) }, FOUR),
    `"x": data_offsets are reversed: got [4,0]`,
  ],
  [
    "negative offsets",
    file({ x: entry([-4, 0]) }, FOUR),
    `"x": data_offsets must be two whole numbers >= 0`,
  ],
  [
    "three offsets",
    file({ x: entry([0, 4, 4]) }, FOUR),
    `"x": data_offsets must be two whole numbers >= 0`,
  ],
  [
    "offsets behind the end",
    file({ x: entry([0, 8], [2]) }, FOUR),
    `"x" ends at byte 8 of 4 bytes of data`,
  ],
  [
    "offsets that add up beyond all numbers",
    file({ x: entry([2 ** 53 - 5, 2 ** 53 - 1]) }, FOUR),
    `there is a gap of 9007199254740987 bytes before "x"`,
  ],
  [
    "tensors that overlap",
    file({ x: entry([0, 4]), y: entry([0, 4]) }, FOUR),
    `"y" overlaps another tensor`,
  ],
  [
    "a tensor inside another",
    file(
      { x: entry([0, 8], [2]), y: entry([4, 8]) },
      new Uint8Array(8),
    ),
    `"y" overlaps another tensor`,
  ],
  [
    "a gap between tensors",
    file({ x: entry([0, 4]), y: entry([5, 9]) }, new Uint8Array(9)),
    `there is a gap of 1 bytes before "y"`,
  ],
  [
    "a gap before the first",
    file({ x: entry([4, 8]) }, new Uint8Array(8)),
    `there is a gap of 4 bytes before "x"`,
  ],
  [
    "bytes behind the last",
    file({ x: entry([0, 4]) }, new Uint8Array(5)),
    "1 bytes behind the last tensor belong to none",
  ],
  [
    "bytes that belong to none",
    file({}, FOUR),
    "4 bytes behind the last tensor belong to none",
  ],
  [
    "an empty tensor behind the end",
    file({ x: entry([9, 9], [0]) }, FOUR),
    `there is a gap of 9 bytes before "x"`,
  ],
];

for (const [what, bytes, message] of HOSTILE) {
  Deno.test(`readSafetensors() refuses ${what}`, () => {
    assertThrows(
      () => readSafetensors(bytes),
      SafetensorsError,
      `readSafetensors: ${message}`,
    );
  });
}

Deno.test("readSafetensors() refuses nesting without end", () => {
  const deep = `{"x":${"[".repeat(200_000)}${"]".repeat(200_000)}}`;
  assertThrows(() => readSafetensors(file(deep)), SafetensorsError);
});

Deno.test("readSafetensors() takes names that objects have by themselves", async () => {
  const names = ["__proto__", "constructor", "toString", "0"];
  const entries = names.map((name, at) =>
    `${JSON.stringify(name)}:${JSON.stringify(entry([4 * at, 4 * at + 4]))}`
  );
  const bytes = file(`{${entries}}`, new Float32Array([1, 2, 3, 4]));
  const { tensors } = readSafetensors(bytes);
  assertEquals(Object.getPrototypeOf(tensors), Object.prototype);
  for (const [at, name] of names.entries()) {
    const own = Object.getOwnPropertyDescriptor(tensors, name)?.value as Tensor;
    assertEquals(await own.data(), new Float32Array([at + 1]));
  }
  // Into a module they do not fit, and nothing is found by inheritance.
  assertThrows(
    () => new Linear(1, 1).loadStateDict(tensors),
    RangeError,
    "missing weight, bias; unexpected",
  );
});

Deno.test("readSafetensors() refuses a file cut off anywhere", async () => {
  const bytes = await writeSafetensors({ x: ones([3]), y: tensor([true]) });
  for (let length = 0; length < bytes.length; length++) {
    assertThrows(
      () => readSafetensors(bytes.subarray(0, length)),
      SafetensorsError,
    );
  }
});

const FILES = realData("safetensors");

Deno.test({
  name: "readSafetensors() reads files of other writers",
  ignore: FILES === undefined,
  fn: async () => {
    const bytes = await Deno.readFile(`${FILES}/dtypes-numpy.safetensors`);
    const { tensors } = readSafetensors(bytes);
    const { tensors: infos } = readSafetensorsHeader(bytes);
    assertEquals(Object.keys(tensors).length, 27);
    for (const [name, x] of Object.entries(tensors)) {
      const isBool = infos[name]!.dtype === "BOOL";
      assertEquals(
        [...await x.data()],
        Array.from({ length: x.size }, (_, at) => isBool ? at % 2 : at),
        name,
      );
    }
    const torch = await Deno.readFile(
      `${FILES}/dtypes-torch-metadata.safetensors`,
    );
    const read = readSafetensors(torch);
    assertEquals(read.metadata, { test: "metadata", version: "2.2" });
    assertEquals(Object.keys(read.tensors).length, 36);
    for (const [name, x] of Object.entries(read.tensors)) {
      assert(await x.cast("float32").isNaN().sum().item() < x.size, name);
    }
  },
});

Deno.test({
  name: "readSafetensors() reads the shards of a checkpoint",
  ignore: FILES === undefined,
  fn: async () => {
    const { weight_map: places } = JSON.parse(
      await Deno.readTextFile(
        `${FILES}/sharded/model.safetensors.index.json`,
      ),
    ) as { weight_map: Record<string, string> };
    const found: Record<string, string> = {};
    for (const shard of new Set(Object.values(places))) {
      const bytes = await Deno.readFile(`${FILES}/sharded/${shard}`);
      const names = Object.keys(readSafetensors(bytes).tensors);
      for (const name of names) found[name] = shard;
    }
    assertEquals(found, places);
  },
});

const BERT = realData("bert-micro");

Deno.test({
  name: "readSafetensors() reads the weights of a real network",
  ignore: BERT === undefined,
  fn: async () => {
    const bytes = await Deno.readFile(`${BERT}/model.safetensors`);
    const { tensors, metadata } = readSafetensors(bytes);
    assertEquals(metadata, { format: "pt" });
    assertEquals(Object.keys(tensors).length, 42);
    const name = "bert.embeddings.word_embeddings.weight";
    const table = tensors[name]!;
    assertEquals([table.dtype, table.shape], ["float32", [500, 50]]);
    const [begin, end] = readSafetensorsHeader(bytes).tensors[name]!.range;
    const floats = new Float32Array(bytes.slice(begin, end).buffer);
    await assertSame(table.reshape([-1]), floats);
    const again = readSafetensors(await writeSafetensors(tensors)).tensors;
    for (const [path, x] of Object.entries(tensors)) {
      assertEquals(await again[path]!.data(), await x.data(), path);
    }
  },
});
