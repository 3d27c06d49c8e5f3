/**
 * Attention nodes become kernels.
 *
 * @module
 */

import type { AttentionRule, Node } from "../graph/node.ts";
import { formatShape, type Shape, sizeOf, stridesOf } from "../shape.ts";
import {
  type AttentionMask,
  type AttentionSizes,
  FORWARD_INPUTS,
  GRADIENT_INPUTS,
  type MaskTerm,
} from "./attention.ts";
import { type Group, underReshapes } from "./group.ts";
import type { BufferSlot, Kernel } from "./kernel.ts";
import { type LoweredKernel, scratchLike, slot } from "./lower.ts";

/** The kernel of a group of attention nodes that differ in their output. */
export function lowerAttention(group: Group, node: Node): LoweredKernel {
  const { op } = node;
  const inputs = node.inputs.map(underReshapes);
  const slots = inputs.map((input) => slot(input, false));
  /** The member with an output, or what stands for it if nobody reads it. */
  const find = (output: string, shape: Shape) =>
    group.members.find((member) =>
      "output" in member.op && member.op.output === output
    ) ?? scratchLike(node, "float32", shape);
  const has = (output: string) =>
    group.members.some((member) =>
      "output" in member.op && member.op.output === output
    );
  const finish = (
    outputs: readonly Node[],
    make: (buffers: readonly BufferSlot[]) => Kernel,
  ): LoweredKernel => ({
    group,
    kernel: make([...slots, ...outputs.map((output) => slot(output, true))]),
    buffers: [...inputs, ...outputs],
    params: [],
  });
  switch (op.kind) {
    case "attention": {
      const sizes = sizesOf(node.inputs, op.rule, FORWARD_INPUTS);
      const { batch, queries, features } = sizes;
      const outputs = [find("mixtures", [batch, queries, features])];
      if (has("logSums")) outputs.push(find("logSums", [batch, queries, 1]));
      const name = nameOf("attention", sizes);
      return finish(
        outputs,
        (buffers) => ({ kind: "attention", name, ...sizes, buffers }),
      );
    }
    case "attentionGradient": {
      const sizes = sizesOf(node.inputs, op.rule, GRADIENT_INPUTS);
      const outputs = ["query", "key", "value"].map((output, at) =>
        find(output, node.inputs[at]!.shape)
      );
      const name = nameOf("attention gradient", sizes);
      return finish(
        outputs,
        (buffers) => ({ kind: "attentionGradient", name, ...sizes, buffers }),
      );
    }
    default:
      throw new Error(`lowerAttention: ${op.kind} is none`);
  }
}

function nameOf(operation: string, sizes: AttentionSizes): string {
  const { batch, queries, keys, dim, features } = sizes;
  return operation + formatShape([batch, queries, keys, dim, features]);
}

function sizesOf(
  inputs: readonly Node[],
  { scale, causalOffset }: AttentionRule,
  before: number,
): AttentionSizes {
  const [query, , value] = inputs as [Node, Node, Node];
  const lead = query.shape.slice(0, -2);
  const [queries, dim] = query.shape.slice(-2) as [number, number];
  const [keys, features] = value.shape.slice(-2) as [number, number];
  const masks = inputs.slice(before).map(({ shape }, at): AttentionMask => {
    const strides = stridesOf(shape);
    const rank = shape.length;
    return {
      slot: before + at,
      terms: termsOf(lead, shape, strides),
      queryStride: shape[rank - 2] === 1 ? 0 : strides[rank - 2]!,
      keyStride: shape[rank - 1] === 1 ? 0 : 1,
    };
  });
  const batch = sizeOf(lead);
  return { batch, queries, keys, dim, features, scale, causalOffset, masks };
}

/** How the number of a problem selects along the first axes of a mask. */
function termsOf(
  lead: Shape,
  shape: Shape,
  strides: readonly number[],
): MaskTerm[] {
  const terms: MaskTerm[] = [];
  let by = 1;
  for (let axis = lead.length - 1; axis >= 0; axis--) {
    const extent = lead[axis]!;
    if (shape[axis]! > 1) terms.push({ by, extent, stride: strides[axis]! });
    by *= extent;
  }
  return terms;
}
