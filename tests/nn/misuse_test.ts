// What TypeScript would refuse, as plain JavaScript may call it.
import { assertEquals, assertThrows } from "@std/assert";
import * as nn from "@heddle/nn";
import { Linear, Module } from "@heddle/nn";
import { Generator, ones, tensor } from "@heddle/tensor";

// deno-lint-ignore no-explicit-any
const any = nn as any;

Deno.test("optimizers refuse a module where its parameters are wanted", () => {
  const layer = new Linear(2, 2);
  for (const name of ["Adam", "AdamW", "SGD"]) {
    assertThrows(
      () => new any[name](layer, { learningRate: 1 }),
      TypeError,
      `${name}: the parameters must be a list: got a module: pass ` +
        "model.parameters()",
    );
  }
  assertThrows(
    () => new any.Adam([{ parameters: layer }]),
    TypeError,
    "Adam: a group's parameters must be a list: got a module",
  );
  assertThrows(
    () => any.clipGradNorm(layer, 1),
    TypeError,
    "clipGradNorm: the parameters must be a list: pass model.parameters()",
  );
});

Deno.test("Adam refuses a bare learning rate", () => {
  for (const name of ["Adam", "AdamW"]) {
    assertThrows(
      () => new any[name](new Linear(1, 1).parameters(), 0.1),
      TypeError,
      `${name}: options must be an object: got 0.1: use { learningRate }`,
    );
  }
});

Deno.test("Sequential refuses what is no module", () => {
  assertThrows(
    () => new any.Sequential(new Linear(1, 1), () => 1),
    TypeError,
    "Sequential: a layer must be a Module: got a function: write a Module",
  );
  assertThrows(
    () => new any.Sequential([new Linear(1, 1)]),
    TypeError,
    "got an array: pass the layers one by one: new Sequential(...layers)",
  );
});

Deno.test("layers refuse inputs that are no tensor", () => {
  const layers = [
    new nn.Linear(2, 2),
    new nn.Conv2d(1, 1, 1),
    new nn.LayerNorm(2),
    new nn.BatchNorm2d(1),
    new nn.Embedding(2, 2),
  ];
  for (const layer of layers) {
    assertThrows(
      () => layer.forward([1, 2] as never),
      TypeError,
      `${layer.constructor.name}: the input must be a tensor: got an array`,
    );
  }
});

Deno.test("Module refuses parts in a Map or Set, which have no path", () => {
  const variable = tensor(1, { requiresGrad: true });
  class Net extends Module {
    parts: unknown;
    constructor(parts: unknown) {
      super();
      this.parts = parts;
    }
    override forward(): void {}
  }
  const inMap = new Net({ layers: new Map([["a", new Linear(1, 1)]]) });
  assertThrows(
    () => inMap.parameters(),
    TypeError,
    "Module: parts.layers is a Map of parts, which would not be trained or " +
      "saved: use an array or a plain object",
  );
  for (const part of [variable, new Generator(1), new Linear(1, 1)]) {
    const net = new Net(new Set([part]));
    assertThrows(() => net.stateDict(), TypeError, "parts is a Set of parts");
  }
  // Tensors that are no variables may be a cache.
  assertEquals(new Net(new Map([["a", ones([1])]])).buffers(), []);
});
