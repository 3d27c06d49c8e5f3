import {
  conv2d,
  layerNorm,
  logSoftmax,
  type Operand,
  randomKey,
  realize,
  Scope,
  softmax,
  type Tensor,
  uniform,
  useDevice,
  valueAndGrad,
} from "@heddle/tensor";
import { assert, assertEquals } from "@std/assert";
import type { Step } from "../../tensor/kernel/plan.ts";
import { nodeOf } from "../../tensor/tensor.ts";
import { seeded } from "../seeded.ts";
import { openReference } from "./reference_backend.ts";

const device = openReference();

/** The kernels that compute some tensors. */
function kernelsOf(...results: Tensor[]): readonly Step[] {
  return device.plan(results.map(nodeOf)).steps;
}

/** The names of the kernels, for a message that tells. */
function namesOf(...results: Tensor[]): string[] {
  return kernelsOf(...results).map(({ kernel }) => kernel.name);
}

function isContract({ kernel }: Step): boolean {
  return kernel.kind === "loop" && kernel.contract !== undefined;
}

/** Values that are there already, as a layer's input is in its backward pass. */
async function computed(...shapes: number[][]): Promise<Tensor[]> {
  const made = shapes.map((shape, at) => seeded(at).values(shape).tensor());
  await realize(...made);
  return made;
}

function kernelTest(name: string, test: () => Promise<void>): void {
  Deno.test(name, async () => {
    useDevice(device);
    using _scope = new Scope();
    await test();
  });
}

kernelTest(
  "plan() makes one kernel of elementwise operations with several results",
  async () => {
    const [x, y, row] = await computed([5, 7], [5, 7], [7]);
    const a = x!.mul(y!).add(row!);
    const b = a.tanh().sub(x!);
    const c = b.exp().mul(2).add(a);
    const names = namesOf(a, b, c);
    assertEquals(names.length, 1, `${names}`);
    const [step] = kernelsOf(a, b, c);
    assertEquals(step!.buffers.length, 6); // three read, three written
  },
);

kernelTest(
  "plan() moves elements within the kernel that uses them",
  async () => {
    const [x, y] = await computed([6, 8], [8, 6]);
    const moved = x!.transpose().flip([0]).slice([null, null, 2])
      .pad([[1, 3], [0, 0]]).reshape([6, 8]).transpose();
    assertEquals(namesOf(moved.add(y!)).length, 1);
  },
);

kernelTest(
  "plan() makes one kernel of a reduction with what is before and behind",
  async () => {
    const [x, y] = await computed([5, 7], [5]);
    const sums = x!.sub(1).square().sum({ axis: 1 });
    assertEquals(namesOf(sums.add(y!).sqrt().mul(3)).length, 1);
    assertEquals(namesOf(x!.exp().max({ axis: 0 }).neg()).length, 1);
    assertEquals(namesOf(x!.add(y!.reshape([5, 1])).mean().log()).length, 1);
  },
);

kernelTest(
  "plan() makes one kernel of several reductions of a row",
  async () => {
    const [x] = await computed([5, 7]);
    const over = { axis: 1, keepDims: true };
    assertEquals(namesOf(x!.max(over), x!.min(over), x!.sum(over)).length, 1);
    assertEquals(namesOf(x!.variance({ axis: 1 })).length, 1);
    assertEquals(namesOf(x!.logSumExp({ axis: 1 })).length, 1);
    assertEquals(namesOf(x!.argmax({ axis: 1 })).length, 1);
  },
);

const ROWS: Record<string, (x: Tensor, y: Operand, w: Tensor) => Tensor> = {
  softmax: (x) => softmax(x),
  "softmax over the first axis": (x) => softmax(x, 0),
  logSoftmax: (x) => logSoftmax(x),
  layerNorm: (x) => layerNorm(x),
  "layerNorm with weight and bias": (x, _, weight) =>
    layerNorm(x, { weight, bias: weight.mul(2) }),
  "softmax of scaled and masked logits": (x, y) => softmax(x.mul(0.125).add(y)),
};

for (const [name, operation] of Object.entries(ROWS)) {
  kernelTest(`plan() makes one kernel of ${name}`, async () => {
    const [x, y, w] = await computed([5, 7], [5, 7], [7]);
    const names = namesOf(operation(x!, y!, w!));
    assertEquals(names.length, 1, `${names}`);
  });

  kernelTest(`plan() makes one kernel of the gradient of ${name}`, async () => {
    const [x, y, w, g] = await computed([5, 7], [5, 7], [7], [5, 7]);
    const { grads } = valueAndGrad((input) =>
      operation(input, y!, w!).mul(g!).sum()
    )(x!);
    const names = namesOf(grads[0]!);
    assertEquals(names.length, 1, `${names}`);
  });
}

/** Row by row, the negative log-probability of each target. */
function negativeLogLikelihood(logits: Tensor, targets: Tensor): Tensor {
  return logSoftmax(logits).gather(targets.unsqueeze(1), 1).squeeze(1).neg();
}

function likelihoodByOneHot(logits: Tensor, targets: Tensor): Tensor {
  const classes = logits.shape[1]!;
  return logSoftmax(logits).mul(targets.oneHot(classes)).sum({ axis: 1 }).neg();
}

kernelTest(
  "plan() makes one kernel of logSoftmax and the likelihood of each row",
  async () => {
    const [x] = await computed([5, 7]);
    const targets = seeded(1).integers([5], 0, 7).tensor("int32");
    await realize(targets);
    assertEquals(namesOf(likelihoodByOneHot(x!, targets)).length, 1);
    const { grads } = valueAndGrad((logits) =>
      likelihoodByOneHot(logits, targets).sum()
    )(x!);
    const names = namesOf(grads[0]!);
    assertEquals(names.length, 1, `${names}`);
  },
);

kernelTest(
  "plan() makes two kernels of a likelihood that is looked up",
  async () => {
    const [x] = await computed([5, 7]);
    const targets = seeded(1).integers([5], 0, 7).tensor("int32");
    await realize(targets);
    const names = namesOf(negativeLogLikelihood(x!, targets).mean());
    assert(names.length <= 2, `${names}`);
  },
);

kernelTest(
  "plan() makes one kernel of a matrix product with bias and activation",
  async () => {
    const [x, w, bias, rest] = await computed([6, 5], [5, 7], [7], [6, 7]);
    const results = [
      x!.matmul(w!).add(bias!).relu(),
      x!.matmul(w!).add(bias!).gelu(),
      x!.matmul(w!).add(bias!).mul(rest!).tanh(),
      x!.transpose().transpose().mul(2).add(1).matmul(w!),
      x!.matmul(w!.transpose().reshape([7, 5]).transpose()).sub(rest!),
    ];
    for (const result of results) {
      const steps = kernelsOf(result);
      assertEquals(steps.map(isContract), [true], `${namesOf(result)}`);
    }
  },
);

kernelTest(
  "plan() makes one product of each gradient of a matrix product",
  async () => {
    const [x, w, g] = await computed([6, 5], [7, 5], [6, 7]);
    // A layer's weight is [out, in], so that its gradient comes in order.
    const { grads } = valueAndGrad((a, b) =>
      a!.matmul(b!.transpose()).mul(g!).sum()
    )(x!, w!);
    for (const gradient of grads) {
      assertEquals(kernelsOf(gradient).map(isContract), [true]);
    }
  },
);

kernelTest("plan() makes one kernel of a batched product", async () => {
  const [x, w, shared] = await computed([3, 6, 5], [3, 5, 7], [5, 7]);
  assertEquals(kernelsOf(x!.matmul(w!)).map(isContract), [true]);
  assertEquals(kernelsOf(x!.matmul(shared!)).map(isContract), [true]);
  const scores = x!.matmul(x!.transpose()).mul(0.5);
  assertEquals(kernelsOf(scores).map(isContract), [true]);
});

const CONVOLUTIONS = {
  plain: {},
  padded: { padding: 1 },
  strided: { padding: 1, stride: 2 },
  dilated: { padding: 2, dilation: 2 },
} as const;

for (const [name, options] of Object.entries(CONVOLUTIONS)) {
  kernelTest(
    `plan() makes one kernel of a ${name} convolution with bias and relu`,
    async () => {
      const [x, w, bias] = await computed([2, 3, 9, 8], [4, 3, 3, 3], [4]);
      const result = conv2d(x!, w!, { ...options, bias: bias! }).relu();
      assertEquals(kernelsOf(result).map(isContract), [true]);
    },
  );

  kernelTest(
    `plan() makes one product of each gradient of a ${name} convolution`,
    async () => {
      const [x, w] = await computed([2, 3, 9, 8], [4, 3, 3, 3]);
      const [g] = await computed([...conv2d(x!, w!, options).shape]);
      const { grads } = valueAndGrad((a, b) =>
        conv2d(a, b, options).mul(g!).sum()
      )(x!, w!);
      for (const gradient of grads) {
        assertEquals(kernelsOf(gradient).map(isContract), [true]);
      }
    },
  );
}

kernelTest(
  "plan() makes one kernel of an update with its moments",
  async () => {
    const [w, g, m, v] = await computed([5, 7], [5, 7], [5, 7], [5, 7]);
    const first = m!.mul(0.9).add(g!.mul(0.1));
    const second = v!.mul(0.999).add(g!.mul(g!).mul(0.001));
    const step = first.div(1 - 0.9 ** 3)
      .div(second.div(1 - 0.999 ** 3).sqrt().add(1e-8));
    const updated = w!.mul(1 - 1e-3 * 0.01).sub(step.mul(1e-3));
    assertEquals(namesOf(updated, first, second).length, 1);
  },
);

kernelTest(
  "plan() makes one kernel of a pool",
  async () => {
    const [x] = await computed([2, 3, 8, 8]);
    assertEquals(namesOf(x!.maxPool2d(2)).length, 1);
    assertEquals(namesOf(x!.avgPool2d(3, { stride: 2, padding: 1 })).length, 1);
    assertEquals(namesOf(x!.relu().maxPool2d(2).mul(2)).length, 1);
  },
);

kernelTest(
  "plan() makes one kernel of random numbers and what uses them",
  async () => {
    const [x] = await computed([5, 7]);
    const kept = uniform(randomKey(1), [5, 7]).lt(0.8);
    assertEquals(namesOf(x!.mul(kept.cast("float32")).mul(1.25)).length, 1);
  },
);

kernelTest("plan() computes equal values once", async () => {
  const [x] = await computed([5, 7]);
  const a = x!.exp().sum({ axis: 1 });
  const b = x!.exp().sum({ axis: 1 });
  const [step] = kernelsOf(a, b);
  assertEquals(kernelsOf(a, b).length, 1);
  assertEquals(step!.buffers.length, 2); // x, and one result for both
});

kernelTest(
  "plan() splits a long reduction of few rows, and no other",
  async () => {
    const [long, rows] = await computed([65536], [64, 1024]);
    assertEquals(namesOf(long!.sum()).length, 2);
    assertEquals(namesOf(long!.square().mean().sqrt()).length, 2);
    assertEquals(namesOf(rows!.sum({ axis: 1 })).length, 1);
    assertEquals(namesOf(rows!.sum()).length, 2);
  },
);

kernelTest("plan() of what is there already has no kernels", async () => {
  const [x] = await computed([5, 7]);
  assertEquals(namesOf(x!).length, 0);
});
