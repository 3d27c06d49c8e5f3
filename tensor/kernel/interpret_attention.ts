/**
 * Attention as plain loops.
 *
 * @module
 */

import {
  type AnyAttentionKernel,
  type AttentionGradientKernel,
  type AttentionKernel,
  FORBIDDEN,
  maskStart,
} from "./attention.ts";
import type { HostBuffer } from "./interpret.ts";

/** The scores of one query; undefined where it may not attend. */
function scoresOf(
  kernel: AnyAttentionKernel,
  buffers: readonly HostBuffer[],
  batch: number,
  query: number,
): (number | undefined)[] {
  const { queries, keys, dim, scale, causalOffset, masks } = kernel;
  const [q, k] = buffers as [HostBuffer, HostBuffer];
  const row = (batch * queries + query) * dim;
  return Array.from({ length: keys }, (_, key) => {
    if (causalOffset !== null && key > query + causalOffset) return undefined;
    let score = 0;
    for (let d = 0; d < dim; d++) {
      score += q[row + d]! * k[(batch * keys + key) * dim + d]!;
    }
    score *= scale;
    for (const mask of masks) {
      const at = maskStart(mask, batch) + query * mask.queryStride +
        key * mask.keyStride;
      const value = buffers[mask.slot]![at]!;
      if (kernel.buffers[mask.slot]!.dtype === "bool") {
        if (value === 0) return undefined;
      } else if (value <= FORBIDDEN) return undefined;
      else score += value;
    }
    return score;
  });
}

/** Runs {@link AttentionKernel}. */
export function interpretAttention(
  kernel: AttentionKernel,
  buffers: readonly HostBuffer[],
): void {
  const { batch, queries, keys, features, masks } = kernel;
  const value = buffers[2]!;
  const [result, logSums] = buffers.slice(3 + masks.length);
  for (let row = 0; row < batch * queries; row++) {
    const problem = Math.floor(row / queries);
    const scores = scoresOf(kernel, buffers, problem, row % queries);
    const top = scores.reduce<number>(
      (most, score) => Math.max(most, score ?? FORBIDDEN),
      FORBIDDEN,
    );
    const powers = scores.map((score) =>
      score === undefined ? 0 : Math.exp(score - top)
    );
    const total = powers.reduce((sum, power) => sum + power, 0);
    for (let f = 0; f < features; f++) {
      let sum = 0;
      for (let key = 0; key < keys; key++) {
        if (scores[key] === undefined) continue;
        sum += powers[key]! * value[(problem * keys + key) * features + f]!;
      }
      result![row * features + f] = total === 0 ? 0 : sum / total;
    }
    if (logSums) logSums[row] = total === 0 ? 0 : top + Math.log(total);
  }
}

/** Runs {@link AttentionGradientKernel}. */
export function interpretAttentionGradient(
  kernel: AttentionGradientKernel,
  buffers: readonly HostBuffer[],
): void {
  const { batch, queries, keys, dim, features, scale, masks } = kernel;
  const [q, k, v, g, logSums, delta] = buffers;
  const outputs = buffers.slice(6 + masks.length);
  const sums = outputs.map(({ length }) => new Float64Array(length));
  const [dq, dk, dv] = sums as [Float64Array, Float64Array, Float64Array];
  for (let row = 0; row < batch * queries; row++) {
    const problem = Math.floor(row / queries);
    const scores = scoresOf(kernel, buffers, problem, row % queries);
    for (const [key, score] of scores.entries()) {
      if (score === undefined) continue;
      const at = problem * keys + key;
      const weight = Math.exp(score - logSums![row]!);
      let slope = 0;
      for (let f = 0; f < features; f++) {
        slope += g![row * features + f]! * v![at * features + f]!;
        dv[at * features + f]! += weight * g![row * features + f]!;
      }
      slope = scale * weight * (slope - delta![row]!);
      for (let d = 0; d < dim; d++) {
        dq[row * dim + d]! += slope * k![at * dim + d]!;
        dk[at * dim + d]! += slope * q![row * dim + d]!;
      }
    }
  }
  outputs.forEach((output, at) => output.set(sums[at]!));
}
