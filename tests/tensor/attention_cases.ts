/**
 * Attention to be checked: its inputs, and plain loops in float64.
 *
 * @module
 */

import type { AttentionGradientKernel } from "../../tensor/kernel/attention.ts";
import type { HostBuffer } from "../../tensor/kernel/interpret.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";

/** Sizes and rules. */
export interface AttentionCase {
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly dim: number;
  readonly features: number;
  readonly scale?: number;
  /** Key `k` is seen by query `q` if `k <= q + causal`. */
  readonly causal?: number;
  readonly mask?: "bool" | "added" | "padding" | "all";
}

/** Query, key and value, the gradient of the result, and the masks. */
export function attentionCase(given: AttentionCase): {
  inputs: Values[];
  seed: Values;
  masks: Values[];
} {
  const { batch, queries, keys, dim, features, mask } = given;
  const from = seeded(queries + keys);
  const draw = (rows: number, width: number) =>
    from.values([batch, rows, width]);
  const kinds = mask === "all" ? ["bool", "added", "padding"] : [mask];
  const masks = kinds.flatMap((kind) => {
    switch (kind) {
      case "bool": // some queries see nothing
        return [
          from.integers([queries, keys], 0, 3)
            .map((value, [q]) => Number(value > 0 && q! % 7 !== 5)),
        ];
      case "added":
        return [
          from.values([batch, queries, keys], { low: -2, high: 2 })
            .map((value, [, q, k]) => (q! + k!) % 5 === 0 ? -Infinity : value),
        ];
      case "padding":
        return [
          Values.of([batch, 1, keys], (b, _, k) => Number(k! < keys - 5 * b!)),
        ];
      default:
        return [];
    }
  });
  return {
    inputs: [draw(queries, dim), draw(keys, dim), draw(keys, features)],
    seed: draw(queries, features),
    masks,
  };
}

/** The result, and the gradients by query, key and value if there is a seed. */
export function referenceAttention(
  given: AttentionCase,
  [query, key, value]: readonly Values[],
  masks: readonly Values[],
  seed?: Values,
): Values[] {
  const { batch, queries, keys, dim, features, causal } = given;
  const { scale = 1 / Math.sqrt(dim) } = given;
  const shapes = [
    [batch, queries, features],
    [batch, queries, dim],
    [batch, keys, dim],
    [batch, keys, features],
  ];
  const results = shapes.map((shape) =>
    new Float64Array(shape[0]! * shape[1]! * shape[2]!)
  );
  const [out, dq, dk, dv] = results as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const isBool = masks.map((mask) =>
    mask.data.every((x) => x === 0 || x === 1)
  );
  const maskAt = (mask: Values, b: number, q: number, k: number) => {
    const place = [b, q, k].slice(-mask.shape.length);
    return mask.at(...place.map((at, axis) => mask.shape[axis] === 1 ? 0 : at));
  };
  for (let b = 0; b < batch; b++) {
    for (let q = 0; q < queries; q++) {
      const row = b * queries + q;
      const powers = new Float64Array(keys);
      let total = 0;
      for (let k = 0; k < keys; k++) {
        let may = causal === undefined || k <= q + causal;
        let score = 0;
        for (let d = 0; d < dim; d++) {
          score += query!.data[row * dim + d]! *
            key!.data[(b * keys + k) * dim + d]!;
        }
        score *= scale;
        masks.forEach((mask, at) => {
          const value = maskAt(mask, b, q, k);
          if (isBool[at]) may &&= value === 1;
          else score += value;
        });
        powers[k] = may ? Math.exp(score) : 0;
        total += powers[k]!;
      }
      if (total === 0) continue;
      const slopes = new Float64Array(keys);
      let mean = 0;
      for (let k = 0; k < keys; k++) {
        const weight = powers[k]! / total;
        const at = (b * keys + k) * features;
        for (let f = 0; f < features; f++) {
          out[row * features + f]! += weight * value!.data[at + f]!;
          if (!seed) continue;
          const g = seed.data[row * features + f]!;
          dv[at + f]! += weight * g;
          slopes[k]! += g * value!.data[at + f]!;
        }
        mean += weight * slopes[k]!;
      }
      for (let k = 0; seed && k < keys; k++) {
        const slope = scale * powers[k]! / total * (slopes[k]! - mean);
        for (let d = 0; d < dim; d++) {
          const at = (b * keys + k) * dim + d;
          dq[row * dim + d]! += slope * key!.data[at]!;
          dk[at]! += slope * query!.data[row * dim + d]!;
        }
      }
    }
  }
  const wanted = seed ? results : results.slice(0, 1);
  return wanted.map((data, at) => new Values(shapes[at]!, data));
}

/** The kernel of the gradients, without masks. */
export function gradientKernel(given: AttentionCase): AttentionGradientKernel {
  const { batch, queries, keys, dim, features, causal = null } = given;
  const slot = (size: number, output = false) =>
    ({ dtype: "float32", size, output }) as const;
  const [q, k, v, g, rows] = [
    batch * queries * dim,
    batch * keys * dim,
    batch * keys * features,
    batch * queries * features,
    batch * queries,
  ] as const;
  return {
    kind: "attentionGradient",
    name: "attention gradient",
    batch,
    queries,
    keys,
    dim,
    features,
    scale: 1 / Math.sqrt(dim),
    causalOffset: causal,
    masks: [],
    buffers: [
      ...[q, k, v, g, rows, rows].map((size) => slot(size)),
      ...[q, k, v].map((size) => slot(size, true)),
    ],
  };
}

/** Numbers for all buffers of a kernel; logarithms of sums that weights allow. */
export function kernelInputs(
  { buffers, keys }: AttentionGradientKernel,
): HostBuffer[] {
  const from = seeded(8);
  return buffers.map(({ size }, slot) => {
    const values = Float32Array.from(from.values([size]).data);
    return slot === 4 ? values.fill(Math.log(keys)) : values;
  });
}
