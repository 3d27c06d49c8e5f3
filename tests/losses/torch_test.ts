import * as losses from "@heddle/losses";
import { type DType, type Tensor, tensor } from "@heddle/tensor";
import { assertClose } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { Values } from "../values.ts";

interface Encoded {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** One line of `torch_fixtures.jsonl`, which `make_fixtures.py` writes. */
interface Fixture {
  readonly loss: string;
  readonly x: Encoded;
  readonly targets: Encoded;
  readonly options: Readonly<Record<string, string | number | boolean>>;
  readonly tensors: Readonly<Record<string, Encoded>>;
  readonly value: Encoded;
  /** By `x`, and by `targets` if there are two. */
  readonly grads: readonly Encoded[];
}

type Loss = (x: Tensor, targets: Tensor, options: object) => Tensor;

const text = await Deno.readTextFile(
  new URL("torch_fixtures.jsonl", import.meta.url),
);
const fixtures = text.trim().split("\n")
  .map((line) => JSON.parse(line) as Fixture);

function decode({ data, shape, dtype }: Encoded, requiresGrad = false): Tensor {
  return tensor(Float64Array.from(data), { shape, dtype, requiresGrad });
}

/** The gradient of the result that the fixtures were made with. */
function seedFor(value: Tensor): Tensor {
  const steps = Array.from({ length: value.size }, (_, at) => at % 7);
  return new Values(value.shape, steps.map((step) => 0.5 + step / 8)).tensor();
}

for (const name of new Set(fixtures.map(({ loss }) => loss))) {
  const loss = losses[name as keyof typeof losses] as Loss;
  deviceTest(`${name}() equals PyTorch, forward and gradient`, async () => {
    for (const fixture of fixtures.filter((one) => one.loss === name)) {
      const { options, grads } = fixture;
      const of = `${name} [${fixture.x.shape}] ${JSON.stringify(options)}`;
      const tensors = Object.entries(fixture.tensors)
        .map(([key, value]) => [key, decode(value)]);
      const x = decode(fixture.x, true);
      const targets = decode(fixture.targets, grads.length > 1);
      const value = loss(x, targets, {
        ...options,
        ...Object.fromEntries(tensors),
      });
      value.backward(seedFor(value));
      const expect = ({ shape, data }: Encoded) => new Values(shape, data);
      await assertClose(value, expect(fixture.value), { of });
      for (const [at, input] of [x, targets].slice(0, grads.length).entries()) {
        await assertClose(input.grad!, expect(grads[at]!), {
          rtol: 1e-4,
          atol: 1e-5,
          of: `${of}, gradient ${at}`,
        });
      }
    }
  });
}
