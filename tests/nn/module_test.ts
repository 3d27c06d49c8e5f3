import {
  BatchNorm2d,
  Conv2d,
  Dropout,
  Embedding,
  LayerNorm,
  Linear,
  Module,
  ReLU,
  Sequential,
} from "@heddle/nn";
import { Generator, ones, type Tensor, tensor, zeros } from "@heddle/tensor";
import {
  assert,
  assertEquals,
  assertFalse,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";

class Branches extends Module {
  branch: Sequential = new Sequential(
    new Conv2d(1, 2, 3),
    new BatchNorm2d(2),
    new ReLU(),
  );
  heads: Module[] = [new Linear(2, 3), new Linear(2, 3, { bias: false })];
  named: { first: Linear; inner: Linear[] } = {
    first: new Linear(1, 1),
    inner: [new Linear(1, 2)],
  };
  scale: Tensor = tensor([1, 2], { requiresGrad: true });
  table: Tensor = tensor([3, 4]);
  nothing: Tensor | null = null;
  note: string = "no part";
  generator: Generator = new Generator(1);
  /** Leads back: not a child. */
  self: Module = this;

  override forward(x: Tensor): Tensor {
    return this.branch.forward(x);
  }
}

Deno.test("Module finds its parts by structure and names them by path", () => {
  const net = new Branches();
  assertEquals(net.namedParameters().map(([path]) => path), [
    "branch.0.weight",
    "branch.0.bias",
    "branch.1.weight",
    "branch.1.bias",
    "heads.0.weight",
    "heads.0.bias",
    "heads.1.weight",
    "named.first.weight",
    "named.first.bias",
    "named.inner.0.weight",
    "named.inner.0.bias",
    "scale",
  ]);
  assertEquals(net.namedBuffers().map(([path]) => path), [
    "branch.1.runningMean",
    "branch.1.runningVariance",
    "table",
  ]);
  assertEquals(net.namedModules().map(([path]) => path), [
    "",
    "branch",
    "branch.0",
    "branch.1",
    "branch.2",
    "heads.0",
    "heads.1",
    "named.first",
    "named.inner.0",
  ]);
  assertEquals(
    net.namedChildren().map(([path]) => path),
    [
      "branch",
      "heads.0",
      "heads.1",
      "named.first",
      "named.inner.0",
    ],
  );
  assertEquals(net.namedGenerators(), [["generator", net.generator]]);
  assertEquals(Object.keys(net.stateDict()).length, 15);
  assertStrictEquals(net.stateDict()["scale"], net.scale);
});

Deno.test("Module names shared parts once as parameters, in every place as state", () => {
  class Tied extends Module {
    table: Embedding = new Embedding(5, 3);
    twin: Embedding = this.table;
    head: Linear = new Linear(3, 5);
    constructor() {
      super();
      this.head.weight = this.table.weight;
    }
    override forward(ids: Tensor): Tensor {
      return this.head.forward(this.table.forward(ids));
    }
  }
  const net = new Tied();
  assertEquals(net.namedParameters().map(([path]) => path), [
    "table.weight",
    "head.bias",
  ]);
  assertEquals(Object.keys(net.stateDict()), [
    "table.weight",
    "twin.weight",
    "head.weight",
    "head.bias",
  ]);
  assertEquals(net.modules().length, 3);
  // One name of the shared table does.
  const { missing } = net.loadStateDict({
    "table.weight": ones([5, 3]),
    "head.bias": zeros([5]),
  });
  assertEquals(missing, []);
});

Deno.test("Module leaves out what is computed from variables and private fields", () => {
  class Keeps extends Module {
    weight: Tensor = tensor([1], { requiresGrad: true });
    last: Tensor | null = null;
    #cache: Tensor = tensor([1]);
    override forward(x: Tensor): Tensor {
      return this.last = x.mul(this.weight).add(this.#cache);
    }
  }
  const module = new Keeps();
  module.forward(ones([1]));
  assertEquals(Object.keys(module.stateDict()), ["weight"]);
  assertEquals(module.parameters(), [module.weight]);
});

Deno.test("Module refuses names that would make two paths look alike", () => {
  class Dotted extends Module {
    parts: Record<string, Module> = { "a.b": new Linear(1, 1) };
    override forward(): void {}
  }
  assertThrows(
    () => new Dotted().stateDict(),
    RangeError,
    `must not be empty or hold a dot: got "a.b"`,
  );
});

Deno.test("train() and eval() reach everything below", () => {
  const net = new Branches();
  assert(net.training && net.branch[1]!.training);
  assertStrictEquals(net.eval(), net);
  assertFalse(net.training || net.branch[1]!.training);
  assertFalse(net.named.inner[0]!.training);
  net.train();
  assert(net.modules().every((module) => module.training));
});

Deno.test("zeroGrad() clears all gradients", () => {
  const net = new Linear(2, 1);
  net.forward(ones([1, 2])).sum().backward();
  assert(net.weight.grad && net.bias!.grad);
  net.zeroGrad();
  assertEquals([net.weight.grad, net.bias!.grad], [null, null]);
});

deviceTest("loadStateDict() takes values over and keeps identity", async () => {
  const from = new Branches();
  const to = new Branches();
  const { weight } = to.branch[0] as Conv2d;
  from.table.assign(tensor([5, 6]));
  const result = to.loadStateDict(from.stateDict());
  assertEquals(result, { missing: [], unexpected: [] });
  assertStrictEquals((to.branch[0] as Conv2d).weight, weight);
  assert(weight.isVariable && !to.table.isVariable);
  const state = from.stateDict();
  for (const [name, value] of Object.entries(to.stateDict())) {
    await assertSame(value, state[name]!, name);
  }
});

Deno.test("loadStateDict() says what does not fit, and changes nothing", () => {
  const layer = new Linear(2, 3);
  const fits = { weight: ones([3, 2]), bias: ones([3]) };
  const cases: readonly (readonly [
    Record<string, Tensor>,
    typeof RangeError | typeof TypeError,
    string,
  ])[] = [
    [{ weight: fits.weight }, RangeError, "Linear: missing bias"],
    [{ ...fits, scale: ones([1]) }, RangeError, "unexpected scale"],
    [
      { weight: ones([2, 3]), bias: fits.bias },
      RangeError,
      "weight is [2, 3] instead of [3, 2]",
    ],
    [
      { ...fits, bias: ones([3], { dtype: "int32" }) },
      TypeError,
      "bias is int32 instead of float32",
    ],
    [
      Object.fromEntries("abcdefg".split("").map((name) => [name, ones([])])),
      RangeError,
      "missing weight, bias; unexpected a, b, c, d, e and 2 more",
    ],
  ];
  const before = { ...layer };
  for (const [state, error, message] of cases) {
    assertThrows(() => layer.loadStateDict(state), error, message);
  }
  assertEquals({ ...layer }, before);
  assertFalse(layer.weight.isComputed);
});

deviceTest(
  "loadStateDict() takes what is in both if it is not strict",
  async () => {
    const layer = new Linear(2, 1);
    const result = layer.loadStateDict(
      { bias: tensor([7]), scale: ones([1]), toString: ones([1]) },
      { strict: false },
    );
    assertEquals(result, {
      missing: ["weight"],
      unexpected: ["scale", "toString"],
    });
    await assertSame(layer.bias!, [7]);
    assertThrows(
      () => layer.loadStateDict({ bias: ones([2]) }, { strict: false }),
      RangeError,
      "bias is [2] instead of [1]",
    );
  },
);

Deno.test("loadStateDict() does not mistake inherited names for parts", () => {
  const layer = new Linear(1, 1);
  assertThrows(
    () => layer.loadStateDict({ ...layer.stateDict(), toString: ones([1]) }),
    RangeError,
    "unexpected toString",
  );
});

Deno.test("toString() shows the tree", () => {
  const net = new Sequential(
    new Sequential(new Conv2d(1, 2, [3, 5], { stride: 2, bias: false })),
    new Dropout(0.25),
    new LayerNorm([2, 3]),
    new Linear(4, 2),
  );
  assertEquals(
    `${net}`,
    `Sequential(
  0: Sequential(
    0: Conv2d(1, 2, 3x5, stride 2, padding 0, without bias)
  )
  1: Dropout(0.25)
  2: LayerNorm([2, 3])
  3: Linear(4, 2)
)`,
  );
  assertEquals(Deno.inspect(new ReLU()), "ReLU()");
});
