import {
  checkpoint,
  conv2d,
  grad,
  realize,
  Scope,
  type Tensor,
  tensor,
  useDevice,
  zeros,
} from "@heddle/tensor";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import type { Node } from "../../../tensor/graph/node.ts";
import {
  canonicalize,
  type Program,
  signatureOf,
} from "../../../tensor/kernel/program.ts";
import { opText } from "../../../tensor/kernel/op_text.ts";
import { nodeOf } from "../../../tensor/tensor.ts";
import { assertSame } from "../../assert_close.ts";
import { seeded } from "../../seeded.ts";
import { openReference } from "../reference_backend.ts";

const keyOf = (...results: Tensor[]) => signatureOf(results.map(nodeOf)).key;

function programOf(...results: Tensor[]): Program {
  return canonicalize(signatureOf(results.map(nodeOf)), {
    minRows: 8,
    longReduction: 16384,
  });
}

/** The operations that are left, constants and movements apart. */
function workOf(...results: Tensor[]): string[] {
  return programOf(...results).order
    .filter(({ op }) => !["source", "const", "move"].includes(op.kind))
    .map(({ op }) => opText(op));
}

const source = (...shape: number[]) => seeded(1).values(shape).tensor();

Deno.test("signatureOf() gives equal graphs one key", () => {
  const build = (x: Tensor, y: Tensor) =>
    x.add(y).exp().sum({ axis: 1 }).reshape([3, 1]).mul(x);
  const a = build(source(3, 5), source(3, 5));
  const b = build(
    seeded(2).values([3, 5]).tensor(),
    seeded(3).values([3, 5]).tensor(),
  );
  assertEquals(keyOf(a), keyOf(b));
  const x = source(3, 5);
  // One source twice is another program than two sources.
  assertNotEquals(keyOf(build(x, x)), keyOf(a));
});

Deno.test("signatureOf() tells apart what runs other kernels", () => {
  const x = source(4, 6);
  const graphs = [
    x.sum({ axis: 0 }),
    x.sum({ axis: 1 }),
    x.max({ axis: 0 }),
    x.sum({ axis: 0, keepDims: true }),
    x.transpose(),
    x.flip([0]),
    x.flip([1]),
    x.slice([1, 3]),
    x.slice([2, 4]),
    x.slice([0, 4, 2]),
    x.pad([[1, 0], [0, 0]]),
    x.pad([[0, 1], [0, 0]]),
    x.reshape([6, 4]),
    x.add(1),
    x.add(2),
    x.sub(1),
    x.cast("int32"),
    x.cast("bool"),
    x.cumsum(0),
    x.cumsum(1),
    x.sort().values,
    x.sort().indices,
    x.sort({ descending: true }).values,
    source(6, 4).add(1),
    x.maxPool2d(2, { stride: 1 }),
    x.maxPool2d(2, { stride: 2 }),
  ];
  const keys = graphs.map((graph) => keyOf(graph));
  assertEquals(new Set(keys).size, keys.length);
  assertNotEquals(keyOf(x.add(1), x.add(2)), keyOf(x.add(2), x.add(1)));
});

Deno.test("signatureOf() passes numbers that may change as parameters", () => {
  const x = source(4);
  const steps = [0.001, 0.0009, 1e-8].map((rate) => x.sub(x.mul(rate)));
  assertEquals(new Set(steps.map((step) => keyOf(step))).size, 1);
  assertEquals(signatureOf([nodeOf(steps[0]!)]).params.length, 1);
  // Small whole numbers are part of the program.
  assertNotEquals(keyOf(x.mul(2)), keyOf(x.mul(3)));
  assertEquals(keyOf(x.mul(17)), keyOf(x.mul(-18)));
});

Deno.test("signatureOf() keeps 0 and -0 apart", () => {
  const x = source(4);
  assertNotEquals(keyOf(x.mul(0)), keyOf(x.mul(-0)));
});

Deno.test("signatureOf() stops at what is computed", async () => {
  using _scope = new Scope();
  using _device = useDevice(openReference());
  const x = source(4);
  const hidden = x.exp().sort().values;
  const result = hidden.mul(2);
  const whole = keyOf(result);
  await hidden.realize();
  const rest = signatureOf([nodeOf(result)]);
  assertNotEquals(rest.key, whole);
  assertEquals(rest.sources, [nodeOf(hidden)]);
  assertEquals(rest.key, keyOf(source(4).mul(2)));
});

Deno.test("signatureOf() refuses what has been freed", async () => {
  using _device = useDevice(openReference());
  const x = await source(4).exp().realize();
  const later = x.add(1);
  x.dispose();
  assertThrows(() => keyOf(later), Error, "compute: an input has been freed");
});

Deno.test("canonicalize() computes equal values once", () => {
  const x = source(3, 5);
  assertEquals(workOf(x.exp().add(x.exp())), ["exp", "add"]);
  assertEquals(
    workOf(x.exp().sum({ axis: 1 }), x.exp().sum({ axis: 1 }).neg()),
    ["exp", "sum 1", "neg"],
  );
  // Equal after simplification alone.
  assertEquals(workOf(x.mul(1).exp().add(x.add(0).exp())), ["exp", "add"]);
  const turned = x.transpose().transpose();
  assertEquals(workOf(turned.exp(), x.exp()), ["exp"]);
});

Deno.test("canonicalize() drops what does nothing", () => {
  const x = source(4, 6);
  const nothing = [
    x.add(0),
    x.sub(0),
    x.mul(1),
    x.div(1),
    x.cast("float32"),
    x.reshape([24]).reshape([2, 12]).reshape([4, 6]),
    x.permute([1, 0]).permute([1, 0]),
    x.expand([4, 6]),
    x.slice([0, 4], [0, 6]),
    x.pad([[0, 0], [0, 0]]),
    x.reshape([4, 1, 6]).sum({ axis: 1 }),
  ];
  for (const same of nothing) {
    const { roots } = programOf(same);
    assertEquals(roots.map(({ op }) => op.kind), ["source"]);
  }
});

Deno.test("canonicalize() makes one sum of sums", () => {
  const x = source(3, 4, 5);
  assertEquals(workOf(x.sum({ axis: 1 }).sum({ axis: 1 })), ["sum 1,2"]);
  assertEquals(
    workOf(x.sum({ axis: 2 }).transpose().sum({ axis: 0 })).length,
    1,
  );
  assertEquals(workOf(x.sum({ axis: 2 }).flip().sum({ axis: 1 })).length, 1);
  assertEquals(
    workOf(x.sum({ axis: 0 }).reshape([10, 2]).sum({ axis: 0 })).length,
    1,
  );
});

Deno.test("canonicalize() keeps a sum that something else uses", () => {
  const x = source(3, 4, 5);
  const inner = x.sum({ axis: 2 });
  assertEquals(workOf(inner.sum({ axis: 1 }), inner).length, 2);
  assertEquals(workOf(inner.sum({ axis: 1 }), inner.transpose()).length, 2);
  const moved = inner.transpose();
  assertEquals(workOf(moved.sum({ axis: 0 }), moved.neg()).length, 3);
});

Deno.test("canonicalize() keeps a sum that is repeated, and other reductions", () => {
  const x = source(3, 1, 5);
  const repeated = x.sum({ axis: 2, keepDims: true }).expand([3, 4, 1]);
  assertEquals(workOf(repeated.sum({ axis: 1 })).length, 2);
  assertEquals(workOf(x.max({ axis: 2 }).sum({ axis: 0 })).length, 2);
  assertEquals(workOf(x.sum({ axis: 2 }).max({ axis: 0 })).length, 2);
});

Deno.test("canonicalize() makes one product of a convolution's input gradient", () => {
  const [x, w] = [source(2, 3, 8, 8), source(4, 3, 3, 3)];
  const slope = grad((input) =>
    conv2d(input!, w, { stride: 2, padding: 1 }).sum()
  )(x);
  const sums = workOf(slope).filter((work) => work.startsWith("sum"));
  assertEquals(sums.length, 1);
});

Deno.test("canonicalize() splits a long reduction of few rows in two", () => {
  for (const size of [16384, 30000, 65536]) {
    const long = zeros([size]).add(source(1));
    for (const result of [long.sum(), long.max(), long.prod(), long.min()]) {
      const reductions = programOf(result).order
        .filter(({ op }) => op.kind === "reduce");
      assertEquals(reductions.length, 2, `${size}`);
    }
  }
  const rows = zeros([8, 16384]).add(source(1));
  assertEquals(workOf(rows.sum({ axis: 1 })), ["sum 1"]);
  const short = zeros([16383]).add(source(1));
  assertEquals(workOf(short.sum()), ["sum 0"]);
});

Deno.test("canonicalize() computes a checkpoint's insides twice", () => {
  const block = (x: Tensor) => x.exp().sin().exp();
  const run = (f: (x: Tensor) => Tensor) => {
    using _scope = new Scope();
    const x = source(4).asVariable();
    const loss = f(x).sum();
    loss.backward();
    return workOf(loss, x.grad!).filter((work) => work === "sin").length;
  };
  assertEquals(run(block), 1);
  assertEquals(run((x) => checkpoint((y) => block(y!))(x)), 2);
});

Deno.test("canonicalize() numbers sources and parameters", () => {
  const [x, y] = [source(4), source(4)];
  const signature = signatureOf([nodeOf(x.mul(0.5).add(y.mul(0.25)))]);
  const program = canonicalize(signature, {
    minRows: 8,
    longReduction: 16384,
  });
  assertEquals(signature.sources, [nodeOf(x), nodeOf(y)]);
  const leaves = (slots: ReadonlyMap<Node, number>) =>
    program.order.filter((node) => slots.has(node)).map((node) =>
      slots.get(node)
    );
  assertEquals(leaves(program.sourceSlots).sort(), [0, 1]);
  assertEquals(leaves(program.paramSlots).sort(), [0, 1]);
  for (const node of program.order) {
    for (const input of node.inputs) {
      assert(program.order.indexOf(input) < program.order.indexOf(node));
    }
  }
});

Deno.test("a plan is used again with other values and parameters", async () => {
  using _scope = new Scope();
  let kernels = 0;
  using device = openReference({ onRun: () => kernels++ });
  useDevice(device);
  const step = (values: number[], rate: number) =>
    tensor(values).sub(tensor([1, 1]).mul(rate)).sort().values;
  await assertSame(step([3, 1], 0.5), [0.5, 2.5]);
  const first = kernels;
  await assertSame(step([7, 9], 0.25), [6.75, 8.75]);
  assertEquals(kernels, 2 * first);
  const [a, b] = [step([1, 2], 0.5), step([1, 2], 0.75)];
  assertEquals(device.plan([nodeOf(a)]), device.plan([nodeOf(b)]));
  await realize(a, b);
});
