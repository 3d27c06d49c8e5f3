import {
  PositionalEmbedding,
  SinusoidalPositions,
  sinusoidalPositions,
} from "@heddle/attention";
import { type Tensor, tensor } from "@heddle/tensor";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { Values } from "../values.ts";

async function valuesOf(x: Tensor): Promise<Values> {
  return new Values(x.shape, await x.data());
}

/** Vaswani et al. 2017, section 3.5. */
function positionsReference(seqLen: number, modelDim: number): Values {
  return Values.of([seqLen, modelDim], (p, f) => {
    const angle = p! / 10000 ** (2 * Math.floor(f! / 2) / modelDim);
    return f! % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
}

deviceTest("sinusoidalPositions() equals its float64 reference", async () => {
  for (const [seqLen, modelDim] of [[1, 1], [5, 7], [1000, 6]] as const) {
    const expected = positionsReference(seqLen, modelDim);
    await assertClose(sinusoidalPositions(seqLen, modelDim), expected, {
      rtol: 1e-7,
      atol: 1e-7, // one rounding to float32
    });
  }
});

deviceTest("SinusoidalPositions looks up, and has no state", async () => {
  const positions = new SinusoidalPositions(9, 4);
  const ids = tensor([[0, 8], [3, 9]], { dtype: "int32" });
  const table = positionsReference(9, 4);
  const list = [0, 8, 3, 9];
  await assertClose(
    positions.forward(ids),
    Values.of([2, 2, 4], (n, at, f) => {
      const id = list[n! * 2 + at!]!;
      return id < 9 ? table.at(id, f!) : 0;
    }),
  );
  assertEquals([positions.stateDict(), positions.parameters()], [{}, []]);
});

for (const positions of ["learned", "sinusoidal"] as const) {
  deviceTest(`PositionalEmbedding adds ${positions} positions`, async () => {
    const embedding = new PositionalEmbedding(10, 6, {
      positions,
      maxSeqLen: 8,
      tokenScale: 2,
    });
    const tokens = await valuesOf(embedding.tokens.weight);
    const places = await valuesOf(embedding.positions.weight);
    const ids = [[5, 7, 5], [9, 0, 0]];
    const tokenIds = tensor(ids, { dtype: "int32" });
    const expect = (place: (n: number, at: number) => number) =>
      Values.of(
        [2, 3, 6],
        (n, at, f) =>
          2 * tokens.at(ids[n!]![at!]!, f!) + places.at(place(n!, at!), f!),
      );
    await assertClose(embedding.forward(tokenIds), expect((_n, at) => at));
    await assertClose(
      embedding.forward(tokenIds, { offset: 5 }),
      expect((_n, at) => at + 5),
    );
    const own = [[7, 0, 1], [2, 2, 6]];
    const positionIds = tensor(own, { dtype: "int32" });
    await assertClose(
      embedding.forward(tokenIds, { positionIds }),
      expect((n, at) => own[n]![at]!),
    );
  });
}

deviceTest("PositionalEmbedding has gradients where it looked", async () => {
  const embedding = new PositionalEmbedding(5, 2, {
    maxSeqLen: 4,
    paddingIndex: 0,
    tokenScale: 3,
  });
  const tokenIds = tensor([[1, 4, 1], [4, 1, 0]], { dtype: "int32" });
  embedding.forward(tokenIds, { offset: 1 }).sum().backward();
  const counts = [0, 3, 0, 0, 2]; // 0 is padding
  await assertSame(
    embedding.tokens.weight.grad!,
    Values.of([5, 2], (id) => 3 * counts[id!]!),
  );
  await assertSame(
    embedding.positions.weight.grad!,
    Values.of([4, 2], (at) => at! > 0 ? 2 : 0),
  );
});

deviceTest("PositionalEmbedding drops in training alone", async () => {
  const embedding = new PositionalEmbedding(5, 16, { dropoutRate: 0.5 });
  const tokenIds = tensor([1, 2, 3, 4], { dtype: "int32" });
  const zeros = async () =>
    (await embedding.forward(tokenIds).data()).filter((v) => v === 0).length;
  const dropped = await zeros();
  assert(dropped > 8 && dropped < 56, `${dropped} of 64`);
  embedding.eval();
  assertEquals(await zeros(), 0);
});

Deno.test("PositionalEmbedding keeps what it trains", () => {
  const learned = new PositionalEmbedding(5, 4, { maxSeqLen: 3 });
  assertEquals(
    Object.entries(learned.stateDict()).map(([path, x]) => [path, x.shape]),
    [["tokens.weight", [5, 4]], ["positions.weight", [3, 4]]],
  );
  const fixed = new PositionalEmbedding(5, 4, { positions: "sinusoidal" });
  assertEquals(Object.keys(fixed.stateDict()), ["tokens.weight"]);
});

Deno.test("PositionalEmbedding and sinusoidalPositions() name what is wrong", () => {
  const embedding = new PositionalEmbedding(5, 4, { maxSeqLen: 3 });
  const ids = tensor([[1, 2, 3]], { dtype: "int32" });
  assertThrows(
    () => embedding.forward(ids, { offset: 1 }),
    RangeError,
    "PositionalEmbedding: there are 3 positions: got tokenIds [1, 3] from position 1",
  );
  assertThrows(
    () => embedding.forward(ids, { offset: -1 }),
    RangeError,
    "from position -1",
  );
  assertThrows(
    () => embedding.forward(tensor(1, { dtype: "int32" })),
    RangeError,
    "PositionalEmbedding: tokenIds need at least one axis: got []",
  );
  assertThrows(
    () => embedding.forward(ids.cast("float32")),
    TypeError,
    "Embedding: ids must be int32 or uint32: got float32",
  );
  assertThrows(
    () => new PositionalEmbedding(5, 4, { positions: "none" as "learned" }),
    RangeError,
    'PositionalEmbedding: no such positions: got "none": use learned or sinusoidal',
  );
  assertThrows(
    () => new PositionalEmbedding(0, 4),
    RangeError,
    "PositionalEmbedding: vocabSize must be a whole number from 1: got 0",
  );
  assertThrows(
    () => new PositionalEmbedding(5, 4, { tokenScale: Infinity }),
    RangeError,
    "PositionalEmbedding: tokenScale must be finite: got Infinity",
  );
  assertThrows(
    () => sinusoidalPositions(0, 4),
    RangeError,
    "sinusoidalPositions: seqLen must be a whole number from 1: got 0",
  );
});
