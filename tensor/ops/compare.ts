import { broadcast, cast, map } from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import { broadcastShapes } from "../shape.ts";
import { nodeOf, type Operand, Tensor } from "../tensor.ts";
import { binary, like, meet, nodesOf, requireType } from "./_operands.ts";

/** `a == b` as bool, broadcast. */
export function eq(a: Operand, b: Operand): Tensor {
  return binary("eq", a, b, "eq");
}

/** `a != b` as bool, broadcast. */
export function ne(a: Operand, b: Operand): Tensor {
  return binary("ne", a, b, "ne");
}

/** `a < b` as bool, broadcast. */
export function lt(a: Operand, b: Operand): Tensor {
  return binary("lt", a, b, "lt");
}

/** `a <= b` as bool, broadcast. */
export function le(a: Operand, b: Operand): Tensor {
  return binary("le", a, b, "le");
}

/** `a > b` as bool, broadcast. */
export function gt(a: Operand, b: Operand): Tensor {
  return binary("lt", b, a, "gt");
}

/** `a >= b` as bool, broadcast. */
export function ge(a: Operand, b: Operand): Tensor {
  return binary("le", b, a, "ge");
}

function logical(
  op: "and" | "or" | "xor",
  a: Operand,
  b: Operand,
  name: string,
): Tensor {
  const nodes = nodesOf(name, [a, b]).map((node) => cast(node, "bool"));
  return new Tensor(map(op, meet(name, nodes)));
}

/** Whether both are not 0. */
export function logicalAnd(a: Operand, b: Operand): Tensor {
  return logical("and", a, b, "logicalAnd");
}

/** Whether one of both is not 0. */
export function logicalOr(a: Operand, b: Operand): Tensor {
  return logical("or", a, b, "logicalOr");
}

/** Whether exactly one of both is not 0. */
export function logicalXor(a: Operand, b: Operand): Tensor {
  return logical("xor", a, b, "logicalXor");
}

/** Whether it is 0. */
export function logicalNot(x: Tensor): Tensor {
  return new Tensor(map("not", [cast(nodeOf(x), "bool")]));
}

function bits(
  op: "and" | "or" | "xor" | "shl" | "shr",
  a: Operand,
  b: Operand,
  name: string,
): Tensor {
  for (const operand of [a, b]) {
    if (operand instanceof Tensor) {
      requireType(name, operand, ["int32", "uint32", "bool"], "cast it first");
    }
  }
  const nodes = meet(name, nodesOf(name, [a, b]));
  if (nodes[0]!.dtype === "float32") {
    throw new TypeError(`${name}: needs whole numbers: got a fraction`);
  }
  // A shifted bool is a number.
  const shift = op === "shl" || op === "shr";
  const count = shift && nodes[0]!.dtype === "bool";
  return new Tensor(
    map(op, count ? nodes.map((node) => cast(node, "int32")) : nodes),
  );
}

/** Bits set in both; logical on bool. */
export function bitAnd(a: Operand, b: Operand): Tensor {
  return bits("and", a, b, "bitAnd");
}

/** Bits set in one of both; logical on bool. */
export function bitOr(a: Operand, b: Operand): Tensor {
  return bits("or", a, b, "bitOr");
}

/** Bits set in exactly one of both; logical on bool. */
export function bitXor(a: Operand, b: Operand): Tensor {
  return bits("xor", a, b, "bitXor");
}

/** All bits flipped; logical on bool. */
export function bitNot(x: Tensor): Tensor {
  requireType("bitNot", x, ["int32", "uint32", "bool"], "cast it first");
  return new Tensor(map("not", [nodeOf(x)]));
}

/** Bits moved up by `b` mod 32 places; bool counts as int32. */
export function shiftLeft(a: Operand, b: Operand): Tensor {
  return bits("shl", a, b, "shiftLeft");
}

/**
 * Bits moved down by `b` mod 32 places; an int32 keeps its sign, bool counts
 * as int32.
 */
export function shiftRight(a: Operand, b: Operand): Tensor {
  return bits("shr", a, b, "shiftRight");
}

/** The bits of a float without its sign: WGSL may assume there is no NaN. */
function magnitudeBits(x: Tensor): Node {
  const bits = map("bitcast", [cast(nodeOf(x), "float32")], "uint32");
  return map("and", [bits, like(bits, 0x7fffffff)]);
}

const INFINITY_BITS = 0x7f800000;

/** Whether it is not a number. */
export function isNaN(x: Tensor): Tensor {
  const bits = magnitudeBits(x);
  return new Tensor(map("lt", [like(bits, INFINITY_BITS), bits]));
}

/** Whether it is infinite. */
export function isInf(x: Tensor): Tensor {
  const bits = magnitudeBits(x);
  return new Tensor(map("eq", [bits, like(bits, INFINITY_BITS)]));
}

/** Whether it is neither infinite nor NaN. */
export function isFinite(x: Tensor): Tensor {
  const bits = magnitudeBits(x);
  return new Tensor(map("lt", [bits, like(bits, INFINITY_BITS)]));
}

/**
 * `condition ? a : b`, all three broadcast. The side not chosen gets no
 * gradient, also where it is not finite.
 *
 * @param condition Numbers count as true where they are not 0.
 */
export function where(condition: Operand, a: Operand, b: Operand): Tensor {
  const [chosen] = nodesOf("where", [condition]) as [Node];
  const sides = meet("where", nodesOf("where", [a, b]));
  const [test, first, second] = broadcastThree(cast(chosen, "bool"), sides);
  return new Tensor(map("where", [test, first, second]));
}

function broadcastThree(
  test: Node,
  [a, b]: readonly Node[],
): [Node, Node, Node] {
  const shape = broadcastShapes("where", test.shape, a!.shape);
  return [broadcast(test, shape), broadcast(a!, shape), broadcast(b!, shape)];
}
