/**
 * Operations as text: parts of keys and of messages.
 *
 * @module
 */

import type { NodeOp } from "../graph/node.ts";

/** A text that is equal for equal operations. */
export function opText(op: NodeOp): string {
  switch (op.kind) {
    case "map":
      return op.op;
    case "const":
      return `const ${Object.is(op.value, -0) ? "-0" : op.value}`;
    case "move": {
      const { kind, ...rest } = op.movement;
      return `${kind} ${Object.values(rest).join(";")}`;
    }
    case "reduce":
      return `${op.reducer} ${op.axes}`;
    case "gather":
    case "scan":
      return `${op.kind} ${op.axis}`;
    case "sort":
      return `sort ${op.descending} ${op.output}`;
    case "scatter":
      return `scatter ${op.size}`;
    case "attention":
    case "attentionGradient": {
      const { scale, causalOffset } = op.rule;
      return `${op.kind} ${scale} ${causalOffset} ${op.output}`;
    }
    default:
      return op.kind;
  }
}
