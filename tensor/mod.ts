/**
 * Tensors with gradients, on WebGPU and WebAssembly.
 *
 * @module
 */

export {};
