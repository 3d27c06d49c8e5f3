import {
  compile,
  Generator,
  grad,
  hostScalar,
  HostValue,
  noGrad,
  onEachRun,
  ones,
  realize,
  realizeSync,
  Scope,
  stopGradient,
  type Tensor,
  tensor,
  uniform,
} from "@heddle/tensor";
import {
  Adam,
  AverageMeter,
  Dropout,
  Linear,
  Schedule,
  StepLR,
} from "@heddle/nn";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { deviceTest } from "../../devices.ts";

/** A function that takes one tensor, with whatever types. */
// deno-lint-ignore no-explicit-any -- what JavaScript may pass
type Loose = (f: any) => (...args: any[]) => any;

const loosely = compile as unknown as Loose;

deviceTest(
  "compile() leaves nothing behind when the function throws",
  async () => {
    const model = new Linear(2, 1);
    const dropout = new Dropout(0.5, { generator: new Generator(1) });
    const optimizer = new Adam(model.parameters());
    const schedule = new StepLR(optimizer, { stepSize: 1, gamma: 0.5 });
    const meter = new AverageMeter();
    const mode = new HostValue("a");
    const buffer = tensor([1, 2]);
    const weights = await model.weight.toArray();
    const seen = async () => ({
      weight: await model.weight.toArray(),
      grads: [model.weight.grad, model.bias!.grad],
      optimizer: optimizer.stateDict().steps,
      schedule: schedule.state(),
      generator: dropout.generator.state(),
      meter: await meter.state(),
      training: model.training,
      mode: mode.value,
      buffer: await buffer.toArray(),
      variable: [model.weight.isVariable, buffer.isVariable],
    });
    let throws = true;
    const step = (x: Tensor) => {
      const loss = dropout.forward(model.forward(x)).sum();
      loss.backward();
      optimizer.step();
      meter.add(loss);
      meter.add(2);
      schedule.step();
      mode.value = "b";
      buffer.assign(buffer.mul(2));
      model.eval();
      if (throws) {
        model.weight.mul(2).sum().backward();
        throw new Error("mine");
      }
      return loss;
    };
    const compiled = compile(step);
    const before = await seen();
    const x = ones([1, 2]);
    assertThrows(() => compiled(x), Error, "mine");
    assertThrows(() => compiled.memory(x), Error, "mine");
    assertThrows(() => noGrad(() => compiled(x)), Error);
    assertEquals(await seen(), before);
    assertEquals(compiled.traces, 0);
    throws = false;
    compiled(x);
    const after = await seen();
    assertEquals(after.buffer, [2, 4]);
    assertEquals(after.optimizer, [1, 1]);
    assertEquals(after.mode, "b");
    assertEquals(after.grads, [null, null]);
    // The same from where it was, uncompiled.
    model.loadStateDict({ weight: tensor(weights), bias: model.bias! });
    assertEquals(model.weight.isVariable, true);
    step(x);
    assertEquals((await seen()).optimizer, [2, 2]);
  },
);

deviceTest("compile() refuses to read values inside, at the call", () => {
  const x = ones([1]);
  const reads: readonly [string, (x: Tensor) => unknown][] = [
    ["data", (x) => x.data()],
    ["item", (x) => x.item()],
    ["toArray", (x) => x.toArray()],
    ["show", (x) => x.show()],
    ["realize", (x) => x.realize()],
    ["realize", (x) => realize(x)],
    ["realizeSync", (x) => realizeSync(x)],
  ];
  for (const [name, read] of reads) {
    for (const closedOver of [false, true]) {
      const f = (y: Tensor) => (read(closedOver ? x : y), y);
      assertThrows(
        () => compile(f)(x),
        Error,
        `${name}: a compiled function asks for a value while it is traced`,
      );
    }
  }
  assertThrows(
    () => loosely((x: Tensor) => Number(x) > 0 ? x : x.neg())(x),
    TypeError,
    "Tensor: not a number: got shape [1] in an expression",
  );
  const generator = new Generator(1);
  assertThrows(
    () => compile(() => x.mul(generator.next().words[0]))(),
    Error,
    "RandomKey.words: a compiled function asks for a value",
  );
});

deviceTest("compile() refuses asynchronous functions", async () => {
  const message = "compile: the function is asynchronous";
  assertThrows(
    () => loosely(async (x: Tensor) => x.add(await x.item()))(ones([1])),
    TypeError,
    message,
  );
  assertThrows(
    () => loosely(() => Promise.reject(new Error("x")))(),
    TypeError,
    message,
  );
  // What it goes on to do with its tensors is refused as well.
  let later: Promise<Tensor> | undefined;
  const f = (x: Tensor) => later = Promise.resolve().then(() => x.add(1));
  assertThrows(() => loosely(f)(ones([1])), TypeError, message);
  await assertRejects(() => later!, Error, "compile: a tensor that was made");
});

deviceTest(
  "compile() refuses arguments and results that are no tensors",
  () => {
    const same = loosely((x: unknown) => x);
    const cases: readonly [unknown, string][] = [
      [3, "the arguments[0] is no tensor: got number 3: make it a tensor"],
      [
        { a: [ones([1]), true] },
        "the arguments[0].a[1] is no tensor: got bool",
      ],
      [new Map(), "the arguments[0] is no tensor: got Map: pass tensors"],
      [new Float32Array(1), "the arguments[0] is no tensor: got Float32Array"],
      [Promise.resolve(), "the arguments[0] is no tensor: got a promise"],
      [() => 1, "the arguments[0] is no tensor: got a function"],
      ["x", "the arguments[0] is no tensor: got string x"],
      [
        Object.create(Object.create(null)),
        "the arguments[0] is no tensor: got an object",
      ],
    ];
    for (const [argument, message] of cases) {
      assertThrows(() => same(argument), TypeError, `compile: ${message}`);
    }
    assertThrows(
      () => loosely(() => ({ loss: 0.5 }))(),
      TypeError,
      "compile: the result.loss is no tensor: got number 0.5",
    );
    assertThrows(() => loosely(3), TypeError, "compile: not a function");
    for (const maxTraces of [0, 1.5, NaN]) {
      assertThrows(
        () => compile((x) => x, { maxTraces }),
        RangeError,
        `compile: maxTraces must be a whole number from 1: got ${maxTraces}`,
      );
    }
  },
);

deviceTest("compile() refuses tensors that leak out of a trace", async () => {
  let leak: Tensor | undefined;
  const f = compile((x) => {
    leak = x.mul(2);
    return x.neg();
  });
  f(ones([1]));
  const message = "compile: a tensor that was made while a function was traced";
  const uses: readonly (() => unknown)[] = [
    () => leak!.add(1),
    () => ones([1]).add(leak!),
    () => f(leak!),
    () => compile((x) => x.add(leak!))(ones([1])),
    () => ones([1]).assign(leak!),
    () => leak!.assign(ones([1])),
    () => leak!.isVariable,
  ];
  for (const use of uses) assertThrows(use, Error, message);
  await assertRejects(() => leak!.data(), Error, message);
  assertEquals(leak!.shape, [1]);
  leak!.dispose();
  assertEquals(await f(ones([1])).toArray(), [-1]);
});

deviceTest("compile() refuses what gradients would not pass", async () => {
  const weight = tensor([2], { requiresGrad: true });
  const doubled = weight.mul(2);
  const f = compile((x) => x.mul(doubled));
  const message = "uses a tensor that was made from variables outside of it";
  assertThrows(() => f(ones([1])), TypeError, message);
  assertEquals(await noGrad(() => f(ones([1]))).toArray(), [4]);
  const g = compile((x) => x.mul(3));
  for (const argument of [weight, doubled]) {
    assertThrows(
      () => g(argument),
      TypeError,
      "compile: an argument is a variable, or was made from variables",
    );
  }
  assertThrows(() => grad((x) => g(x))(ones([])), TypeError, "an argument is");
  assertThrows(
    () => compile(() => weight.square().sum())().backward(),
    Error,
    "what a compiled function returns has none: call backward() inside of it",
  );
  assertEquals(await g(stopGradient(doubled)).toArray(), [12]);
  assertEquals(await noGrad(() => g(weight)).toArray(), [6]);
  const late = tensor([1]);
  assertThrows(
    () => compile(() => void late.asVariable())(),
    Error,
    "asVariable: a compiled function makes a tensor from outside of it",
  );
  assertEquals(late.isVariable, false);
});

deviceTest("hostScalar() refuses what is no number, in each run", async () => {
  const message = "hostScalar: not a number: got undefined";
  const none = () => undefined as unknown as number;
  assertThrows(() => hostScalar(none), TypeError, message);
  let read = none;
  const f = compile((x) => x.mul(hostScalar(() => read())));
  assertThrows(() => f(ones([1])), TypeError, message);
  read = () => 2;
  assertEquals(await f(ones([1])).toArray(), [2]);
  read = none;
  assertThrows(() => f(ones([1])), TypeError, message);
  read = () => 3;
  assertEquals(await f(ones([1])).toArray(), [3]);
});

deviceTest(
  "compile() changes nothing in a run in which the host throws",
  async () => {
    const fails = { rate: false, read: false };
    const weight = tensor([1], { requiresGrad: true });
    const optimizer = new Adam([weight], { learningRate: 1 });
    const schedule = new Schedule(optimizer, (base, step) => {
      if (fails.rate && step > 0) throw new Error("rate");
      return base / (1 + step);
    });
    const generator = new Generator(1);
    const mode = new HostValue(0);
    const meter = new AverageMeter();
    const f = compile((x) => {
      meter.add(1.1, 0.3);
      const noise = uniform(generator.next(), [1]);
      mode.value = mode.value === 0 ? 1 : 2;
      weight.mul(x).sum().backward();
      optimizer.step();
      schedule.step();
      const last = hostScalar(() => {
        if (fails.read) throw new Error("read");
        return 1;
      });
      return noise.mul(last);
    });
    const host = async () => ({
      steps: schedule.steps,
      rate: optimizer.groups[0]!.learningRate,
      drawn: generator.state().count,
      mode: mode.value,
      meter: (await meter.state()).weight,
      sum: (await meter.state()).hostSum,
      counted: [...optimizer.stateDict().steps],
      weight: await weight.toArray(),
    });
    const x = tensor([2]);
    for (let run = 0; run < 3; run++) {
      mode.value = 0;
      const before = await host();
      fails.read = true;
      assertThrows(() => f(x), Error, "read");
      assertEquals(await host(), before);
      [fails.read, fails.rate] = [false, true];
      assertThrows(() => f(x), Error, "rate");
      fails.rate = false;
      assertEquals(await host(), before);
      f(x);
      const after = await host();
      assertEquals(after.steps, run + 1);
      assertEquals(after.mode, 1);
      assertEquals(after.drawn, run + 1);
    }
  },
);

deviceTest(
  "compile() gives back what a run had taken when the host throws",
  async (device) => {
    let throws = false;
    const total = tensor([1]);
    const f = compile((x) => {
      onEachRun(() => {
        if (throws) throw new Error("mine");
      });
      const rate = hostScalar(() => {
        if (throws) throw new Error("mine too");
        return 2;
      });
      total.assign(total.add(x.mul(rate)));
      return [total.mul(10), uniform(new Generator(1).next(), [3])];
    });
    using _scope = new Scope();
    f(tensor([1]));
    f(tensor([1]));
    const { buffers, bytes } = device.memory();
    throws = true;
    const x = tensor([1]);
    for (let run = 0; run < 3; run++) assertThrows(() => f(x), Error, "mine");
    const after = device.memory();
    assertEquals([after.buffers, after.bytes], [buffers, bytes]);
    throws = false;
    assertEquals(await total.toArray(), [5]);
    assertEquals(await f(x)[0]!.toArray(), [70]);
  },
);
