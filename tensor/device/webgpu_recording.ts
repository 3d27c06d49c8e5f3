/**
 * Runs made ready to be repeated: bind groups and uniform words are made once
 * and kept while the buffers stay the same.
 *
 * @module
 */

import type { Dispatch } from "../wgsl/program.ts";
import type { DeviceBuffer, RecordedRun, Recording } from "./device.ts";
import { ownBlock } from "./webgpu_buffers.ts";
import { forgetOldest } from "./webgpu_cache.ts";
import {
  checkAliases,
  ownExecutable,
  type WebgpuExecutable,
} from "./webgpu_executable.ts";
import type { Pipeline } from "./webgpu_pipelines.ts";
import { type Bindable, bindGroupOf, groupKey } from "./webgpu_recorder.ts";
import {
  type Loan,
  planTemporaries,
  type TemporaryPool,
} from "./webgpu_temporaries.ts";
import { layOutWords, UniformBuffer } from "./webgpu_uniforms.ts";

/** Bind groups kept for each dispatch: buffers that come in turn find theirs. */
const GROUPS_PER_STEP = 8;

/** One dispatch, ready to go. */
interface Step {
  readonly pipeline: Pipeline;
  readonly dispatch: Dispatch;
  readonly hasWords: boolean;
  group: GPUBindGroup | undefined;
}

interface Run {
  readonly executable: WebgpuExecutable;
  readonly buffers: readonly number[];
  readonly temporaries: readonly Bindable[];
  readonly steps: readonly Step[];
  /** The number of the first of its steps in the recording. */
  readonly first: number;
}

/** A {@link Recording} on a GPU. */
export class WebgpuRecording implements Recording {
  readonly runs: readonly RecordedRun[];
  readonly #device: GPUDevice;
  readonly #loan: Loan;
  readonly #uniforms: UniformBuffer | undefined;
  readonly #offsets: Uint32Array<ArrayBuffer>;
  readonly #runs: readonly Run[];
  readonly #steps: readonly Step[];
  /** Numbers of buffers that runs name, and for each the runs. */
  readonly #users: Map<number, Set<Run>> = new Map();
  /** By number, what was bound last. */
  readonly #bound: (Bindable | undefined)[] = [];
  readonly #groups: Map<string, GPUBindGroup> = new Map();
  readonly #leastParams: number;
  #lastUse = -1;
  #discarded = false;

  /** @param pool Lends temporaries for as long as the recording is kept. */
  constructor(
    device: GPUDevice,
    pool: TemporaryPool,
    runs: readonly RecordedRun[],
  ) {
    this.#device = device;
    this.runs = runs;
    const executables = runs.map(({ executable }) =>
      ownExecutable("record", executable)
    );
    const { taken, places } = planTemporaries(
      executables.map(({ program }) => program),
    );
    this.#loan = pool.take(taken);
    let first = 0;
    this.#runs = runs.map(({ buffers }, at): Run => {
      const executable = executables[at]!;
      const { pipelines, program } = executable;
      first += program.dispatches.length;
      return {
        first: first - program.dispatches.length,
        executable,
        buffers,
        temporaries: places[at]!.map((place) => this.#loan.memory[place]!),
        steps: program.dispatches.map((dispatch, step) => ({
          pipeline: pipelines[step]!,
          dispatch,
          hasWords: dispatch.words.length > 0,
          group: undefined,
        })),
      };
    });
    this.#steps = this.#runs.flatMap(({ steps }) => steps);
    for (const run of this.#runs) {
      if (run.steps.length === 0) continue;
      for (const number of run.buffers) {
        const users = this.#users.get(number);
        if (users) users.add(run);
        else this.#users.set(number, new Set([run]));
      }
    }
    const layout = layOutWords(
      runs.flatMap(({ params }, at) =>
        executables[at]!.program.dispatches.map(({ words }) => ({
          words,
          params,
        }))
      ),
      device.limits.minUniformBufferOffsetAlignment,
    );
    this.#offsets = layout.offsets;
    this.#leastParams = layout.sources.reduce((a, b) => Math.max(a, b + 1), 0);
    if (layout.words.length > 0) {
      this.#uniforms = new UniformBuffer(device, layout);
    }
  }

  /** Number of dispatches. */
  get length(): number {
    return this.#steps.length;
  }

  /** The last submission that its dispatches are part of. */
  get lastUse(): number {
    return this.#lastUse;
  }

  /**
   * Brings bind groups and words up to date.
   *
   * @param beforeWrite Sends off recorded work that reads the words as they
   * are.
   */
  bind(
    buffers: readonly DeviceBuffer[],
    params: Uint32Array,
    beforeWrite: () => void,
  ): void {
    if (this.#discarded) {
      throw new Error("replay: the recording was discarded: record it again");
    }
    if (params.length < this.#leastParams) {
      throw new RangeError(
        `replay: too few params: ${params.length}, not ${this.#leastParams}`,
      );
    }
    this.#bindBuffers(buffers);
    this.#uniforms?.update(params, beforeWrite);
  }

  /** Notes which submission uses all that is bound. */
  use(submission: number): void {
    this.#lastUse = submission;
    for (const number of this.#users.keys()) {
      this.#bound[number]!.lastUse = submission;
    }
    for (const temporary of this.#loan.memory) temporary.lastUse = submission;
  }

  /**
   * Encodes a dispatch.
   *
   * @param before The pipeline that is set.
   * @returns The pipeline that is set now.
   */
  encode(
    pass: GPUComputePassEncoder,
    number: number,
    before: Pipeline | undefined,
  ): Pipeline {
    const { pipeline, dispatch, hasWords, group } = this.#steps[number]!;
    if (pipeline !== before) pass.setPipeline(pipeline.gpu);
    if (hasWords) pass.setBindGroup(0, group!, this.#offsets, number, 1);
    else pass.setBindGroup(0, group!);
    const [x, y, z] = dispatch.workgroups;
    pass.dispatchWorkgroups(x, y, z);
    return pipeline;
  }

  /** Number of dispatches of a run. */
  dispatchesOf(run: number): number {
    return this.#runs[run]!.steps.length;
  }

  /** Encodes the dispatches of a run. */
  encodeRun(pass: GPUComputePassEncoder, number: number): void {
    const { first, steps } = this.#runs[number]!;
    let pipeline: Pipeline | undefined;
    for (let at = first; at < first + steps.length; at++) {
      pipeline = this.encode(pass, at, pipeline);
    }
  }

  /** Gives back what only it uses. */
  discard(): void {
    if (this.#discarded) return;
    this.#discarded = true;
    this.#groups.clear();
    this.#uniforms?.gpu.destroy();
    this.#loan.giveBack();
  }

  #bindBuffers(buffers: readonly DeviceBuffer[]): void {
    let changed: Set<Run> | undefined;
    try {
      for (const [number, runs] of this.#users) {
        const block = ownBlock(buffers[number]);
        if (block === this.#bound[number]) continue;
        this.#bound[number] = block;
        changed ??= new Set();
        for (const run of runs) changed.add(run);
      }
      if (!changed) return;
      for (const run of changed) this.#bindRun(run);
    } catch (error) {
      // The next replay must look at all of them again.
      this.#bound.fill(undefined);
      throw error;
    }
  }

  #bindRun({ executable, buffers, temporaries, steps }: Run): void {
    const memory = buffers.map((number) => this.#bound[number]!);
    checkAliases(executable.kernel, memory);
    memory.push(...temporaries);
    for (const step of steps) step.group = this.#group(step, memory);
  }

  #group({ pipeline, dispatch }: Step, memory: readonly Bindable[]) {
    const key = groupKey(pipeline, dispatch, memory);
    let group = this.#groups.get(key);
    if (!group) {
      const most = GROUPS_PER_STEP * this.#steps.length;
      forgetOldest(this.#groups, Math.max(most, 64));
      const uniforms = this.#uniforms?.gpu;
      group = bindGroupOf(this.#device, pipeline, dispatch, memory, uniforms);
      this.#groups.set(key, group);
    }
    return group;
  }
}
