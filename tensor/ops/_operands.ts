/** What operations share: operands to nodes, types that meet, broadcasting. */

import { type DType, isFloat, isInteger, promote, toDType } from "../dtype.ts";
import { broadcast, cast, constant, map, parameter } from "../graph/build.ts";
import type { MapOp, Node } from "../graph/node.ts";
import { broadcastShapes } from "../shape.ts";
import { nodeOf, type Operand, Tensor } from "../tensor.ts";

/**
 * A number takes the type of the tensor it meets; a fraction makes an integer
 * tensor float32. Small whole numbers are part of the program, others are
 * passed to it.
 */
export function scalarNode(
  operation: string,
  value: number | boolean,
  beside: DType,
): Node {
  if (typeof value === "boolean") return constant(Number(value), "bool");
  const whole = Number.isInteger(value);
  const dtype = beside === "float32" || !whole
    ? "float32"
    : beside === "bool"
    ? "int32"
    : beside;
  if (toDType(value, dtype) !== value && isInteger(dtype)) {
    throw new RangeError(
      `${operation}: the number does not fit the tensor's type: got ${value} ` +
        `beside ${dtype}: cast the tensor first`,
    );
  }
  const structural = whole && Math.abs(value) <= 16;
  return structural ? constant(value, dtype) : parameter(value, dtype);
}

/** Operands as nodes, numbers typed by the tensors beside them. */
export function nodesOf(
  operation: string,
  operands: readonly Operand[],
): Node[] {
  const tensors = operands.filter((operand) => operand instanceof Tensor);
  const beside = tensors.reduce<DType | undefined>(
    (dtype, tensor) =>
      dtype ? promote(operation, dtype, tensor.dtype) : tensor.dtype,
    undefined,
  ) ?? "float32";
  return operands.map((operand) => {
    if (operand instanceof Tensor) return nodeOf(operand);
    if (typeof operand === "number" || typeof operand === "boolean") {
      return scalarNode(operation, operand, beside);
    }
    throw new TypeError(
      `${operation}: operands must be tensors or numbers: got ${
        operand === null ? "null" : typeof operand
      }`,
    );
  });
}

/** Nodes of one type and shape. */
export function meet(operation: string, nodes: readonly Node[]): Node[] {
  const dtype = nodes.map((node) => node.dtype)
    .reduce((a, b) => promote(operation, a, b));
  const shape = broadcastShapes(operation, ...nodes.map((node) => node.shape));
  return nodes.map((node) => broadcast(cast(node, dtype), shape));
}

/** An operation of two operands after both meet. */
export function binary(
  op: MapOp,
  a: Operand,
  b: Operand,
  name: string,
): Tensor {
  return new Tensor(map(op, meet(name, nodesOf(name, [a, b]))));
}

/** The operand as float32. */
export function floatNode(x: Tensor): Node {
  const node = nodeOf(x);
  return isFloat(node.dtype) ? node : cast(node, "float32");
}

/**
 * @throws {TypeError} If the tensor's type is not one of those named.
 */
export function requireType(
  operation: string,
  x: Tensor,
  allowed: readonly DType[],
  hint: string,
): void {
  if (!allowed.includes(x.dtype)) {
    throw new TypeError(
      `${operation}: needs ${allowed.join(" or ")}: got ${x.dtype}: ${hint}`,
    );
  }
}

/** A scalar constant in the shape of a node. */
export function like(node: Node, value: number): Node {
  return broadcast(constant(value, node.dtype), node.shape);
}

/** `c[0] + c[1] x + c[2] x^2 + …` by Horner's rule. */
export function polynomial(x: Node, coefficients: readonly number[]): Node {
  const at = (value: number) => like(x, value);
  let sum = at(coefficients.at(-1)!);
  for (let i = coefficients.length - 2; i >= 0; i--) {
    sum = map("add", [map("mul", [sum, x]), at(coefficients[i]!)]);
  }
  return sum;
}
