/**
 * Guards of loops, as instructions.
 *
 * @module
 */

import type { Label } from "../wasm/assembler.ts";
import type { Bound, BoundTerm } from "./bound.ts";
import type { Variable } from "./ir.ts";
import { representationOf } from "./representation.ts";
import { emitChoice } from "./emit_expression.ts";
import type { FunctionEmitter } from "./emit_wasm.ts";
import type { Guard } from "./guards.ts";

/** Jumps unless all conditions hold. */
export function emitGuard(
  e: FunctionEmitter,
  { conditions }: Guard,
  otherwise: Label,
): void {
  for (const { bound, below } of conditions) {
    emitBound(e, bound);
    if (below) {
      e.f.get(e.array(below).length).op("i64.extend_i32_u").op("i64.ge_s");
    } else e.f.i64(0n).op("i64.lt_s");
    e.f.brIf(otherwise);
  }
}

/** Pushes a bound as an i64. */
function emitBound(e: FunctionEmitter, { term, plus }: Bound): void {
  if (term) emitTerm(e, term);
  if (!term || plus !== 0) e.f.i64(BigInt(plus));
  if (term && plus !== 0) e.f.op("i64.add");
}

function emitTerm(e: FunctionEmitter, term: BoundTerm): void {
  const { f } = e;
  switch (term.op) {
    case "get":
      emitVariable(e, term.variable);
      return;
    case "length":
      f.get(e.array(term.array).length).op("i64.extend_i32_u");
      return;
    case "add":
    case "sub":
    case "mul":
      for (const arg of term.args) emitBound(e, arg);
      f.op(`i64.${term.op}`);
      return;
    case "min":
    case "max": {
      const order = term.op === "min" ? "i64.lt_s" : "i64.gt_s";
      const pushes = term.args.map((arg) => () => emitBound(e, arg));
      emitChoice(f, "i64", order, pushes);
      return;
    }
    case "quotient":
      emitBound(e, term.of);
      f.op("f64.convert_i64_s").f64(term.divisor).op("f64.div");
      f.op("f64.floor").op("i64.trunc_sat_f64_s");
      return;
    default:
      return term satisfies never;
  }
}

function emitVariable(
  { f, variable: localOf }: FunctionEmitter,
  variable: Variable,
): void {
  const held = representationOf(variable.value!);
  f.get(localOf(variable));
  if (held === "f32") f.op("f64.promote_f32");
  f.op(
    held === "u32"
      ? "i64.extend_i32_u"
      : held === "i32"
      ? "i64.extend_i32_s"
      : "i64.trunc_sat_f64_s",
  );
}
