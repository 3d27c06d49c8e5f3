/**
 * The libraries that the benches compare, each behind the same few calls.
 *
 * A peer that cannot be loaded or has no such device is left out, with a line
 * on standard error.
 *
 * @module
 */

import type { numpy } from "@jax-js/jax";
import type {
  Scalar as TfScalar,
  Tensor as TfTensor,
} from "@tensorflow/tfjs-core";
import {
  type Device,
  openDevice,
  realize,
  Scope,
  type Tensor,
  tensor,
  useDevice,
} from "@heddle/tensor";
import { write } from "./_results.ts";
import { say } from "./_say.ts";

/** What the work runs on. */
export type DeviceName = "wasm" | "webgpu";

/** Both, in the order of the groups. */
export const DEVICES: readonly DeviceName[] = ["wasm", "webgpu"];

/** Values that all libraries start from. */
export interface Input {
  /** Sizes of the axes. */
  readonly shape: readonly number[];
  /** Row by row; int32 or float32. */
  readonly values: Float32Array | Int32Array;
}

/** A library on a device; `T` is its tensor, `M` what it exports. */
export interface Library<T, M> {
  /** As the entries of a group are called. */
  readonly name: string;
  /** What it exports. */
  readonly module: M;
  /** Makes it and its device the ones in use; not part of what is timed. */
  activate(): Promise<void>;
  /** Puts values on the device. */
  put(input: Input): Promise<T>;
  /** Does the work, waits until it is done, and frees what it gave. */
  run(work: () => readonly T[]): Promise<void>;
  /** Does the work and reads what it gave. */
  read(work: () => readonly T[]): Promise<ArrayLike<number>[]>;
}

/** What jax-js exports. */
export type Jax = typeof import("@jax-js/jax");
/** Its tensor. */
export type JaxArray = numpy.Array;
/** What TensorFlow.js exports. */
export type Tf = typeof import("@tensorflow/tfjs-core");
export type { TfScalar, TfTensor };

/** Opens a library on a device; undefined, and a line, where it cannot be. */
function once<T>(
  name: string,
  open: (device: DeviceName) => Promise<[library: T, about: string]>,
): (device: DeviceName) => Promise<T | undefined> {
  const opened = new Map<DeviceName, Promise<T | undefined>>();
  const attempt = async (device: DeviceName): Promise<T | undefined> => {
    try {
      const [library, about] = await open(device);
      say(`${name}, ${device}: ${about}`);
      write([{ about: `${name}, ${device}: ${about}` }]);
      return library;
    } catch (error) {
      say(`${name}, ${device}: left out: ${messageOf(error)}`);
      return undefined;
    }
  };
  return (device) => {
    let library = opened.get(device);
    if (library === undefined) opened.set(device, library = attempt(device));
    return library;
  };
}

/** What an error says, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0]!;
}

/** This library. */
export const openHeddle: (
  device: DeviceName,
) => Promise<Library<Tensor, Device> | undefined> = once(
  "heddle",
  async (name) => {
    const device = await openDevice(name);
    return [{
      name: "heddle",
      module: device,
      activate: () => Promise.resolve(void useDevice(device)),
      put: ({ shape, values }) => tensor(values, { shape }).realize(),
      run: async (work) => {
        using _scope = new Scope();
        await realize(...work());
        await device.finish();
      },
      read: async (work) => {
        using _scope = new Scope();
        const results = work();
        await realize(...results);
        return await Promise.all(results.map((result) => result.data()));
      },
    }, device.adapter];
  },
);

/** jax-js, https://github.com/ekzhang/jax-js. */
export const openJax: (
  device: DeviceName,
) => Promise<Library<JaxArray, Jax> | undefined> = once(
  "jax-js",
  async (device) => {
    const jax = await import("@jax-js/jax");
    const devices = await jax.init(device);
    if (!devices.includes(device)) throw new Error("it finds no such device");
    return [
      {
        name: "jax-js",
        module: jax,
        activate: () => Promise.resolve(void jax.defaultDevice(device)),
        put: ({ shape, values }) =>
          jax.numpy.array(values as never, { shape: [...shape], device })
            .blockUntilReady(),
        run: async (work) => {
          const results = work();
          await jax.blockUntilReady([...results]);
          for (const result of results) result.dispose();
        },
        read: (work) => Promise.all(work().map((result) => result.data())),
      },
      device === "wasm"
        ? `${navigator.hardwareConcurrency} workers`
        : adapterOf(jax.getWebGPUDevice()),
    ];
  },
);

/** TensorFlow.js, https://github.com/tensorflow/tfjs. */
export const openTf: (
  device: DeviceName,
) => Promise<Library<TfTensor, Tf> | undefined> = once(
  "tfjs",
  async (device) => {
    const tf = await import("@tensorflow/tfjs-core");
    // The only module that registers the gradients and can be loaded by itself.
    await import("@tensorflow/tfjs-layers");
    await (device === "wasm" ? useTfWasm() : useTfWebgpu());
    if (!await tf.setBackend(device)) throw new Error("it has no such device");
    const about = device === "wasm"
      ? "SIMD, 1 thread"
      : adapterOf((tf.backend() as unknown as TfWebgpu).device);
    const finish = async () => {
      if (device === "webgpu") await finishTf(tf.backend());
    };
    return [{
      name: "tfjs",
      module: tf,
      activate: async () => void await tf.setBackend(device),
      put: ({ shape, values }) =>
        Promise.resolve(tf.tensor(values, [...shape])),
      run: async (work) => {
        const results = tf.tidy(() => [...work()]);
        await finish();
        tf.dispose(results);
      },
      read: async (work) => {
        const results = tf.tidy(() => [...work()]);
        await finish();
        return await Promise.all(results.map((result) => result.data()));
      },
    }, about];
  },
);

/** What of the WebGPU backend of TensorFlow.js sends its work off. */
interface TfWebgpu {
  readonly device: GPUDevice;
  readonly queue: GPUQueue;
  readonly commandEncoder: GPUCommandEncoder | null;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** It submits when a value is read; here it submits, and waits, without one. */
async function finishTf(backend: unknown): Promise<void> {
  const webgpu = backend as TfWebgpu;
  if (webgpu.commandEncoder !== null) {
    webgpu.endComputePassEncoder();
    webgpu.submitQueue();
  }
  await webgpu.queue.onSubmittedWorkDone();
}

async function useTfWasm(): Promise<void> {
  const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
  const file = import.meta.resolve(
    "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm",
  );
  // It takes the build with SIMD; that with threads starts only in a browser.
  setWasmPaths(new URL("./", file).href);
}

async function useTfWebgpu(): Promise<void> {
  await import("@tensorflow/tfjs-backend-webgpu");
}

function adapterOf({ adapterInfo }: GPUDevice): string {
  return adapterInfo.description || adapterInfo.device || adapterInfo.vendor;
}
