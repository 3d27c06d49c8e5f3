import {
  realize,
  scaledDotProductAttention,
  type ScaledDotProductAttentionOptions,
  type Tensor,
  tensor,
  valueAndGrad,
  zeros,
} from "@heddle/tensor";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { activeDevice } from "../../tensor/device/session.ts";
import { openWasmSync } from "../../tensor/device/wasm.ts";
import { attentionByParts } from "../../tensor/ops/_attention_parts.ts";
import { nodeOf, Tensor as TensorClass } from "../../tensor/tensor.ts";
import {
  lowerAttention,
  lowerAttentionGradient,
} from "../../tensor/wgsl/attention.ts";
import { lowerKernel } from "../../tensor/wgsl/lower.ts";
import type { ShaderLimits } from "../../tensor/wgsl/program.ts";
import type { Kernel } from "../../tensor/kernel/kernel.ts";
import { assertClose } from "../assert_close.ts";
import { checkSecondDerivatives } from "../check_gradients.ts";
import { deviceTest, type TestDeviceName } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";
import {
  type AttentionCase,
  attentionCase,
  gradientKernel,
  kernelInputs,
  referenceAttention,
} from "./attention_cases.ts";
import { gpuTest, runKernel, withGpu } from "./webgpu_test_device.ts";
import { expected } from "./kernel_builder.ts";
import { runOn } from "./wasm/run_kernel.ts";

/** Each past the edge of some block, tile or vector. */
const CASES: readonly AttentionCase[] = [
  { batch: 1, queries: 1, keys: 1, dim: 1, features: 1 },
  { batch: 2, queries: 1, keys: 9, dim: 3, features: 2 },
  { batch: 2, queries: 9, keys: 1, dim: 2, features: 5 },
  { batch: 1, queries: 49, keys: 50, dim: 3, features: 5 },
  { batch: 3, queries: 97, keys: 101, dim: 6, features: 9, mask: "bool" },
  { batch: 2, queries: 48, keys: 96, dim: 8, features: 4, mask: "added" },
  { batch: 4, queries: 53, keys: 55, dim: 5, features: 7, mask: "padding" },
  { batch: 1, queries: 100, keys: 97, dim: 4, features: 8, causal: 0 },
  { batch: 2, queries: 50, keys: 110, dim: 7, features: 3, causal: 60 },
  { batch: 1, queries: 110, keys: 50, dim: 2, features: 2, causal: -30 },
  {
    batch: 4,
    queries: 61,
    keys: 59,
    dim: 9,
    features: 11,
    causal: 3,
    mask: "all",
  },
];

/** Compiling these for a processor that plays a GPU takes too long. */
const WIDE: readonly AttentionCase[] = [
  { batch: 2, queries: 96, keys: 144, dim: 64, features: 64 },
  { batch: 9, queries: 20, keys: 70, dim: 33, features: 65, causal: 50 },
  { batch: 1, queries: 7, keys: 13, dim: 256, features: 255, mask: "bool" },
];

function optionsOf(
  { causal, scale }: AttentionCase,
  masks: readonly Values[],
): ScaledDotProductAttentionOptions {
  return {
    ...scale === undefined ? {} : { scale },
    ...causal === undefined ? {} : { causal: true, queryOffset: causal },
    masks: masks.map((mask) =>
      mask.tensor(
        mask.data.every((x) => x === 0 || x === 1) ? "bool" : "float32",
      )
    ),
  };
}

async function check(given: AttentionCase): Promise<void> {
  const of = JSON.stringify(given);
  const { inputs, seed, masks } = attentionCase(given);
  const want = referenceAttention(given, inputs, masks, seed);
  const run = (f: (...x: Tensor[]) => Tensor) => {
    let value: Tensor | undefined;
    const { grads } = valueAndGrad((...xs) => {
      value = f(...xs);
      return value.mul(seed.tensor()).sum();
    })(...inputs.map((input) => input.tensor()));
    return [value!, ...grads];
  };
  const got = run((q, k, v) =>
    scaledDotProductAttention(q!, k!, v!, optionsOf(given, masks))
  );
  for (const [at, result] of got.entries()) {
    await assertClose(result, want[at]!, {
      rtol: 1e-4,
      // Sums of up to 144 terms of up to about 1.
      atol: 2e-5,
      of: `${of} result ${at}`,
    });
  }
}

const wide: readonly TestDeviceName[] = ["reference", "wasm"];

deviceTest(
  "scaledDotProductAttention() and its gradients match float64 loops",
  async () => {
    for (const given of CASES) await check(given);
  },
);

deviceTest(
  "scaledDotProductAttention() of wide heads matches float64 loops",
  async () => {
    for (const given of WIDE) await check(given);
  },
  { devices: wide },
);

deviceTest(
  "scaledDotProductAttention() is what its parts give",
  async () => {
    const given = { batch: 3, queries: 31, keys: 40, dim: 8, features: 8 };
    const { inputs, seed } = attentionCase(given);
    const rule = { scale: 0.5, causalOffset: 4 };
    const run = (f: (...x: Tensor[]) => Tensor) =>
      valueAndGrad((...xs) => f(...xs).mul(seed.tensor()).sum())(
        ...inputs.map((input) => input.tensor()),
      ).grads;
    const fused = run((q, k, v) =>
      scaledDotProductAttention(q!, k!, v!, {
        scale: 0.5,
        causal: true,
        queryOffset: 4,
      })
    );
    const parts = run((...xs) => {
      const [q, k, v] = xs.map(nodeOf);
      return new TensorClass(attentionByParts([q!, k!, v!], rule));
    });
    for (const [at, part] of parts.entries()) {
      const want = new Values(part.shape, await part.data());
      await assertClose(fused[at]!, want, { rtol: 1e-4, atol: 1e-5 });
    }
  },
);

deviceTest(
  "scaledDotProductAttention() takes masks that broadcast over any first axis",
  async () => {
    const from = seeded(3);
    const shape = [2, 3, 5, 4];
    const [q, k, v] = [
      from.values(shape),
      from.values(shape),
      from.values(shape),
    ];
    for (
      const lead of [[], [1], [3], [1, 1], [2, 1], [1, 3], [2, 3]]
    ) {
      for (const last of [[5, 5], [1, 5], [5, 1], [1, 1]]) {
        const mask = from.values([...lead, ...last], { low: -2, high: 2 });
        const plain = tensor(0).expand([...shape.slice(0, 3), 5]);
        const whole = plain.add(mask.tensor());
        const options = { masks: [whole] };
        const want = scaledDotProductAttention(
          q.tensor(),
          k.tensor(),
          v.tensor(),
          options,
        );
        await assertClose(
          scaledDotProductAttention(q.tensor(), k.tensor(), v.tensor(), {
            masks: [mask.tensor()],
          }),
          new Values(want.shape, await want.data()),
          { of: `[${[...lead, ...last]}]` },
        );
      }
    }
  },
  { devices: wide },
);

deviceTest(
  "scaledDotProductAttention() of large scores is finite, and so are its gradients",
  async () => {
    const from = seeded(4);
    const draw = () =>
      from.values([1, 20, 4], { low: -100, high: 100 }).tensor().asVariable();
    const [q, k, v] = [draw(), draw(), draw()];
    const y = scaledDotProductAttention(q, k, v, { scale: 1 }); // to 4e4
    y.mul(y).sum().backward();
    for (const x of [y, q.grad!, k.grad!, v.grad!]) {
      assert((await x.data()).every(Number.isFinite));
    }
  },
);

deviceTest(
  "scaledDotProductAttention() carries NaN on",
  async () => {
    const q = tensor([[NaN], [1]]);
    const k = tensor([[1], [2]]);
    const y = await scaledDotProductAttention(q, k, k).data();
    assert(Number.isNaN(y[0]!));
    assert(Number.isFinite(y[1]!));
  },
  { devices: wide }, // WGSL may assume that there is none
);

deviceTest(
  "scaledDotProductAttention() has second derivatives",
  async () => {
    const given = { batch: 1, queries: 3, keys: 4, dim: 2, features: 2 };
    const { inputs } = attentionCase(given);
    await checkSecondDerivatives(
      (q, k, v) => scaledDotProductAttention(q, k, v, { causal: true }),
      (q, k, v) => {
        const of = { ...given, causal: 0 };
        return referenceAttention(of, [q, k, v], [])[0]!;
      },
      inputs,
    );
  },
);

deviceTest(
  "scaledDotProductAttention() is one kernel, and three with its gradients",
  () => {
    const { inputs, seed } = attentionCase(CASES[3]!);
    const [q, k, v] = inputs.map((x) => x.tensor().asVariable());
    const y = scaledDotProductAttention(q!, k!, v!);
    assertEquals(activeDevice()!.plan([nodeOf(y)]).steps.length, 1);
    y.backward(seed.tensor());
    const nodes = [q, k, v].map((x) => nodeOf(x!.grad!));
    const { steps } = activeDevice()!.plan([nodeOf(y), ...nodes]);
    assertEquals(
      steps.map(({ kernel }) => kernel.kind),
      ["attention", "loop", "attentionGradient"],
    );
  },
);

deviceTest(
  "scaledDotProductAttention() of 8192 keys takes memory linear in them",
  async (device) => {
    const length = 8192;
    // Wide heads take too long to compile for a processor that plays a GPU.
    const dim = device.name === "webgpu" ? 4 : 64;
    const from = seeded(5);
    const draw = () => from.values([1, length, dim]).tensor().realize();
    const [a, b, c] = [await draw(), await draw(), await draw()];
    const seed = await draw();
    const [q, k, v] = [a, b, c].map((x) => x.detach().asVariable());
    const before = device.memory().bytes;
    const y = scaledDotProductAttention(q!, k!, v!, { causal: true });
    y.backward(seed);
    await realize(y, q!.grad!, k!.grad!, v!.grad!);
    // The result, three gradients and two numbers a query; scores alone would
    // take 256 MiB.
    const needed = 4 * length * (4 * dim + 2);
    assert(device.memory().peakBytes - before <= 1.5 * needed);
    const numbers = async (x: Tensor) => new Values(x.shape, await x.data());
    const want = referenceAttention(
      { batch: 1, queries: 1, keys: length, dim, features: dim },
      [
        await numbers(a.slice(null, [-1, null])),
        await numbers(b),
        await numbers(c),
      ],
      [],
    )[0]!;
    await assertClose(y.slice(null, [-1, null]), want, { rtol: 1e-4 });
  },
  { devices: ["wasm", "webgpu"] },
);

Deno.test("attention on wasm gives the same bits on any number of threads", () => {
  const given: AttentionCase = {
    batch: 2,
    queries: 300,
    keys: 290,
    dim: 16,
    features: 12,
    causal: 5,
  };
  const kernel = gradientKernel(given);
  const buffers = kernelInputs(kernel);
  const results = [1, 2].map((threads) => {
    const backend = openWasmSync({ threads });
    try {
      return runOn(backend, kernel, buffers).slice(-3);
    } finally {
      backend.close();
    }
  });
  assertEquals(results[0], results[1]);
});

gpuTest("WebGPU runs attention in pieces, and as on a real GPU", async () => {
  const lower =
    (change: Partial<ShaderLimits>, texels: number) =>
    (kernel: Kernel, limits: ShaderLimits) => {
      const changed = { ...limits, ...change };
      switch (kernel.kind) {
        case "attention":
          return lowerAttention(kernel, changed, texels);
        case "attentionGradient":
          return lowerAttentionGradient(kernel, changed, texels);
        default:
          return lowerKernel(kernel, limits);
      }
    };
  for (
    const way of [
      lower({ isFallback: true }, 100),
      lower({ isFallback: false }, 0),
    ]
  ) {
    await withGpu(async (gpu) => {
      for (const dim of [3, 4]) {
        const kernel = gradientKernel({
          batch: 5,
          queries: 19,
          keys: 23,
          dim,
          features: 4,
          causal: 2,
        });
        const buffers = kernelInputs(kernel);
        const inputs = buffers.slice(0, -3);
        const got = await runKernel(gpu, kernel, inputs);
        const want = expected(kernel, inputs);
        for (const [at, output] of want.entries()) {
          await assertClose([...got[at]!], [...output], { atol: 1e-5 });
        }
      }
    }, { lower: way });
  }
});

Deno.test("scaledDotProductAttention() names what is wrong", () => {
  const x = zeros([2, 5, 4]);
  const cases: [() => unknown, typeof RangeError | typeof TypeError, string][] =
    [
      [
        () => scaledDotProductAttention(x.cast("int32"), x, x),
        TypeError,
        "scaledDotProductAttention: needs float32: got int32: cast it first",
      ],
      [
        () => scaledDotProductAttention(x, zeros([5, 4]), x),
        RangeError,
        "scaledDotProductAttention: query, key and value differ in their first axes: got [2, 5, 4], [5, 4], [2, 5, 4]",
      ],
      [
        () => scaledDotProductAttention(x, zeros([2, 5, 3]), x),
        RangeError,
        "scaledDotProductAttention: query and key need one headDim of at least 1: got [2, 5, 4], [2, 5, 3], [2, 5, 4]",
      ],
      [
        () => scaledDotProductAttention(x, x, zeros([2, 6, 4])),
        RangeError,
        "scaledDotProductAttention: key and value differ in keySeqLen: got [2, 5, 4], [2, 5, 4], [2, 6, 4]",
      ],
      [
        () => scaledDotProductAttention(x, x, x, { masks: [zeros([5, 6])] }),
        RangeError,
        "scaledDotProductAttention: a mask does not broadcast: got [5, 6] for scores [2, 5, 5]",
      ],
      [
        () =>
          scaledDotProductAttention(x, x, x, {
            masks: [zeros([5, 5], { dtype: "int32" })],
          }),
        TypeError,
        "scaledDotProductAttention: needs bool or float32: got int32: use bool with true = may attend, or float32 to add",
      ],
      [
        () => scaledDotProductAttention(x, x, x, { scale: NaN }),
        RangeError,
        "scaledDotProductAttention: scale must be a finite number: got NaN",
      ],
      [
        () => scaledDotProductAttention(x, x, x, { queryOffset: 0.5 }),
        RangeError,
        "scaledDotProductAttention: queryOffset must be a whole number: got 0.5",
      ],
    ];
  for (const [run, kind, message] of cases) assertThrows(run, kind, message);
});
