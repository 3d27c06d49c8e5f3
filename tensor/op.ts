/**
 * Names of the operations that graphs and kernels share.
 *
 * @module
 */

/** Operations of one operand. `not` is logical on bool, bitwise on integers. */
export type UnaryOp =
  | "neg"
  | "abs"
  | "exp"
  | "log"
  | "sqrt"
  | "sin"
  | "cos"
  | "floor"
  | "ceil"
  | "round"
  | "trunc"
  | "not";

/**
 * Operations of two operands of one type. `div` is for floats; `idiv` and `rem`
 * truncate towards zero and give 0 for a zero divisor; `and`, `or`, `xor` are
 * logical on bool and bitwise on integers; a shift takes its distance mod 32
 * and `shr` keeps the sign of an int32. `min` and `max` give NaN if one is.
 */
export type BinaryOp =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "idiv"
  | "rem"
  | "min"
  | "max"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr";

/** Comparisons of two operands of one type; the result is bool. */
export type CompareOp = "lt" | "le" | "eq" | "ne";

/** How a reduction combines: float and integer for all, bool for max and min. */
export type Reducer = "sum" | "prod" | "max" | "min";
