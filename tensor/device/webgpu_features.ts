/**
 * Features of a GPU that were granted, put to the test: drivers grant what they
 * get wrong.
 *
 * @module
 */

import { LEAST_SUBGROUP } from "../wgsl/subgroups.ts";

/** A feature, and a program whose result shows that it works. */
interface Trial {
  /** Asked of the adapter by this name, listed there or not. */
  readonly feature: string;
  /** What enables it, in turn: languages differ. */
  readonly enable: readonly string[];
  /** The program after that. */
  readonly text: string;
  /** Words that the program writes. */
  readonly words: number;
  /** Whether they are right. */
  readonly isRight: (words: Uint32Array) => boolean;
}

const LANES = 256;

/** A size, a position, a sum, an extreme and a vote of each invocation. */
const SUBGROUPS: Trial = {
  feature: "subgroups",
  enable: ["enable subgroups;", ""],
  text: `
@group(0) @binding(0) var<storage, read_write> words: array<u32>; // [256, 5]
@compute @workgroup_size(${LANES})
fn main(
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let sum = subgroupAdd(f32(local.x));
  let least = subgroupMin(f32(local.x) - 100f);
  let vote = subgroupAny(local.x == 5u);
  words[local.x * 5u] = size;
  words[local.x * 5u + 1u] = lane;
  words[local.x * 5u + 2u] = u32(sum);
  words[local.x * 5u + 3u] = u32(least + 100f);
  words[local.x * 5u + 4u] = select(0u, 1u, vote);
}
`,
  words: LANES * 5,
  isRight: (words) => {
    const size = words[0]!;
    if (size < LEAST_SUBGROUP || LANES % size !== 0) return false;
    for (let at = 0; at < LANES; at++) {
      // Subgroups are expected to hold neighbours, in their order.
      const first = at - at % size;
      const right = [
        size,
        at % size,
        first * size + size * (size - 1) / 2,
        first,
        first <= 5 && 5 < first + size ? 1 : 0,
      ];
      if (right.some((word, part) => words[at * 5 + part] !== word)) {
        return false;
      }
    }
    return true;
  },
};

const TRIALS: readonly Trial[] = [SUBGROUPS];

/** Names of the features to ask for. */
export const WANTED_FEATURES: readonly string[] = TRIALS.map(({ feature }) =>
  feature
);

/** Those of the device's features that pass their trial, and what enables them. */
export async function provenFeatures(
  device: GPUDevice,
): Promise<ReadonlyMap<string, string>> {
  const proven = new Map<string, string>();
  for (const trial of TRIALS) {
    if (!device.features.has(trial.feature as GPUFeatureName)) continue;
    for (const enable of trial.enable) {
      const words = await runTrial(device, enable + trial.text, trial.words)
        .catch(() => undefined);
      if (words && trial.isRight(words)) proven.set(trial.feature, enable);
      if (words) break;
    }
  }
  return proven;
}

/** What the program wrote, or undefined if it is not valid. */
async function runTrial(
  device: GPUDevice,
  code: string,
  count: number,
): Promise<Uint32Array | undefined> {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module, entryPoint: "main" },
  });
  if (await device.popErrorScope()) return undefined;
  const size = count * 4;
  const words = device.createBuffer({
    size,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC,
  });
  const staging = device.createBuffer({
    size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer: words } }],
    }),
  );
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(words, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const result = new Uint32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  words.destroy();
  return result;
}
