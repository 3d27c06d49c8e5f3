import { huber, l1, mse, smoothL1 } from "@heddle/losses";
import { type Tensor, tensor, zeros } from "@heddle/tensor";
import { assertEquals, assertThrows } from "@std/assert";
import { assertClose } from "../assert_close.ts";
import { checkGradients } from "../check_gradients.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values, zip } from "../values.ts";

type Reduction = "none" | "mean" | "sum";

interface Case {
  readonly name: string;
  loss(x: Tensor, targets: Tensor, reduction: Reduction): Tensor;
  /** Of the distance. */
  reference(d: number): number;
}

const CASES: readonly Case[] = [
  {
    name: "mse()",
    loss: (x, t, reduction) => mse(x, t, { reduction }),
    reference: (d) => d * d,
  },
  {
    name: "l1()",
    loss: (x, t, reduction) => l1(x, t, { reduction }),
    reference: (d) => d,
  },
  {
    name: "huber() with delta 0.75",
    loss: (x, t, reduction) => huber(x, t, { delta: 0.75, reduction }),
    reference: (d) => d <= 0.75 ? d * d / 2 : 0.75 * (d - 0.375),
  },
  {
    name: "huber()",
    loss: (x, t, reduction) => huber(x, t, { reduction }),
    reference: (d) => d <= 1 ? d * d / 2 : d - 0.5,
  },
  {
    name: "smoothL1() with beta 0.75",
    loss: (x, t, reduction) => smoothL1(x, t, { beta: 0.75, reduction }),
    reference: (d) => d < 0.75 ? d * d / 1.5 : d - 0.375,
  },
  {
    name: "smoothL1()",
    loss: (x, t, reduction) => smoothL1(x, t, { reduction }),
    reference: (d) => d < 1 ? d * d / 2 : d - 0.5,
  },
  {
    name: "smoothL1() with beta 0",
    loss: (x, t, reduction) => smoothL1(x, t, { beta: 0, reduction }),
    reference: (d) => d,
  },
];

for (const { name, loss, reference } of CASES) {
  deviceTest(`${name} matches its float64 reference`, async () => {
    for (const shape of [[65], [3, 1, 5], []]) {
      const from = seeded(shape.length + 1);
      const targets = from.values(shape);
      // No distance near 0 or a turn, where the slope or its change jumps.
      const distances = from.apartFromZero(shape, 0.1, 0.7)
        .map((d) => Math.fround(from.next() < 0.5 ? d : Math.sign(d) + d));
      const x = zip((t, d) => Math.fround(t + d), targets, distances);
      const reductions = shape.length > 1
        ? ["none", "mean", "sum"] as const
        : ["none"] as const;
      for (const reduction of reductions) {
        await checkGradients(
          (x, t) => loss(x, t, reduction),
          (x, t) => {
            const each = zip((a, b) => reference(Math.abs(a - b)), x, t);
            if (reduction === "none") return each;
            const sum = each.data.reduce((a, b) => a + b, 0);
            const by = reduction === "mean" ? each.size : 1;
            return new Values([], [sum / by]);
          },
          [x, targets],
          { of: `[${shape}] ${reduction}`, forward: { atol: 3e-5 } },
        );
      }
    }
  });

  deviceTest(`${name} is 0, with slope 0, where both are equal`, async () => {
    const x = tensor([-2, 0, 3], { requiresGrad: true });
    const losses = loss(x, tensor([-2, 0, 3]), "none");
    await assertClose(losses, [0, 0, 0]);
    losses.sum().backward();
    await assertClose(x.grad!, [0, 0, 0]);
  });

  deviceTest(`${name} of nothing: mean NaN, sum 0`, async () => {
    const nothing = zeros([2, 0]);
    await assertClose(loss(nothing, nothing, "mean"), NaN);
    await assertClose(loss(nothing, nothing, "sum"), 0);
    assertEquals(loss(nothing, nothing, "none").shape, [2, 0]);
  });
}

deviceTest("huber() and smoothL1() have one slope at their turn", async () => {
  for (const loss of [huber, smoothL1]) {
    const x = tensor([1, -1], { requiresGrad: true });
    loss(x, zeros([2]), { reduction: "sum" }).backward();
    await assertClose(x.grad!, [1, -1]);
  }
});

Deno.test("mse(), l1(), huber() and smoothL1() name what is wrong", () => {
  const x = zeros([2, 1]);
  for (const loss of [mse, l1, huber, smoothL1]) {
    assertThrows(
      () => loss(x, zeros([2])),
      RangeError,
      `${loss.name}: predictions and targets differ in shape: got [2, 1] and [2]`,
    );
    assertThrows(
      () => loss(x, zeros([2, 1], { dtype: "int32" })),
      TypeError,
      `${loss.name}: targets must be float32: got int32: cast it first`,
    );
    assertThrows(
      () => loss(x, x, { reduction: "avg" as "mean" }),
      RangeError,
      `${loss.name}: no such reduction: got "avg": use none, mean, sum`,
    );
  }
  for (const delta of [0, -1, NaN, Infinity]) {
    assertThrows(
      () => huber(x, x, { delta }),
      RangeError,
      `huber: delta must be above 0: got ${delta}`,
    );
  }
  assertThrows(
    () => smoothL1(x, x, { beta: -1 }),
    RangeError,
    "smoothL1: beta must be 0 or more: got -1",
  );
});
