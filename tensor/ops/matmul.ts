import * as build from "../graph/build.ts";
import { promote } from "../dtype.ts";
import { broadcastShapes, formatShape } from "../shape.ts";
import { nodeOf, requireTensor, Tensor } from "../tensor.ts";

/**
 * The matrix product over the last two axes; the others broadcast.
 *
 * A tensor of one axis counts as a row on the left and as a column on the
 * right, and the result loses that axis, as in NumPy. Bool counts as int32.
 *
 * @param a `[..., rows, inner]`.
 * @param b `[..., inner, cols]`.
 * @returns `[..., rows, cols]`.
 * @throws {RangeError} If the inner sizes differ, an operand is a scalar, or
 * the other axes do not broadcast.
 * @throws {TypeError} If int32 meets uint32, or an operand is a number.
 *
 * @example
 * ```ts
 * import { matmul, tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const product = matmul(tensor([[1, 2], [3, 4]]), tensor([[1, 1], [0, 1]]));
 * assertEquals(await product.toArray(), [[1, 3], [3, 7]]);
 * ```
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  for (const operand of [a, b]) requireTensor("matmul", operand);
  if (a.rank === 0 || b.rank === 0) {
    throw new RangeError(
      `matmul: needs at least one axis: got ${formatShape(a.shape)} x ${
        formatShape(b.shape)
      }: use mul for scalars`,
    );
  }
  const left = a.rank === 1 ? a.unsqueeze(0) : a;
  const right = b.rank === 1 ? b.unsqueeze(1) : b;
  const [rows, inner] = left.shape.slice(-2) as [number, number];
  const [height, cols] = right.shape.slice(-2) as [number, number];
  if (inner !== height) {
    throw new RangeError(
      `matmul: inner dimensions differ: ${formatShape(a.shape)} x ${
        formatShape(b.shape)
      }`,
    );
  }
  const batch = broadcastShapes(
    "matmul",
    left.shape.slice(0, -2),
    right.shape.slice(0, -2),
  );
  const met = promote("matmul", a.dtype, b.dtype);
  const dtype = met === "bool" ? "int32" : met;
  const domain = [...batch, rows, cols, inner];
  const wide = build.reshape(nodeOf(left), [
    ...left.shape.slice(0, -1),
    1,
    inner,
  ]);
  const turned = nodeOf(right.transpose()); // [..., cols, inner]
  const tall = build.reshape(turned, [
    ...right.shape.slice(0, -2),
    1,
    cols,
    inner,
  ]);
  const products = build.map(
    "mul",
    [wide, tall].map((node) =>
      build.broadcast(build.cast(node, dtype), domain)
    ),
  );
  const sum = build.reduce("sum", products, [domain.length - 1]);
  const shape = [
    ...batch,
    ...a.rank === 1 ? [] : [rows],
    ...b.rank === 1 ? [] : [cols],
  ];
  return new Tensor(build.reshape(sum, shape));
}
