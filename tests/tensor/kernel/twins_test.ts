import {
  bernoulli,
  concat,
  conv2d,
  maxPool2d,
  randomKey,
  type Tensor,
  tensor,
  where,
} from "@heddle/tensor";
import { assertEquals } from "@std/assert";
import { canonicalize, signatureOf } from "../../../tensor/kernel/program.ts";
import { isProduct } from "../../../tensor/kernel/twins.ts";
import { nodeOf } from "../../../tensor/tensor.ts";
import { assertClose } from "../../assert_close.ts";
import { deviceTest } from "../../devices.ts";
import { type Seeded, seeded } from "../../seeded.ts";

/** How many matrix products a computation has. */
function productsOf(...results: Tensor[]): number {
  const { order } = canonicalize(signatureOf(results.map(nodeOf)), {
    minRows: 8,
    longReduction: 16384,
  });
  return order.filter(({ op, inputs }) =>
    op.kind === "reduce" && op.reducer === "sum" && isProduct(inputs[0]!)
  ).length;
}

const source = (...shape: number[]) => seeded(1).values(shape).tensor();
const variable = (seed: number, ...shape: number[]) =>
  seeded(seed).values(shape).tensor().asVariable();

Deno.test("canonicalize() makes one product of two halves under one weight", () => {
  const x = source(4, 10);
  const weight = source(5, 3);
  const first = x.slice(null, [0, 5]).matmul(weight);
  const second = x.slice(null, [5, 10]).matmul(weight);
  assertEquals(productsOf(first, second), 1);
  assertEquals(productsOf(second.relu(), first.exp()), 1);
});

Deno.test("canonicalize() makes one product of what both halves add up", () => {
  const [x, g] = [source(4, 10), source(4, 6)];
  const part = (value: Tensor, from: number, to: number) =>
    value.slice(null, [from, to]);
  const gradient = part(x, 0, 5).transpose().matmul(part(g, 0, 3))
    .add(part(x, 5, 10).transpose().matmul(part(g, 3, 6)));
  assertEquals(productsOf(gradient), 1);
});

Deno.test("canonicalize() keeps products apart that are no twins", () => {
  const x = source(4, 10);
  const [left, right] = [x.slice(null, [0, 5]), x.slice(null, [5, 10])];
  const [a, b] = [variable(1, 5, 3), variable(2, 5, 3)];
  assertEquals(productsOf(left.matmul(a), right.matmul(b)), 2);
  assertEquals(productsOf(left.matmul(a), right.relu().matmul(a)), 2);
  assertEquals(productsOf(left.matmul(a), right.slice([0, 3]).matmul(a)), 2);
  // Not next to each other: both would have to be copied first.
  const wide = source(4, 11);
  assertEquals(
    productsOf(
      wide.slice(null, [0, 5]).matmul(a),
      wide.slice(null, [6, 11]).matmul(a),
    ),
    2,
  );
});

Deno.test("canonicalize() makes one product of two inputs under one weight", () => {
  const [a, b] = [source(20, 5), seeded(2).values([20, 5]).tensor()];
  const wide = variable(3, 5, 16);
  assertEquals(productsOf(a.matmul(wide), b.matmul(wide)), 1);
  // Both would be read for each, and there is little else to do.
  const narrow = variable(3, 5, 3);
  assertEquals(productsOf(a.matmul(narrow), b.matmul(narrow)), 2);
});

Deno.test("canonicalize() does not merge a product with what it is made of", () => {
  const x = source(4, 10);
  const weight = source(5, 5);
  const first = x.slice(null, [0, 5]).matmul(weight);
  const second = first.add(x.slice(null, [5, 10])).matmul(weight);
  assertEquals(productsOf(first, second), 2);
});

Deno.test("canonicalize() merges two branches of three", () => {
  const x = source(4, 15);
  const weight = source(5, 3);
  const branches = [0, 5, 10].map((at) =>
    x.slice(null, [at, at + 5]).matmul(weight)
  );
  assertEquals(productsOf(...branches), 2);
});

/** A branch with shared weights and random numbers of its own. */
interface Branch {
  readonly kernel: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor;
}

function branch(x: Tensor, of: Branch, key: number): Tensor {
  const { kernel, weight, bias } = of;
  const seen = maxPool2d(conv2d(x, kernel).relu(), 2); // [n, 8, 2, 2]
  const keep = bernoulli(randomKey(key), 0.7, seen.shape);
  const kept = where(keep, seen.mul(1.5), 0).reshape([x.shape[0]!, -1]);
  return kept.matmul(weight).add(bias).tanh(); // [n, 4]
}

/** @param apart Whether the images are two values, not parts of one. */
function network(random: Seeded, batch: number, apart: boolean) {
  const features = 8;
  const parts = {
    kernel: variable(random.integer(0, 99), features, 1, 2, 2),
    weight: variable(random.integer(0, 99), 4 * features, 4),
    bias: variable(random.integer(0, 99), 4),
  };
  const x = random.values([batch, 2, 5, 5]).tensor();
  const images = [0, 1].map(() => random.values([batch, 1, 5, 5]).tensor());
  const image = (at: number) =>
    apart ? images[at]! : x.slice(null, [at, at + 1]);
  return { parts, image };
}

const CASES = [1, 3, 8].flatMap((batch) => [
  { batch, apart: false },
  { batch, apart: true },
]);

for (const { batch, apart } of CASES) {
  deviceTest(
    `merged branches of ${apart ? "two inputs of " : ""}batch ${batch} give ` +
      "what each alone gives",
    async () => {
      const random = seeded(40 + batch);
      const { parts, image } = network(random, batch, apart);
      const variables = Object.values(parts);
      const head = seeded(9).values([8, 1]).tensor();

      const both = [0, 1].map((at) => branch(image(at), parts, at));
      const loss = concat(both, 1).matmul(head).square().sum();
      loss.backward();
      assertEquals(productsOf(...both), 2);
      const got = await Promise.all(variables.map(({ grad }) => grad!.data()));
      const values = await Promise.all(both.map((value) => value.data()));

      // Alone and one after the other there is nothing to merge.
      for (const one of variables) one.grad = null;
      const outputs: ArrayLike<number>[] = [];
      for (const at of [0, 1]) {
        outputs.push(await branch(image(at), parts, at).data());
      }
      for (const at of [0, 1]) {
        await assertClose(values[at]!, outputs[at]!, {
          rtol: 1e-5,
          atol: 1e-6,
        });
      }
      // d loss / d output of each, from the outputs: 2 (y . h) h.
      const heads = await head.data();
      const sums = Array.from(
        { length: batch },
        (_, row) =>
          [0, 1].flatMap((at) =>
            [0, 1, 2, 3].map((i) =>
              outputs[at]![4 * row + i]! * heads[4 * at + i]!
            )
          ).reduce((a, b) => a + b, 0),
      );
      for (const at of [0, 1]) {
        const seed = Float32Array.from(
          { length: 4 * batch },
          (_, i) => 2 * sums[Math.floor(i / 4)]! * heads[4 * at + i % 4]!,
        );

        branch(image(at), parts, at).backward(
          tensor(seed, { shape: [batch, 4] }),
        );
        for (const one of variables) await one.grad!.realize();
      }
      for (const [at, one] of variables.entries()) {
        await assertClose(got[at]!, await one.grad!.data(), {
          rtol: 1e-4,
          atol: 1e-5,
        });
      }
    },
  );
}
