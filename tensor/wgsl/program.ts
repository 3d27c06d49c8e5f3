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
  /** @default undefined: there are none */
  readonly subgroups?: Subgroups;
}

/** Invocations that can tell each other values. */
export interface Subgroups {
  /** What enables them at the head of a program, which may be nothing. */
  readonly enable: string;
  /** Invocations in each: neighbours, in their order. */
  readonly size: number;
}

/** One 32-bit word of the uniform block. */
export type Word =
  /** The parameter of the run at this slot. */
  | { readonly kind: "param"; readonly slot: number }
  /** The same in every run: what WGSL has no literal for, or sizes. */
  | { readonly kind: "bits"; readonly bits: number };

/** Texels in a row of each texture of a program: a power of two. */
export const TEXTURE_WIDTH = 1024;

/** Memory that lives only while the program runs. */
export type Temporary =
  | { readonly kind: "buffer"; readonly byteLength: number }
  /** Texels of four float32, in rows of {@link TEXTURE_WIDTH}. */
  | { readonly kind: "texture"; readonly texels: number };

/** A buffer or texture as one dispatch sees it. */
export interface Binding {
  /** A slot of the kernel, or past its slots a temporary of the program. */
  readonly resource: number;
  /** Which of the two it is. */
  readonly kind: "buffer" | "texture";
  /** Whether the dispatch writes it. */
  readonly writable: boolean;
}

/** One WGSL program over a grid. */
export interface Dispatch {
  /** For messages. */
  readonly name: string;
  /** The text; its entry point is `main`. */
  readonly wgsl: string;
  /** `@binding(0)` onwards of `@group(0)`. */
  readonly bindings: readonly Binding[];
  /** Words of the uniform block, the last binding; there may be none. */
  readonly words: readonly Word[];
  /** Size of the grid, in workgroups. */
  readonly workgroups: readonly [number, number, number];
}

/** The dispatches that run a kernel, in order. */
export interface Program {
  /** What runs. */
  readonly dispatches: readonly Dispatch[];
  /** What it needs beside the kernel's own buffers. */
  readonly temporaries: readonly Temporary[];
}

/** A grid of at least `count` workgroups within the limit of one dimension. */
export function gridOf(
  count: number,
  limits: ShaderLimits,
): [number, number, number] {
  if (count <= limits.maxWorkgroups) return [count, 1, 1];
  const height = Math.ceil(count / limits.maxWorkgroups);
  return [Math.ceil(count / height), height, 1];
}
