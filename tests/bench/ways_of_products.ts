/**
 * The ways to run matrix products on this GPU, timed: what the model of
 * `wgsl/contract_strategy.ts` expects to be the fastest comes first, the
 * fastest is marked. Sizes in the arguments replace the usual ones:
 *
 * ```sh
 * deno run -A tests/bench/ways_of_products.ts 1x4096x4096x4096
 * ```
 *
 * @module
 */

import { compile, ones, openDevice, type Tensor } from "@heddle/tensor";
import { say } from "./_say.ts";

/** Batch, rows, columns and terms: squares, a network's layers, attention. */
const USUAL = [
  "1x512x512x512",
  "1x1024x1024x1024",
  "1x4096x4096x4096",
  "1x1x4096x4096",
  "1x512x3072x768",
  "1x768x3072x512",
  "1x24x216x9216",
  "12x512x512x64",
  "12x512x64x512",
];
/** On a processor the large ones would take minutes. */
const MOST_OPERATIONS = 2e9;

using device = await openDevice("webgpu");
const isSoftware = /llvmpipe|SwiftShader/i.test(device.adapter);
say(`adapter: ${device.adapter}`);
for (const sizes of Deno.args.length > 0 ? Deno.args : USUAL) {
  const [batch, m, n, k] = sizes.split("x").map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const operations = 2 * batch * m * n * k;
  if (isSoftware && operations > MOST_OPERATIONS) continue;
  const [a, b] = [ones([batch, m, k]), ones([batch, k, n])];
  await Promise.all([a.realize(), b.realize()]);
  const product = compile((a: Tensor, b: Tensor) => a.matmul(b));
  const { kernels } = await product.tune(a, b);
  for (const { tried, way: best } of kernels) {
    for (const { way, ms } of tried) {
      const rate = (operations / ms / 1e6).toPrecision(3);
      const mark = way === best ? " <" : "";
      say(`${sizes}  ${way}: ${ms.toFixed(3)} ms, ${rate} GFLOP/s${mark}`);
    }
  }
  product.dispose();
  for (const tensor of [a, b]) tensor.dispose();
}
