import {
  attend,
  fromTorchStateDict,
  type MaskOptions,
  MultiHeadAttention,
  type MultiHeadAttentionOptions,
  TransformerEncoder,
  TransformerEncoderLayer,
  type TransformerEncoderOptions,
} from "@heddle/attention";
import type { Module } from "@heddle/nn";
import { type DType, type Tensor, tensor } from "@heddle/tensor";
import { assertClose } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { Values } from "../values.ts";

interface Encoded {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

type EncodedTensors = Readonly<Record<string, Encoded>>;

/** One line of `torch_fixtures.jsonl`, which `make_fixtures.py` writes. */
interface Fixture {
  readonly kind: string;
  readonly name: string;
  readonly inputs: EncodedTensors;
  readonly masks: EncodedTensors;
  readonly options:
    & MultiHeadAttentionOptions
    & TransformerEncoderOptions
    & {
      readonly causal: boolean;
      readonly layers: number;
      readonly heads: number;
    };
  readonly output: Encoded;
  readonly weights?: Encoded;
  readonly inputGrads: EncodedTensors;
  readonly state?: EncodedTensors;
  readonly stateGrads?: EncodedTensors;
}

const text = await Deno.readTextFile(
  new URL("torch_fixtures.jsonl", import.meta.url),
);
const fixtures = text.trim().split("\n")
  .map((line) => JSON.parse(line) as Fixture);

function decode({ data, shape, dtype }: Encoded): Tensor {
  return tensor(Float64Array.from(data), { shape, dtype });
}

function decodeAll(tensors: EncodedTensors): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, value]) => [name, decode(value)]),
  );
}

/** The gradient of the result that the fixtures were made with. */
function seedFor(value: Tensor): Tensor {
  const steps = Array.from({ length: value.size }, (_, at) => at % 7);
  return new Values(value.shape, steps.map((step) => 0.5 + step / 8)).tensor();
}

/** The module of a fixture, with its weights; undefined for the function. */
function moduleOf({ kind, inputs, options, state }: Fixture) {
  const [input] = Object.values(inputs);
  const modelDim = input!.shape.at(-1)!;
  const layer = { ...options, feedForwardDim: 5, dropoutRate: 0 };
  const module = kind === "MultiHeadAttention"
    ? new MultiHeadAttention(modelDim, options.heads, options)
    : kind === "TransformerEncoderLayer"
    ? new TransformerEncoderLayer(modelDim, 2, layer)
    : kind === "TransformerEncoder"
    ? new TransformerEncoder(options.layers, modelDim, 2, layer)
    : undefined;
  module?.loadStateDict(fromTorchStateDict(decodeAll(state!)));
  return module;
}

function run(
  module: ReturnType<typeof moduleOf>,
  inputs: readonly Tensor[],
  masks: MaskOptions,
): { output: Tensor; weights: Tensor | readonly Tensor[] } {
  const [first, key = first, value = key] = inputs;
  if (module === undefined) return attend(first!, key!, value!, masks);
  return module instanceof MultiHeadAttention
    ? module.attend(first!, key, value, masks)
    : module.attend(first!, masks);
}

async function compareState(
  module: Module,
  expected: EncodedTensors,
  of: string,
): Promise<void> {
  const grads = fromTorchStateDict(decodeAll(expected));
  for (const [path, parameter] of module.namedParameters()) {
    const want = new Values(parameter.shape, await grads[path]!.data());
    await assertClose(parameter.grad!, want, {
      rtol: 1e-4,
      atol: 2e-5, // gradients of biases are sums of up to 40 terms
      of: `${of}: gradient of ${path}`,
    });
  }
}

for (const fixture of fixtures) {
  const { kind, name } = fixture;
  deviceTest(`${kind} equals PyTorch: ${name}`, async () => {
    const module = moduleOf(fixture);
    const inputs = Object.entries(decodeAll(fixture.inputs));
    for (const [, input] of inputs) input.asVariable();
    const masks = {
      ...decodeAll(fixture.masks),
      causal: fixture.options.causal,
    };
    const { output, weights } = run(module, inputs.map(([, x]) => x), masks);
    output.backward(seedFor(output));
    const expect = ({ shape, data }: Encoded) => new Values(shape, data);
    const forward = { rtol: 1e-5, atol: 3e-6 }; // after two norms
    await assertClose(output, expect(fixture.output), {
      ...forward,
      of: "output",
    });
    if (fixture.weights) {
      const wanted = expect(fixture.weights);
      await assertClose(weights as Tensor, wanted, { of: "weights" });
    }
    for (const [key, input] of inputs) {
      await assertClose(input.grad!, expect(fixture.inputGrads[key]!), {
        rtol: 1e-4,
        atol: 2e-5,
        of: `gradient of ${key}`,
      });
    }
    if (module) await compareState(module, fixture.stateGrads!, name);
  });
}
