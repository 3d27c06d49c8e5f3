/**
 * Heddle: deep learning on Deno, on WebGPU and on WebAssembly.
 *
 * Every module in one import. Each is a package of its own as well, so that a
 * program may take only what it uses: `@heddle/tensor`, `@heddle/nn`,
 * `@heddle/losses`, `@heddle/attention`, `@heddle/data` and `@heddle/tasks`.
 *
 * @module
 */

export * from "@heddle/tensor";
export * from "@heddle/tensor/jit";
export * from "@heddle/nn";
export * from "@heddle/losses";
export * from "@heddle/attention";
export * from "@heddle/data";
export * from "@heddle/data/pool";
export * from "@heddle/tasks";
