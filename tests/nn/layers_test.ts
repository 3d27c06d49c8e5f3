import {
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  Embedding,
  Flatten,
  GELU,
  type Layer,
  LayerNorm,
  LeakyReLU,
  Linear,
  LogSoftmax,
  MaxPool2d,
  ReLU,
  Sequential,
  Sigmoid,
  SiLU,
  Softmax,
  Softplus,
  Tanh,
} from "@heddle/nn";
import { assertEquals } from "@std/assert";
import { assertClose } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { type LayerFixture, LAYERS } from "./fixtures.ts";

/** The layers of `make_fixtures.py`, made the same way. */
const MAKE: Readonly<Record<string, () => Layer>> = {
  "linear": () => new Linear(3, 5),
  "linear without bias": () => new Linear(3, 5, { bias: false }),
  "linear of a vector": () => new Linear(3, 2),
  "conv": () => new Conv2d(4, 3, 3),
  "conv of one image": () => new Conv2d(4, 3, 3),
  "conv with all options": () =>
    new Conv2d(4, 6, [2, 3], {
      stride: [2, 1],
      padding: [1, 2],
      dilation: [1, 2],
      groups: 2,
    }),
  "conv without bias": () => new Conv2d(4, 2, 1, { stride: 2, bias: false }),
  "max pool": () => new MaxPool2d(2),
  "max pool with all options": () =>
    new MaxPool2d([3, 2], { stride: [1, 2], padding: 1 }),
  "average pool": () => new AvgPool2d(3),
  "average pool with all options": () =>
    new AvgPool2d([3, 2], {
      stride: [1, 2],
      padding: 1,
      countIncludePad: false,
    }),
  "layer norm": () => new LayerNorm(5),
  "layer norm of two axes": () => new LayerNorm([3, 5]),
  "layer norm without parameters": () =>
    new LayerNorm(5, { eps: 0.1, affine: false }),
  "batch norm": () => new BatchNorm2d(4),
  "batch norm of all batches": () =>
    new BatchNorm2d(4, { momentum: null, eps: 0.01 }),
  "batch norm without statistics": () =>
    new BatchNorm2d(4, { affine: false, trackRunningStats: false }),
  "batch norm in evaluation": () => new BatchNorm2d(4).eval(),
  "embedding": () => new Embedding(5, 3),
  "embedding with padding": () => new Embedding(5, 3, { paddingIndex: 0 }),
  "flatten": () => new Flatten(),
  "flatten the first axes": () => new Flatten(0, -2),
  "relu": () => new ReLU(),
  "leaky relu": () => new LeakyReLU(0.2),
  "gelu": () => new GELU(),
  "gelu by tanh": () => new GELU("tanh"),
  "tanh": () => new Tanh(),
  "sigmoid": () => new Sigmoid(),
  "silu": () => new SiLU(),
  "softplus": () => new Softplus(),
  "softmax": () => new Softmax(0),
  "log softmax": () => new LogSoftmax(-1),
  "network": () =>
    new Sequential(
      new Conv2d(1, 3, 3, { padding: 1 }),
      new BatchNorm2d(3),
      new LeakyReLU(),
      new MaxPool2d(2),
      new Flatten(),
      new Sequential(new Linear(12, 5), new Tanh(), new Linear(5, 3)),
      new LogSoftmax(1),
    ),
};

/** A state of PyTorch without the counts that only PyTorch keeps. */
function known<T>(layer: Layer, saved: Readonly<Record<string, T>>) {
  const names = Object.keys(layer.stateDict());
  return Object.entries(saved).filter(([name]) =>
    !name.endsWith("batches") || names.includes(name)
  );
}

async function check(layer: Layer, fixture: LayerFixture): Promise<void> {
  const { inputs, output, seed, inputGrad, grads, state, after } = fixture;
  layer.loadStateDict(Object.fromEntries(
    known(layer, state).map(([name, value]) => [
      name,
      value.tensor(name.endsWith("batches") ? "int32" : "float32"),
    ]),
  ));
  // PyTorch's gradients are float32 sums too: both may be off by as much.
  const gradient = { rtol: 1e-4, atol: 1e-5 };
  const xs = inputs.map((x) =>
    inputGrad ? x.tensor().asVariable() : x.tensor("int32")
  );
  const results = xs.map((x) => layer.forward(x));
  const result = results.at(-1)!;
  if (result.requiresGrad) result.backward(seed.tensor());
  await assertClose(result, output, { atol: 1e-5, of: "output" });
  if (inputGrad) {
    await assertClose(xs.at(-1)!.grad!, inputGrad, {
      ...gradient,
      of: "gradient of the input",
    });
  }
  const parameters = layer.namedParameters();
  assertEquals(parameters.map(([name]) => name), Object.keys(grads));
  for (const [name, parameter] of parameters) {
    await assertClose(parameter.grad!, grads[name]!, {
      ...gradient,
      of: `gradient of ${name}`,
    });
  }
  const own = layer.stateDict();
  const names = known(layer, after);
  assertEquals(Object.keys(own).sort(), names.map(([name]) => name).sort());
  for (const [name, value] of names) {
    await assertClose(own[name]!, value, { of: name });
  }
}

for (const fixture of LAYERS) {
  deviceTest(
    `forward() gives PyTorch's values and gradients: ${fixture.name}`,
    () => check(MAKE[fixture.name]!(), fixture),
  );
}
