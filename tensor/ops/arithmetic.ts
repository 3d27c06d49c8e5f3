import { broadcast, cast, custom, map, parameter } from "../graph/build.ts";
import type { Node } from "../graph/node.ts";
import { isFloat } from "../dtype.ts";
import { type Operand, Tensor } from "../tensor.ts";
import { like, meet, nodesOf } from "./_operands.ts";

/** `a + b`, broadcast. On bool it is `or`. */
export function add(a: Operand, b: Operand): Tensor {
  const nodes = meet("add", nodesOf("add", [a, b]));
  return new Tensor(map(nodes[0]!.dtype === "bool" ? "or" : "add", nodes));
}

/** `a - b`, broadcast. */
export function sub(a: Operand, b: Operand): Tensor {
  return arithmetic("sub", a, b);
}

/** `a * b`, broadcast. On bool it is `and`. */
export function mul(a: Operand, b: Operand): Tensor {
  const nodes = meet("mul", nodesOf("mul", [a, b]));
  return new Tensor(map(nodes[0]!.dtype === "bool" ? "and" : "mul", nodes));
}

/** `a / b` as float32, broadcast; integers are cast first. */
export function div(a: Operand, b: Operand): Tensor {
  const nodes = meet("div", nodesOf("div", [a, b]));
  return new Tensor(map("div", nodes.map((node) => cast(node, "float32"))));
}

/** The greater of both, broadcast; equal operands share the gradient. */
export function maximum(a: Operand, b: Operand): Tensor {
  return arithmetic("max", a, b, "maximum");
}

/** The lesser of both, broadcast; equal operands share the gradient. */
export function minimum(a: Operand, b: Operand): Tensor {
  return arithmetic("min", a, b, "minimum");
}

function arithmetic(
  op: "sub" | "max" | "min",
  a: Operand,
  b: Operand,
  name: string = op,
): Tensor {
  const nodes = meet(name, nodesOf(name, [a, b]));
  // Numbers have no bool arithmetic: true counts as 1.
  const dtype = nodes[0]!.dtype === "bool" ? "int32" : nodes[0]!.dtype;
  return new Tensor(map(op, nodes.map((node) => cast(node, dtype))));
}

/**
 * The remainder with the sign of the divisor, as in Python: `mod(-1, 3)` is 2.
 * An integer remainder by 0 is 0.
 */
export function mod(a: Operand, b: Operand): Tensor {
  const [x, y] = meet("mod", nodesOf("mod", [a, b])) as [Node, Node];
  const rest = map("rem", [x, y]);
  const differs = signsDiffer(rest, y);
  return new Tensor(map("where", [differs, map("add", [rest, y]), rest]));
}

/** Whether the remainder is not 0 and has the other sign. */
function signsDiffer(rest: Node, divisor: Node): Node {
  const zero = like(rest, 0);
  const opposite = map("ne", [
    map("lt", [rest, zero]),
    map("lt", [divisor, zero]),
  ]);
  return map("and", [map("ne", [rest, zero]), opposite]);
}

/**
 * The quotient rounded down, in the operands' type. An integer quotient by 0
 * is 0.
 */
export function floorDivide(a: Operand, b: Operand): Tensor {
  const [x, y] = meet("floorDivide", nodesOf("floorDivide", [a, b])) as [
    Node,
    Node,
  ];
  if (isFloat(x.dtype)) {
    return new Tensor(map("floor", [map("div", [x, y])]));
  }
  const quotient = map("idiv", [x, y]);
  const lower = map("sub", [quotient, like(quotient, 1)]);
  const differs = signsDiffer(map("rem", [x, y]), y);
  return new Tensor(map("where", [differs, lower, quotient]));
}

/**
 * `a` to the power `b`, as float32 unless `b` is a whole number >= 0 and `a`
 * an integer tensor. A negative base needs a whole exponent, else it is NaN.
 *
 * Small whole exponents are products, 0.5 is `sqrt`; others are
 * `exp(b log |a|)`, which near the limits of float32 is right to about 1e-5.
 */
export function pow(a: Operand, b: Operand): Tensor {
  if (typeof b === "number" && a instanceof Tensor) {
    const [base] = nodesOf("pow", [a]) as [Node];
    const small = Number.isInteger(b) && Math.abs(b) <= 64;
    if (small && b >= 0 && base.dtype !== "bool") {
      return new Tensor(wholePower(base, b));
    }
    const x = cast(base, "float32");
    if (small) return new Tensor(map("div", [like(x, 1), wholePower(x, -b)]));
    if (b === 0.5) return new Tensor(map("sqrt", [x]));
    if (b === -0.5) {
      return new Tensor(map("div", [like(x, 1), map("sqrt", [x])]));
    }
  }
  const [x, y] = meet(
    "pow",
    nodesOf("pow", [a, b]).map((node) => cast(node, "float32")),
  ) as [Node, Node];
  return new Tensor(power(x, y));
}

/** By repeated squaring. */
function wholePower(x: Node, exponent: number): Node {
  let result: Node | undefined;
  let square = x;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) {
      result = result ? map("mul", [result, square]) : square;
    }
    if (rest > 1) square = map("mul", [square, square]);
  }
  return result ?? like(x, 1);
}

function power(x: Node, y: Node): Node {
  const zero = like(x, 0);
  const one = like(x, 1);
  const special = (value: number) =>
    broadcast(parameter(value, "float32"), x.shape);
  const isZero = map("eq", [x, zero]);
  const noPower = map("eq", [y, zero]);
  const size = map("where", [isZero, one, map("abs", [x])]);
  const magnitude = map("exp", [map("mul", [y, map("log", [size])])]);
  const whole = map("eq", [map("floor", [y]), y]);
  const half = map("mul", [y, like(y, 0.5)]);
  const odd = map("ne", [map("floor", [half]), half]);
  const signed = map("where", [odd, map("neg", [magnitude]), magnitude]);
  const negative = map("where", [whole, signed, special(NaN)]);
  const regular = map("where", [map("lt", [x, zero]), negative, magnitude]);
  const ofZero = map("where", [map("lt", [zero, y]), zero, special(Infinity)]);
  const value = map("where", [
    noPower,
    one,
    map("where", [isZero, ofZero, regular]),
  ]);
  const result: Node = custom(value, [x, y], (g) => {
    const slope = map("mul", [y, power(x, map("sub", [y, one]))]);
    const byBase = map("where", [noPower, zero, slope]);
    const logOf = map("log", [map("where", [isZero, one, x])]);
    const byExponent = map("where", [
      isZero,
      zero,
      map("mul", [result, logOf]),
    ]);
    return [map("mul", [g, byBase]), map("mul", [g, byExponent])];
  });
  return result;
}
