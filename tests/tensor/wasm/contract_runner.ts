/**
 * Runs matrix products through their emitter alone, without a device.
 *
 * @module
 */

import type { HostBuffer } from "../../../tensor/kernel/interpret.ts";
import { hostBuffer } from "../../../tensor/kernel/interpret.ts";
import type { LoopKernel } from "../../../tensor/kernel/kernel.ts";
import { ModuleBuilder } from "../../../tensor/wasm/assembler.ts";
import {
  type ContractPlan,
  emitContract,
} from "../../../tensor/wasm/contract.ts";
import type { Sequence, ThreadPool } from "../../../tensor/wasm/threads.ts";

const PAGE = 65536;

/** Memory for tests, with room for what {@link ContractRunner} places in it. */
export function sharedMemory(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / PAGE);
  return new WebAssembly.Memory({
    initial: pages,
    maximum: pages,
    shared: true,
  });
}

/** A kernel with its buffers in the memory of a pool. */
export class ContractRunner {
  /** What the emitter asks for. */
  readonly plan: ContractPlan;
  readonly #pool: ThreadPool;
  readonly #sequence: Sequence;
  readonly #frame = 1024;
  /** One view a buffer of the kernel. */
  readonly buffers: HostBuffer[] = [];

  /** Places everything, from 4 KiB on; one runner a memory at a time. */
  constructor(
    kernel: LoopKernel,
    memory: WebAssembly.Memory,
    pool: ThreadPool,
    params: Uint32Array = new Uint32Array(),
    relaxedSimd: boolean = true,
  ) {
    const module = new ModuleBuilder();
    const pages = memory.buffer.byteLength / PAGE;
    module.importMemory({ shared: true, initial: 1, maximum: pages });
    const target = { relaxedSimd, sharedMemory: true };
    const plan = emitContract(module, kernel, target);
    if (!plan) throw new Error(`${kernel.name}: not emitted`);
    this.plan = plan;
    this.#pool = pool;
    const program = pool.load(module.finish(), pool.load(plan.library));
    this.#sequence = pool.sequence(
      plan.stages.map(({ name, items, grain }) => ({
        program,
        stage: name,
        frame: 0,
        items,
        grain,
      })),
    );
    const frame = new Uint32Array(memory.buffer, this.#frame);
    let address = 4096;
    const take = (bytes: number) => {
      const at = address;
      address += Math.ceil(bytes / 64) * 64;
      return at;
    };
    kernel.buffers.forEach(({ dtype, size, overwrites }, slot) => {
      const at = frame[slot] = overwrites === undefined
        ? take(4 * size)
        : frame[overwrites]!;
      const view = hostBuffer(dtype, memory.buffer as unknown as ArrayBuffer);
      this.buffers.push(view.subarray(at / 4, at / 4 + size) as HostBuffer);
    });
    params.forEach((word, i) => frame[kernel.buffers.length + i] = word);
    const scratch = kernel.buffers.length + params.length;
    frame[scratch] = take(plan.sharedScratchBytes);
    frame[scratch + 1] = take(plan.threadScratchBytes * pool.threads);
    if (address > memory.buffer.byteLength) {
      throw new RangeError(`${kernel.name}: needs ${address} bytes`);
    }
  }

  /** Runs all stages. */
  run(): void {
    this.#pool.run(this.#sequence, this.#frame);
  }
}
