import { Adam, AdamW, clipGradNorm, type Optimizer, SGD } from "@heddle/nn";
import { Scope, type Tensor, tensor, zeros } from "@heddle/tensor";
import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { Device as RuntimeDevice } from "../../tensor/device/runtime.ts";
import { assertClose, assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { CLIPPING, OPTIMIZERS } from "./fixtures.ts";

type Three = readonly [weight: Tensor, bias: Tensor, late: Tensor];

/** The optimizers of `make_fixtures.py`, made the same way. */
const MAKE: Readonly<Record<string, (p: Three) => Optimizer>> = {
  "sgd": (p) => new SGD(p, { learningRate: 0.1 }),
  "sgd with momentum": (p) => new SGD(p, { learningRate: 0.1, momentum: 0.9 }),
  "sgd with dampening": (p) =>
    new SGD(p, { learningRate: 0.1, momentum: 0.9, dampening: 0.5 }),
  "sgd with nesterov": (p) =>
    new SGD(p, {
      learningRate: 0.1,
      momentum: 0.8,
      nesterov: true,
      weightDecay: 0.1,
    }),
  "sgd with weight decay": (p) =>
    new SGD(p, { learningRate: 0.1, weightDecay: 0.1 }),
  "adam": (p) => new Adam(p),
  "adam with options": (p) =>
    new Adam(p, {
      learningRate: 0.05,
      betas: [0.8, 0.9],
      eps: 0.01,
      weightDecay: 0.1,
    }),
  "adam with amsgrad": (p) =>
    new Adam(p, { learningRate: 0.1, amsgrad: true, betas: [0.5, 0.6] }),
  "adamw": (p) => new AdamW(p),
  "adamw with options": (p) =>
    new AdamW(p, {
      learningRate: 0.05,
      betas: [0.8, 0.9],
      eps: 0.01,
      weightDecay: 0.3,
    }),
  "adamw with amsgrad": (p) =>
    new AdamW(p, { learningRate: 0.1, amsgrad: true, betas: [0.5, 0.6] }),
  "groups": ([weight, bias, late]) =>
    new AdamW([
      { parameters: [weight], learningRate: 0.1, weightDecay: 0.5 },
      { parameters: [bias, late], betas: [0.7, 0.8] },
    ], { learningRate: 0.01 }),
};

for (const fixture of OPTIMIZERS) {
  deviceTest(
    `step() follows PyTorch for 20 steps: ${fixture.name}`,
    async () => {
      const [x, y] = [fixture.x.tensor(), fixture.y.tensor()];
      const parameters = fixture.initial.map((values) =>
        values.tensor().asVariable()
      ) as unknown as Three;
      const [weight, bias, late] = parameters;
      const optimizer = MAKE[fixture.name]!(parameters);
      for (const [step, expected] of fixture.steps.entries()) {
        using _scope = new Scope();
        let output = x.matmul(weight).add(bias).tanh();
        if (step >= 3) output = output.mul(late);
        output.sub(y).square().mean().backward();
        optimizer.step();
        for (const [at, parameter] of parameters.entries()) {
          // Rounding of each of the steps before adds up.
          await assertClose(parameter, expected[at]!, {
            rtol: 2e-5,
            atol: 5e-6,
            of: `parameter ${at} after step ${step + 1}`,
          });
        }
      }
    },
  );
}

deviceTest(
  "step() clears the gradients, or keeps them to be added to",
  async () => {
    const x = tensor([1], { requiresGrad: true });
    const optimizer = new SGD([x], { learningRate: 0.5 });
    x.mul(3).sum().backward();
    optimizer.step({ keep: true });
    assert(x.grad?.isComputed);
    x.mul(4).sum().backward();
    await assertSame(x.grad!, [7]);
    optimizer.step();
    assertEquals(x.grad, null);
    await assertSame(x, [1 - 1.5 - 3.5]);
  },
);

deviceTest("step() computes loss and parameters in one go", () => {
  const x = tensor([1], { requiresGrad: true });
  const optimizer = new Adam([x]);
  const loss = x.square().sum();
  loss.backward();
  assertFalse(loss.isComputed);
  optimizer.step();
  assert(loss.isComputed && x.isComputed);
  assert(optimizer.stateDict().tensors["0.mean"]!.isComputed);
});

deviceTest(
  "step() plans once for all steps and learning rates",
  async (device) => {
    assert(device instanceof RuntimeDevice);
    const { backend } = device;
    let prepared = 0;
    const prepare = backend.prepare;
    backend.prepare = (kernel) => {
      prepared++;
      return prepare.call(backend, kernel);
    };
    try {
      const x = tensor([1, 2], { requiresGrad: true });
      const optimizer = new AdamW([x]);
      const counts: number[] = [];
      for (let step = 0; step < 5; step++) {
        using _scope = new Scope();
        x.square().sum().backward();
        optimizer.groups[0]!.learningRate = 0.1 / (step + 2);
        optimizer.step();
        counts.push(prepared);
      }
      // The first step has zeros for averages: a plan of its own.
      assertEquals(counts.slice(2), [counts[1], counts[1], counts[1]]);
      assertFalse(Number.isNaN(await x.sum().item()));
    } finally {
      backend.prepare = prepare;
    }
  },
);

deviceTest(
  "step() takes gradients that several backward() calls add up",
  async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    const optimizer = new SGD([x], { learningRate: 0.5 });
    for (let step = 0; step < 2; step++) {
      using _scope = new Scope();
      for (const factor of [1, 3]) x.mul(factor).sum().backward();
      optimizer.step();
    }
    await assertSame(x, [1 - 4, 2 - 4]);
  },
);

Deno.test("step() needs a gradient", () => {
  const x = tensor([1], { requiresGrad: true });
  assertThrows(
    () => new Adam([x]).step(),
    Error,
    "Adam.step: no parameter has a gradient: call loss.backward() first",
  );
});

Deno.test("Optimizer refuses what is no parameter and options out of range", () => {
  const x = tensor([1], { requiresGrad: true });
  const learningRate = 1;
  const cases: readonly (readonly [
    () => unknown,
    typeof RangeError | typeof TypeError,
    string,
  ])[] = [
    [() => new Adam([]), RangeError, "Adam: there are no parameters"],
    [() => new Adam([x, x]), RangeError, "of shape [1] is named twice"],
    [
      () => new Adam([{ parameters: [x] }, { parameters: [x] }]),
      RangeError,
      "is named twice",
    ],
    [() => new SGD([tensor(1)], { learningRate }), TypeError, "variable"],
    [() => new SGD([x.mul(2)], { learningRate }), TypeError, "a variable"],
    [
      () => new SGD([x], { learningRate: -1 }),
      RangeError,
      "SGD: learningRate must be 0 or more: got -1",
    ],
    [
      () => new SGD([x], { learningRate: NaN }),
      RangeError,
      "learningRate must be 0 or more: got NaN",
    ],
    [
      () => new SGD([x], { learningRate, nesterov: true }),
      RangeError,
      "nesterov needs momentum and no dampening: got 0 and 0",
    ],
    [
      () => new Adam([x], { betas: [0.9, 1] }),
      RangeError,
      "the second of betas must be from 0 to below 1: got 1",
    ],
    [
      () => new AdamW([{ parameters: [x], weightDecay: -1 }]),
      RangeError,
      "weightDecay must be 0 or more: got -1",
    ],
    [() => new Adam([x], { eps: -1 }), RangeError, "eps must be 0 or more"],
  ];
  for (const [make, error, message] of cases) {
    assertThrows(make, error, message);
  }
});

deviceTest(
  "loadStateDict() makes an optimizer go on where another was",
  async () => {
    const make = () => {
      const x = tensor([1, -2], { requiresGrad: true });
      const optimizer = new Adam([x], { learningRate: 0.1, amsgrad: true });
      const step = () => {
        x.square().sum().backward();
        optimizer.step();
      };
      return { x, optimizer, step };
    };
    const [first, second] = [make(), make()];
    first.step();
    first.step();
    first.optimizer.groups[0]!.learningRate = 0.05;
    second.x.assign(first.x);
    second.optimizer.loadStateDict(first.optimizer.stateDict());
    assertEquals(second.optimizer.groups[0]!.learningRate, 0.05);
    first.step();
    second.step();
    await assertSame(second.x, await first.x.data());
  },
);

Deno.test("loadStateDict() of an optimizer says what does not fit", () => {
  const of = (shape: number[], options = {}) =>
    new Adam([zeros(shape).asVariable()], options);
  const state = of([2]).stateDict();
  assertThrows(
    () => of([3]).loadStateDict(state),
    RangeError,
    "Adam.loadStateDict: the state does not fit: 0.mean is [2] instead of [3]",
  );
  assertThrows(
    () => of([2], { amsgrad: true }).loadStateDict(state),
    RangeError,
    "missing 0.peak",
  );
  assertThrows(
    () => of([2]).loadStateDict({ ...state, steps: [1, 2] }),
    RangeError,
    "it has 2 parameters instead of 1",
  );
  assertThrows(
    () => of([2]).loadStateDict({ ...state, learningRates: [] }),
    RangeError,
    "it has 0 groups instead of 1",
  );
  assertThrows(
    () => of([2]).loadStateDict({ ...state, steps: [-1] }),
    RangeError,
    "a count or a rate is no such number",
  );
});

for (const { maxNorm, before, norm, after } of CLIPPING) {
  deviceTest(
    `clipGradNorm() clips as PyTorch does: to ${maxNorm}`,
    async () => {
      const parameters = before.map(({ shape }) => zeros(shape).asVariable());
      parameters.forEach((parameter, at) =>
        parameter.grad = before[at]!.tensor()
      );
      const none = zeros([1]).asVariable();
      const got = clipGradNorm([...parameters, none], maxNorm);
      await assertClose(got, norm);
      for (const [at, { grad }] of parameters.entries()) {
        await assertClose(grad!, after[at]!);
      }
      assertEquals(none.grad, null);
    },
  );
}

deviceTest(
  "clipGradNorm() is computed with the step, for many parameters",
  async () => {
    const parameters = Array.from(
      { length: 150 },
      () => zeros([2]).asVariable(),
    );
    const optimizer = new SGD(parameters, { learningRate: 1 });
    parameters.map((x) => x.mul(3).sum()).reduce((a, b) => a.add(b)).backward();
    const norm = clipGradNorm(parameters, 1);
    assertFalse(norm.isComputed);
    optimizer.step();
    assert(norm.isComputed);
    await assertClose(norm, 3 * Math.sqrt(300));
    await assertClose(parameters[149]!, [
      -1 / Math.sqrt(300),
      -1 / Math.sqrt(300),
    ]);
  },
);

deviceTest("clipGradNorm() gives 0 without gradients", async () => {
  await assertSame(clipGradNorm([zeros([1]).asVariable()], 1), 0);
  assertThrows(
    () => clipGradNorm([], 0),
    RangeError,
    "clipGradNorm: maxNorm must be above 0: got 0",
  );
});
