/**
 * What a kernel becomes: WGSL texts and how to run them. Nothing here knows a
 * device.
 *
 * @module
 */

/** What generated code must fit, from the limits of the adapter. */
export interface ShaderLimits {
  /** Invocations in one workgroup. */
  readonly maxWorkgroupSize: number;
  /** Bytes of workgroup memory. */
  readonly maxWorkgroupBytes: number;
  /** Workgroups in one dimension of a dispatch. */
  readonly maxWorkgroups: number;
  /** Whether the adapter is a processor that plays a GPU. */
  readonly isFallback: boolean;
}

/** One 32-bit word of the uniform block. */
export type Word =
  /** The parameter of the run at this slot. */
  | { readonly kind: "param"; readonly slot: number }
  /** Bits that WGSL has no literal for: infinities, NaN. */
  | { readonly kind: "bits"; readonly bits: number };

/** A buffer as one dispatch sees it. */
export interface Binding {
  /** A slot of the kernel, or past its slots a temporary of the program. */
  readonly buffer: number;
  /** Whether the dispatch writes it. */
  readonly writable: boolean;
}

/** One WGSL program over a grid. */
export interface Dispatch {
  /** For messages. */
  readonly name: string;
  /** The text; its entry point is `main`. */
  readonly wgsl: string;
  /** Storage buffers, `@binding(0)` onwards of `@group(0)`. */
  readonly bindings: readonly Binding[];
  /** Words of the uniform block, the binding after the buffers; may be none. */
  readonly words: readonly Word[];
  /** Size of the grid, in workgroups; nothing runs if one is 0. */
  readonly workgroups: readonly [number, number, number];
}

/** The dispatches that run a kernel, in order. */
export interface Program {
  /** What runs. */
  readonly dispatches: readonly Dispatch[];
  /** Bytes of each buffer that lives only while the program runs. */
  readonly temporaries: readonly number[];
}

/** A grid of `count` workgroups within the limit of one dimension. */
export function gridOf(
  count: number,
  limits: ShaderLimits,
): [number, number, number] {
  if (count <= limits.maxWorkgroups) return [count, 1, 1];
  const height = Math.ceil(count / limits.maxWorkgroups);
  return [Math.ceil(count / height), height, 1];
}
