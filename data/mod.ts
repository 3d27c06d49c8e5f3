/**
 * Reading, generating, splitting and batching data.
 *
 * Loaders give typed arrays with shapes ({@linkcode HostArray}), so that they
 * need no device; {@linkcode toTensors} makes tensors of a batch. Nothing here
 * prints: downloads report to a callback.
 *
 * @example Batches of generated digits
 * ```ts
 * import {
 *   DataLoader,
 *   defaultCollate,
 *   generatedDigits,
 *   toTensors,
 * } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * const { train } = generatedDigits({ train: 100, test: 0 });
 * const loader = new DataLoader(train, {
 *   batchSize: 25,
 *   shuffle: true,
 *   seed: 1,
 *   collate: (items) => toTensors(defaultCollate(items)),
 * });
 * for await (const { images, labels } of loader) {
 *   assertEquals(images.shape, [25, 28, 28]);
 *   assertEquals(labels.dtype, "int32");
 * }
 * ```
 *
 * @module
 */
export * from "./cache_folder.ts";
export * from "./cifar10.ts";
export * from "./csv.ts";
export * from "./csv_pieces.ts";
export * from "./data_loader.ts";
export * from "./data_not_found_error.ts";
export * from "./dataset.ts";
export * from "./default_collate.ts";
export * from "./digit_pairs.ts";
export * from "./download.ts";
export * from "./generated_digits.ts";
export * from "./host_array.ts";
export * from "./idx.ts";
export * from "./k_folds.ts";
export * from "./labelled_images.ts";
export * from "./load_options.ts";
export * from "./mnist.ts";
export * from "./npy.ts";
export * from "./npz.ts";
export * from "./reduce_values.ts";
export * from "./remote_dataset.ts";
export * from "./seeded_random.ts";
export * from "./to_tensor.ts";
