/**
 * Features of a GPU that were granted, put to the test: drivers grant what they
 * get wrong.
 *
 * @module
 */

/** A feature, and a program whose result shows that it works. */
interface Trial {
  /** Asked of the adapter by this name, listed there or not. */
  readonly feature: string;
  /** Texts in turn: languages differ in what must be enabled. */
  readonly texts: readonly string[];
  /** Whether the words that 64 invocations wrote are right. */
  readonly isRight: (words: Uint32Array) => boolean;
}

const LANES = 64;

const SUBGROUP_SUMS = `
@group(0) @binding(0) var<storage, read_write> words: array<u32>; // [64]
@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32) {
  words[lane] = subgroupAdd(1u);
}
`;

const TRIALS: readonly Trial[] = [{
  feature: "subgroups",
  texts: [`enable subgroups;${SUBGROUP_SUMS}`, SUBGROUP_SUMS],
  // All subgroups of a full workgroup have the same number of lanes.
  isRight: (words) =>
    words[0]! >= 4 && LANES % words[0]! === 0 &&
    words.every((word) => word === words[0]),
}];

/** Names of the features to ask for. */
export const WANTED_FEATURES: readonly string[] = TRIALS.map(({ feature }) =>
  feature
);

/** Those of the device's features that pass their trial. */
export async function provenFeatures(
  device: GPUDevice,
): Promise<ReadonlySet<string>> {
  const proven = new Set<string>();
  for (const trial of TRIALS) {
    if (!device.features.has(trial.feature as GPUFeatureName)) continue;
    for (const text of trial.texts) {
      const words = await runTrial(device, text).catch(() => undefined);
      if (words && trial.isRight(words)) proven.add(trial.feature);
      if (words) break;
    }
  }
  return proven;
}

/** What the program wrote, or undefined if it is not valid. */
async function runTrial(
  device: GPUDevice,
  code: string,
): Promise<Uint32Array | undefined> {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module, entryPoint: "main" },
  });
  if (await device.popErrorScope()) return undefined;
  const size = LANES * 4;
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
