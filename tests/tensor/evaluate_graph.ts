/**
 * Computes a graph node by node, each as the plain loop that defines it: the
 * oracle of everything between an operation and its kernels. It shares no code
 * with views, fusion or lowering.
 *
 * @module
 */

import { hostValues } from "../../tensor/device/runtime.ts";
import { decode, type DType, encode, toDType } from "../../tensor/dtype.ts";
import { type Node, topological } from "../../tensor/graph/node.ts";
import { threefry } from "../../tensor/threefry.ts";
import { nodeOf } from "../../tensor/tensor.ts";
import type { Tensor } from "@heddle/tensor";
import { indices, Values } from "../values.ts";

/** The values of tensors that read nothing but what the host holds. */
export function evaluate(tensors: readonly Tensor[]): Values[] {
  return evaluateNodes(tensors.map(nodeOf));
}

/** The same for nodes. */
export function evaluateNodes(roots: readonly Node[]): Values[] {
  const known = new Map<Node, Values>();
  for (const node of topological(roots)) {
    known.set(node, valueOf(node, (input) => known.get(input)!));
  }
  return roots.map((root) => known.get(root)!);
}

function wrap(value: number, dtype: DType): number {
  if (dtype === "float32") return Math.fround(value);
  if (dtype === "bool") return Number(value !== 0);
  return dtype === "int32" ? value | 0 : value >>> 0;
}

function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) {
    return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  }
  return a - b;
}

const FLOAT: Record<string, (a: number, b: number) => number> = {
  neg: (a) => -a,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  sin: Math.sin,
  cos: Math.cos,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  trunc: Math.trunc,
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  rem: (a, b) => a % b,
  min: Math.min,
  max: Math.max,
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
};

const INTEGER: Record<string, (a: number, b: number) => number> = {
  ...FLOAT,
  mul: Math.imul,
  idiv: (a, b) => b === 0 ? 0 : Math.trunc(a / b),
  rem: (a, b) => b === 0 ? 0 : a % b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  not: (a) => ~a,
};

function mapped(node: Node, op: string, args: number[]): number {
  const [a = 0, b = 0, c = 0, d = 0] = args;
  const from = node.inputs[0]!.dtype;
  switch (op) {
    case "where":
      return a !== 0 ? b : c;
    case "cast":
      if (from === "uint32" && node.dtype === "int32") return a | 0;
      if (from === "int32" && node.dtype === "uint32") return a >>> 0;
      return toDType(a, node.dtype);
    case "bitcast":
      return decode(encode(a, from), node.dtype);
    case "threefry0":
      return threefry(a, b, c, d)[0];
    case "threefry1":
      return threefry(a, b, c, d)[1];
    case "shr":
      return from === "int32" ? a >> b : a >>> b;
    case "not":
      if (from === "bool") return Number(a === 0);
  }
  const f = (from === "float32" ? FLOAT : INTEGER)[op];
  if (f === undefined) throw new Error(`evaluate: no ${op} for ${from}`);
  return wrap(f(a, b), node.dtype);
}

function valueOf(node: Node, known: (input: Node) => Values): Values {
  const { op, shape, dtype } = node;
  const [first, second, third] = node.inputs.map(known) as [
    Values,
    Values,
    Values,
  ];
  switch (op.kind) {
    case "source":
      return sourceValues(node);
    case "const":
      return new Values([], [op.value]);
    case "iota":
      return Values.of(shape, (i) => i!);
    case "custom":
    case "fence":
      return first;
    case "map": {
      const args = node.inputs.map(known);
      return new Values(
        shape,
        first.data.map((_, at) =>
          mapped(node, op.op, args.map(({ data }) => data[at]!))
        ),
      );
    }
    case "move":
      return moved(node, first);
    case "reduce": {
      const combine: Record<string, (a: number, b: number) => number> = {
        sum: (a, b) => wrap(a + b, dtype),
        prod: (a, b) =>
          dtype === "float32"
            ? Math.fround(a * b)
            : wrap(Math.imul(a, b), dtype),
        max: Math.max,
        min: Math.min,
      };
      const start = { sum: 0, prod: 1, max: -Infinity, min: Infinity };
      const initial = start[op.reducer];
      return first.reduce(
        op.axes,
        true,
        (list) =>
          list.length === 0 && dtype === "bool"
            ? Number(op.reducer === "min")
            : list.reduce((a, b) => combine[op.reducer]!(a, b), initial),
      );
    }
    case "gather":
      return Values.of(shape, (...index) => {
        const at = second.at(...index);
        if (at < 0 || at >= first.shape[op.axis]!) return 0;
        index[op.axis] = at;
        return first.at(...index);
      });
    case "scan":
      return first.along(op.axis, (line) => {
        let sum = 0;
        return line.map((value) => sum = wrap(sum + value, dtype));
      });
    case "sort":
      return first.along(-1, (line) => {
        const places = line.map((_, at) => at);
        const sign = op.descending ? -1 : 1;
        places.sort((p, q) => {
          const [a, b] = [line[p]!, line[q]!];
          const order = compare(a, b);
          return Number.isNaN(a) || Number.isNaN(b) ? order : sign * order;
        });
        return op.output === "order" ? places : places.map((at) => line[at]!);
      });
    case "scatter": {
      const [outer, , inner] = third.shape as [number, number, number];
      const sums = new Values(shape, new Float64Array(outer * op.size * inner));
      for (const [o, p] of indices(first.shape) as [number, number][]) {
        const target = first.at(o, p);
        if (target < 0 || target >= op.size) continue;
        for (let i = 0; i < inner; i++) {
          const at = (o * op.size + target) * inner + i;
          const more = third.at(o, second.at(o, p), i);
          sums.data[at] = wrap(sums.data[at]! + more, dtype);
        }
      }
      return sums;
    }
    case "attention":
    case "attentionGradient":
    case "concat":
      throw new Error(`evaluateGraph: ${op.kind} has tests of its own`);
    default:
      return op satisfies never;
  }
}

function sourceValues(node: Node): Values {
  const data = hostValues(node);
  if (data === undefined) throw new Error("evaluate: a source is on a device");
  return new Values(node.shape, data);
}

function moved(node: Node, x: Values): Values {
  if (node.op.kind !== "move") throw new Error("evaluate: no movement");
  const { movement } = node.op;
  const { shape } = node;
  const inside = (index: readonly number[]) =>
    index.every((i, axis) =>
      Number.isInteger(i) && i >= 0 && i < x.shape[axis]!
    );
  const orZero = (index: readonly number[]) =>
    inside(index) ? x.at(...index) : 0;
  switch (movement.kind) {
    case "reshape":
      return x.reshape(shape);
    case "permute":
      return Values.of(shape, (...index) => {
        const from = new Array<number>(index.length);
        movement.axes.forEach((axis, to) => from[axis] = index[to]!);
        return x.at(...from);
      });
    case "expand":
      return Values.of(
        shape,
        (...index) => x.at(...index.map((i, a) => x.shape[a] === 1 ? 0 : i)),
      );
    case "slice":
      return Values.of(shape, (...index) => {
        const from = index.map((i, a) =>
          movement.starts[a]! + movement.steps[a]! * i
        );
        if (!inside(from)) throw new Error(`evaluate: slice at ${from}`);
        return x.at(...from);
      });
    case "pad":
      return Values.of(
        shape,
        (...index) =>
          orZero(
            index.map((i, a) =>
              (i - movement.low[a]!) / (movement.interior[a]! + 1)
            ),
          ),
      );
    case "windows":
      return Values.of(shape, (...index) => {
        const { axis, stride, dilation } = movement;
        const [out, k] = index.splice(axis, 2) as [number, number];
        index.splice(axis, 0, out * stride + k * dilation);
        if (!inside(index)) throw new Error(`evaluate: window at ${index}`);
        return x.at(...index);
      });
    case "unwindow":
      return Values.of(shape, (...index) => {
        const { axis, stride, dilation } = movement;
        index[axis] = (index[axis]! - index[axis + 1]! * dilation) / stride;
        return orZero(index);
      });
    default:
      return movement satisfies never;
  }
}
