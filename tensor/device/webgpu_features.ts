/**
 * Subgroups that were granted, put to the test: drivers grant what they get
 * wrong.
 *
 * @module
 */

import type { Subgroups } from "../wgsl/program.ts";
import { LEAST_SUBGROUP } from "../wgsl/subgroups.ts";

/** Names of the features to ask for, listed by the adapter or not. */
export const WANTED_FEATURES: readonly string[] = ["subgroups"];

const LANES = 256;
/** What enables subgroups, in turn: languages differ. */
const ENABLES = ["enable subgroups;", ""];
/** What each invocation tells: size, position, a sum, an extreme, a vote, a word. */
const TOLD = 6;

const TRIAL = `
@group(0) @binding(0) var<storage, read_write> words: array<u32>; // [256, 6]
@compute @workgroup_size(${LANES})
fn main(
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let sum = subgroupAdd(f32(local.x));
  let least = subgroupMin(f32(local.x) - 100f);
  let vote = subgroupAny(local.x == 5u);
  let told = subgroupBroadcast(vec2<f32>(f32(local.x), 1f), ${
  LEAST_SUBGROUP - 1
}u);
  words[local.x * ${TOLD}u] = size;
  words[local.x * ${TOLD}u + 1u] = lane;
  words[local.x * ${TOLD}u + 2u] = u32(sum);
  words[local.x * ${TOLD}u + 3u] = u32(least + 100f);
  words[local.x * ${TOLD}u + 4u] = select(0u, 1u, vote);
  words[local.x * ${TOLD}u + 5u] = u32(told.x);
}
`;

function isRight(words: Uint32Array): boolean {
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
      first + LEAST_SUBGROUP - 1,
    ];
    if (right.some((word, part) => words[at * TOLD + part] !== word)) {
      return false;
    }
  }
  return true;
}

/** The subgroups of the device, if they pass their trial. */
export async function provenSubgroups(
  device: GPUDevice,
): Promise<Subgroups | undefined> {
  if (!device.features.has("subgroups" as GPUFeatureName)) return undefined;
  for (const enable of ENABLES) {
    const words = await runTrial(device, enable + TRIAL, LANES * TOLD)
      .catch(() => undefined);
    if (!words) continue;
    return isRight(words) ? { enable, size: words[0]! } : undefined;
  }
  return undefined;
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
