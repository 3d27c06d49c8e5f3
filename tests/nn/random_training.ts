/**
 * Random networks with random ways to train them: the same seed makes the same.
 *
 * @module
 */

import { crossEntropy, mse } from "@heddle/losses";
import {
  Adam,
  AdamW,
  AverageMeter,
  BatchNorm2d,
  clipGradNorm,
  Conv2d,
  CosineAnnealingLR,
  Dropout,
  Embedding,
  Flatten,
  GELU,
  type Layer,
  LayerNorm,
  Linear,
  manualSeed,
  MaxPool2d,
  type Optimizer,
  ReLU,
  type Schedule,
  Sequential,
  SGD,
  Sigmoid,
  StepLR,
  Tanh,
  WarmupCosineLR,
} from "@heddle/nn";
import { compile, Scope, type Tensor } from "@heddle/tensor";
import { type Seeded, seeded } from "../seeded.ts";

/** A network, and all that trains it. */
export interface Training {
  /** In words, for messages. */
  readonly name: string;
  readonly model: Sequential;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  readonly meter: AverageMeter;
  /** The inputs and targets of a step. */
  batch(step: number): { x: Tensor; targets: Tensor };
  /** Loss, gradients, update; gives the loss. */
  step(batch: { x: Tensor; targets: Tensor }): { loss: Tensor };
  /** What is done after each step, outside of it. */
  after(): void;
}

function convolutions(random: Seeded, batch: number): [Layer[], number[]] {
  const channels = random.integer(1, 3);
  const size = random.integer(7, 10);
  const features = random.integer(2, 5);
  const padding = random.integer(0, 2);
  const layers: Layer[] = [
    new Conv2d(channels, features, 3, {
      padding,
      stride: random.integer(1, 3),
      bias: random.next() < 0.7,
    }),
  ];
  if (random.next() < 0.6) layers.push(new BatchNorm2d(features));
  layers.push(activation(random));
  if (random.next() < 0.6) layers.push(new MaxPool2d(2));
  if (random.next() < 0.6) layers.push(new Dropout(0.25));
  layers.push(new Flatten());
  return [layers, [batch, channels, size, size]];
}

function activation(random: Seeded): Layer {
  return new (random.pick([ReLU, Tanh, GELU, Sigmoid]))();
}

function optimizerOf(random: Seeded, parameters: Tensor[]): Optimizer {
  const options = { learningRate: 0.01 };
  switch (random.integer(0, 5)) {
    case 0:
      return new SGD(parameters, { ...options, momentum: 0.9, nesterov: true });
    case 1:
      return new SGD(parameters, {
        ...options,
        momentum: 0.8,
        dampening: 0.1,
        weightDecay: 0.01,
      });
    case 2:
      return new AdamW(parameters, options);
    case 3:
      return new Adam(parameters, { ...options, amsgrad: true });
    default: {
      const [first, ...others] = parameters;
      return new Adam([
        { parameters: [first!], learningRate: 0.02 },
        { parameters: others, weightDecay: 0.02 },
      ], options);
    }
  }
}

function scheduleOf(random: Seeded, optimizer: Optimizer): Schedule {
  switch (random.integer(0, 3)) {
    case 0:
      return new StepLR(optimizer, { stepSize: 7, gamma: 0.7 });
    case 1:
      return new CosineAnnealingLR(optimizer, { halfPeriod: 60 });
    default:
      return new WarmupCosineLR(optimizer, { warmupSteps: 9, totalSteps: 70 });
  }
}

/** Draws a network and how it trains. */
export function randomTraining(seed: number): Training {
  const random = seeded(seed);
  manualSeed(seed);
  const batch = random.pick([1, 1, 3, 4, 7]);
  const kind = random.pick(["dense", "image", "image", "tokens"]);
  let layers: Layer[];
  let shape: number[];
  const vocabulary = 11;
  if (kind === "image") [layers, shape] = convolutions(random, batch);
  else if (kind === "tokens") {
    const dim = random.integer(2, 6);
    layers = [new Embedding(vocabulary, dim), new LayerNorm(dim)];
    if (random.next() < 0.5) layers.push(new Dropout(0.2));
    layers.push(new Flatten());
    shape = [batch, random.integer(2, 6)];
  } else {
    layers = [];
    shape = [batch, random.integer(2, 20)];
  }
  const inputs = (from: Seeded) =>
    kind === "tokens"
      ? from.integers(shape, 0, vocabulary).tensor("int32")
      : from.values(shape).tensor();
  let width = widthAfter(layers, inputs(random));
  for (let left = random.integer(0, 3); left > 0; left--) {
    const next = random.integer(2, 12);
    layers.push(new Linear(width, next));
    if (random.next() < 0.3) layers.push(new LayerNorm(next));
    layers.push(activation(random));
    if (random.next() < 0.5) layers.push(new Dropout(0.3));
    width = next;
  }
  const classes = random.integer(2, 6);
  layers.push(new Linear(width, classes));
  const isClassifier = random.next() < 0.6;
  const model = new Sequential(...layers);
  const optimizer = optimizerOf(random, model.parameters());
  const schedule = scheduleOf(random, optimizer);
  const meter = new AverageMeter();
  const clips = random.next() < 0.5;
  const metered = random.next() < 0.7;
  const inside = random.next() < 0.5;
  return {
    name: `seed ${seed}: ${kind} batch ${batch} ` +
      `${layers.map((layer) => layer.constructor.name)} ` +
      `${optimizer.constructor.name} ${schedule.constructor.name}` +
      `${clips ? " clipped" : ""}${metered ? " metered" : ""}`,
    model,
    optimizer,
    schedule,
    meter,
    batch(step) {
      const from = seeded(1000 * seed + step);
      return {
        x: inputs(from),
        targets: isClassifier
          ? from.integers([batch], 0, classes).tensor("int32")
          : from.values([batch, classes]).tensor(),
      };
    },
    step({ x, targets }) {
      const output = model.forward(x);
      const loss = (isClassifier ? crossEntropy : mse)(output, targets);
      loss.backward();
      if (clips) clipGradNorm(model.parameters(), 0.5);
      optimizer.step();
      if (metered) meter.add(loss, batch);
      if (inside) schedule.step();
      return { loss };
    },
    after() {
      if (!inside) schedule.step();
    },
  };
}

/** The features that layers give, with no layer counting a batch. */
function widthAfter(layers: readonly Layer[], x: Tensor): number {
  let value = x;
  for (const layer of layers) {
    layer.eval();
    value = layer.forward(value);
    layer.train();
  }
  return value.size / value.shape[0]!;
}

/** All numbers that a training has left behind, by name. */
export async function valuesOf(
  { model, optimizer, meter, schedule }: Training,
): Promise<Record<string, unknown>> {
  const { tensors, ...counts } = optimizer.stateDict();
  const all = Object.entries({ ...model.stateDict(), ...tensors });
  const values = await Promise.all(
    all.map(async ([name, value]) => [name, await value.data()]),
  );
  return {
    ...Object.fromEntries(values),
    ...counts,
    meter: await meter.state(),
    schedule: schedule.state(),
    generators: model.namedGenerators().map(([, from]) => from.state()),
  };
}

/** Trains for some steps; gives each loss, then {@link valuesOf}. */
export async function train(
  training: Training,
  steps: number,
  isCompiled: boolean,
): Promise<{ losses: number[]; values: Record<string, unknown> }> {
  const step = isCompiled ? compile(training.step) : training.step;
  const { model, optimizer } = training;
  // Else the first step computes the initial weights, in the same kernels. One
  // by one: else all zeros of a shape are one value.
  const { tensors } = optimizer.stateDict();
  for (const one of Object.values({ ...model.stateDict(), ...tensors })) {
    await one.realize();
  }
  const losses: number[] = [];
  for (let at = 0; at < steps; at++) {
    using _scope = new Scope();
    const { loss } = step(training.batch(at));
    losses.push(await loss.item());
    training.after();
  }
  return { losses, values: await valuesOf(training) };
}
