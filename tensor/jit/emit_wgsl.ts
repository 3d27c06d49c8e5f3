/**
 * From a program to a WGSL shader that computes its result for each number of a
 * range. float64 becomes float32; whole numbers of 32 bits stay exact.
 *
 * @module
 */

import { wraps } from "./emit_expression.ts";
import { isInRange } from "./emit_memory.ts";
import type { Site } from "./emit_wasm.ts";
import {
  type Apply,
  type ArrayVariable,
  type Expression,
  type FunctionIr,
  isApply,
  type Label,
  type Loop,
  type Place,
  type ProgramIr,
  type Statement,
  type Variable,
} from "./ir.ts";
import { JitError } from "./jit_error.ts";
import {
  naturalOf,
  type Representation,
  representationOf,
} from "./representation.ts";
import { INT_MAX, INT_MIN, type NumberValue, within } from "./values.ts";
import type { ArgumentType } from "./signature.ts";
import { walkStatements } from "./walk.ts";

/** A shader, and what it is given. */
export interface EmittedWgsl {
  readonly code: string;
  /** How the result is held; a bool is a u32 of 0 or 1. */
  readonly result: Representation;
  readonly sites: readonly Site[];
  /** Numbers that have no literal, behind the arguments. */
  readonly specials: readonly number[];
}

/** Invocations of a workgroup: what every device has. */
export const WORKGROUP = 64;
/** Most workgroups along an axis, on every device. */
export const MOST_GROUPS = 65535;

const TYPES = {
  bool: "bool",
  i32: "i32",
  u32: "i32", // by its bits
  f32: "f32",
  f64: "f32",
} as const;

/** Functions of the host by what WGSL has. */
const HOST: Readonly<Record<string, (a: string, b: string) => string>> = {
  acos: (a) => `acos(${a})`,
  acosh: (a) => `acosh(${a})`,
  asin: (a) => `asin(${a})`,
  asinh: (a) => `asinh(${a})`,
  atan: (a) => `atan(${a})`,
  atan2: (a, b) => `atan2(${a}, ${b})`,
  atanh: (a) => `atanh(${a})`,
  cbrt: (a) => `(sign(${a}) * pow(abs(${a}), 1.0 / 3.0))`,
  cos: (a) => `cos(${a})`,
  cosh: (a) => `cosh(${a})`,
  exp: (a) => `exp(${a})`,
  expm1: (a) => `(exp(${a}) - 1.0)`,
  log: (a) => `log(${a})`,
  log10: (a) => `(log2(${a}) * 0.30102999566398120)`,
  log1p: (a) => `log(1.0 + ${a})`,
  log2: (a) => `log2(${a})`,
  pow: (a, b) => `power(${a}, ${b})`,
  sin: (a) => `sin(${a})`,
  sinh: (a) => `sinh(${a})`,
  tan: (a) => `tan(${a})`,
  tanh: (a) => `tanh(${a})`,
};

const HELPERS = `
fn to_int(x: f32) -> i32 {
  if (abs(x) < 2147483648.0) { return i32(x); }
  if (!(abs(x) < 3e38)) { return 0; }
  let whole = trunc(x);
  return bitcast<i32>(u32(whole - floor(whole / 4294967296.0) * 4294967296.0));
}
fn is_nan(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
fn power(x: f32, y: f32) -> f32 {
  if (x >= 0.0) { return pow(x, y); }
  let size = pow(-x, y);
  let half = y * 0.5;
  return select(size, -size, trunc(y) == y && trunc(half) != half);
}
fn fail(site: u32, index: i32) -> bool {
  if (atomicCompareExchangeWeak(&failure[0], 0u, site).exchanged) {
    atomicStore(&failure[1], bitcast<u32>(index));
  }
  return true;
}
`;

/**
 * Writes the shader.
 *
 * @param types Those of the arguments, the number of the range included.
 * @throws {JitError} If the program does what WGSL cannot: stores, generators,
 * functions that call themselves, elements that are no 32-bit words.
 */
export function emitWgsl(
  { functions }: ProgramIr,
  types: readonly ArgumentType[],
): EmittedWgsl {
  const main = functions[0]!;
  const refuse = (place: Place, message: string): never => {
    throw new JitError(place.source, place.offset, `on webgpu, ${message}`);
  };
  if (!main.result) refuse(main.place, "map needs a number: return one");
  for (const param of main.params) {
    if (param.kind === "random") {
      refuse(
        main.place,
        `there is no generator: compute ${param.name} from the index`,
      );
    }
    if (param.kind === "array" && !/32/.test(param.element)) {
      refuse(
        main.place,
        `${param.name} has elements of type ${param.element}: pass a ` +
          "Float32Array, an Int32Array or a Uint32Array",
      );
    }
  }
  walkStatements(main.body, (s) => {
    if (s.op === "store") {
      refuse(s.place, "arrays are not written: return the value");
    }
    if (s.op === "call") {
      refuse(s.place, "functions cannot call themselves: write a loop");
    }
  });
  return new Writer(main, types).write();
}

class Writer {
  readonly #main: FunctionIr;
  readonly #types: readonly ArgumentType[];
  readonly #lines: string[] = [];
  readonly #arrays: ArrayVariable[];
  readonly #sites: Site[] = [];
  readonly #specials: number[] = [];
  readonly #variables = new Map<Variable, string>();
  /** The loops of WGSL around, by the label that a `break` of each leaves. */
  readonly #loops: { readonly label: Label; deep: boolean }[] = [];
  /** What must hold for an element to be wanted. */
  readonly #guards: string[] = [];

  constructor(main: FunctionIr, types: readonly ArgumentType[]) {
    this.#main = main;
    this.#types = types;
    this.#arrays = main.params.filter(({ kind }) =>
      kind === "array"
    ) as ArrayVariable[];
  }

  write(): EmittedWgsl {
    const { params, body } = this.#main;
    const held = representationOf(this.#main.result!);
    const type = TYPES[held];
    const scalars = params.filter(({ kind }) =>
      kind === "variable"
    ) as Variable[];
    const passed = scalars.map((variable) => this.#typeOf(variable));
    scalars.forEach((variable, at) =>
      this.#lines.push(`${this.#name(variable)} = p${at};`)
    );
    this.#list(body);
    const last = body.findLast(({ reached }) => reached);
    if (last?.op !== "return") this.#lines.push(`return ${type}();`);
    const declared = [...this.#variables].map(([variable, name]) =>
      `var ${name}: ${this.#typeOf(variable)};`
    );
    // Word 0 is the count; lengths follow, then scalars behind the first one.
    const first = 1 + this.#arrays.length;
    const given = scalars.map((variable, at) => {
      const word = at === 0 ? "i" : `args[${first + at - 1}]`;
      const type = this.#types[params.indexOf(variable)]!;
      // As it is passed, then as it is held: what is assigned may need more.
      switch (passed[at]) {
        case "bool":
          return `${word} != 0u`;
        case "i32":
          return `i32(${word})`;
        default:
          return type === "f64" || type === "f32"
            ? `bitcast<f32>(${word})`
            : type === "i32"
            ? `f32(i32(${word}))`
            : `f32(${word})`;
      }
    });
    const stored = held === "bool" ? "u32" : type;
    const value = `compute(${given.join(", ")})`;
    const code = `
@group(0) @binding(0) var<storage, read_write> result: array<${stored}>;
@group(0) @binding(1) var<storage, read_write> failure: array<atomic<u32>, 2>;
@group(0) @binding(2) var<storage, read> args: array<u32>;
${
      this.#arrays.map(({ element }, at) =>
        `@group(0) @binding(${3 + at}) var<storage, read> array${at}: ` +
        `array<${element === "f32" ? "f32" : "i32"}>;`
      ).join("\n")
    }
${HELPERS}
fn compute(${
      passed.map((kind, at) => `p${at}: ${kind}`).join(", ")
    }) -> ${type} {
var leave = -1;
${declared.join("\n")}
${this.#lines.join("\n")}
}
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x + id.y * ${WORKGROUP * MOST_GROUPS}u;
  if (i >= args[0]) { return; }
  result[i] = ${held === "bool" ? `select(0u, 1u, ${value})` : value};
}
`;
    return {
      code,
      result: held,
      sites: this.#sites,
      specials: this.#specials,
    };
  }

  #typeOf(variable: Variable): string {
    return TYPES[representationOf(variable.value!)];
  }

  #name(variable: Variable): string {
    let name = this.#variables.get(variable);
    if (!name) this.#variables.set(variable, name = `v${variable.id}`);
    return name;
  }

  #value(x: Expression, held: Representation): string {
    if (held === "bool") return this.#bool(x);
    return TYPES[held] === "i32" ? this.#int(x) : this.#float(x);
  }

  /** Whether anything behind the statements is reached. */
  #list(list: readonly Statement[]): boolean {
    return list.every((s) => s.reached === true && this.#statement(s));
  }

  #statement(s: Statement): boolean {
    const lines = this.#lines;
    switch (s.op) {
      case "set":
        if (s.to) {
          const value = this.#value(s.to, representationOf(s.variable.value!));
          lines.push(`${this.#name(s.variable)} = ${value};`);
        }
        return true;
      case "if": {
        lines.push(`if (${this.#bool(s.test)}) {`);
        const then = this.#list(s.then);
        lines.push("} else {");
        const other = this.#list(s.otherwise);
        lines.push("}");
        return then || other;
      }
      case "block":
        this.#loop(s.label, () => {
          if (this.#list(s.body)) lines.push("break;");
        });
        return true;
      case "loop":
        this.#loop(s.label, () => this.#inside(s));
        return true;
      case "exit": {
        const at = this.#loops.findLastIndex(({ label }) => label === s.label);
        const top = this.#loops.length - 1;
        if (at < top) {
          for (const around of this.#loops.slice(at + 1)) around.deep = true;
          lines.push(`leave = ${at};`);
        }
        lines.push("break;");
        return false;
      }
      case "return": {
        const held = representationOf(this.#main.result!);
        lines.push(`return ${this.#value(s.to!, held)};`);
        return false;
      }
      default:
        throw new Error(`emit: no ${s.op} in WGSL`);
    }
  }

  #inside(s: Loop): void {
    const lines = this.#lines;
    if (!this.#list(s.head)) return;
    if (s.test) lines.push(`if (!${this.#bool(s.test)}) { break; }`);
    this.#loop(s.next, () => {
      if (this.#list(s.body)) lines.push("break;");
    });
    if (!this.#list(s.update)) lines.push("break;");
  }

  /** A loop of WGSL; `break` goes one loop at a time, `leave` says how far. */
  #loop(label: Label, body: () => void): void {
    const loop = { label, deep: false };
    this.#loops.push(loop);
    this.#lines.push("loop {");
    body();
    this.#lines.push("}");
    this.#loops.pop();
    if (!loop.deep) return;
    this.#lines.push(
      `if (leave >= 0) { if (leave == ${
        this.#loops.length - 1
      }) { leave = -1; } break; }`,
    );
  }

  #bool(x: Expression): string {
    if (x.op === "constant") return `${x.constant}`;
    if (x.op === "get") return this.#name(x.variable);
    const { op, args } = x as Apply;
    const [a, b] = args as [Expression, Expression];
    switch (op) {
      case "not":
        return `(!${this.#bool(a)})`;
      case "and":
      case "or": {
        const left = this.#bool(a);
        const guard = op === "and" ? left : `(!${left})`;
        const right = this.#guarded(guard, () => this.#bool(b));
        return `(${left} ${op === "and" ? "&&" : "||"} ${right})`;
      }
      case "truthy":
        if (a.value!.kind === "boolean") return this.#bool(a);
        return naturalOf(a) === "int"
          ? `(${this.#int(a)} != 0)`
          : `(abs(${this.#float(a)}) > 0.0)`;
      case "isFinite":
        return `(abs(${this.#float(a)}) < ${this.#special(Infinity)})`;
      case "isInteger":
        return naturalOf(a) === "int"
          ? "true"
          : `(trunc(${this.#float(a)}) == ${this.#float(a)})`;
      case "select":
        return this.#select(x as Apply, (arm) => this.#bool(arm));
      default:
        return this.#compare(op, a, b);
    }
  }

  #compare(op: string, a: Expression, b: Expression): string {
    const sign = { lt: "<", le: "<=", eq: "==", ne: "!=" }[op]!;
    if (a.value!.kind === "boolean") {
      return `(${this.#bool(a)} ${sign} ${this.#bool(b)})`;
    }
    if (naturalOf(a) === "int" && naturalOf(b) === "int") {
      if (isSigned(a) && isSigned(b)) {
        return `(${this.#int(a)} ${sign} ${this.#int(b)})`;
      }
      if (numberOf(a).lo >= 0 && numberOf(b).lo >= 0) {
        return `(u32(${this.#int(a)}) ${sign} u32(${this.#int(b)}))`;
      }
    }
    const [p, q] = [this.#float(a), this.#float(b)];
    // A compiler may take a number to equal itself.
    if (p === q && op === "ne") return `is_nan(${p})`;
    if (p === q && op === "eq") return `(!is_nan(${p}))`;
    return `(${p} ${sign} ${q})`;
  }

  #guarded<T>(guard: string, body: () => T): T {
    this.#guards.push(guard);
    const result = body();
    this.#guards.pop();
    return result;
  }

  /** WGSL computes both arms: only the one that is taken may fail. */
  #select(x: Apply, arm: (x: Expression) => string): string {
    const [test, yes, no] = x.args as [Expression, Expression, Expression];
    const condition = this.#bool(test);
    const a = this.#guarded(condition, () => arm(yes));
    const b = this.#guarded(`(!${condition})`, () => arm(no));
    return `select(${b}, ${a}, ${condition})`;
  }

  #load({ array, index, place }: Extract<Expression, { op: "load" }>): string {
    const at = this.#arrays.indexOf(array);
    const value = numberOf(index);
    const whole = naturalOf(index) === "int" || wraps(index)
      ? this.#int(index)
      : `select(-1, i32(${this.#float(index)}), ` +
        `trunc(${this.#float(index)}) == ${this.#float(index)})`;
    if (isInRange(value, array)) return `array${at}[${whole}]`;
    const site = this.#sites.push({ place, array: array.name });
    const out = `u32(${whole}) >= args[${1 + at}]`;
    const checks = [...this.#guards, out, `fail(${site}u, ${whole})`];
    // What fails reads the first element, whatever that is.
    return `array${at}[select(${whole}, 0, ${checks.join(" && ")})]`;
  }

  /** The low 32 bits, as an i32. */
  #int(x: Expression): string {
    if (x.op === "constant") return intLiteral(Number(x.constant) | 0);
    if (x.op === "length") {
      return `i32(args[${1 + this.#arrays.indexOf(x.array)}])`;
    }
    if (naturalOf(x) === "int") {
      if (x.op === "get") return this.#name(x.variable);
      if (x.op === "load") return this.#load(x);
    }
    const whole = isApply(x) ? this.#intOperation(x) : undefined;
    return whole ?? `to_int(${this.#float(x)})`;
  }

  #intOperation(x: Apply): string | undefined {
    const { op, args } = x;
    const [a, b] = args as [Expression, Expression];
    const both = (sign: string) => `(${this.#int(a)} ${sign} ${this.#int(b)})`;
    const shift = (sign: string, left: string) =>
      `(${left} ${sign} (u32(${this.#int(b)}) & 31u))`;
    switch (op) {
      case "bitor":
        return b.op === "constant" && b.constant === 0
          ? this.#int(a)
          : both("|");
      case "bitand":
        return both("&");
      case "bitxor":
        return both("^");
      case "imul":
        return both("*");
      case "bitnot":
        return `(~${this.#int(a)})`;
      case "shl":
        return shift("<<", this.#int(a));
      case "shr":
        return shift(">>", this.#int(a));
      case "ushr":
        return `i32${shift(">>", `u32(${this.#int(a)})`)}`;
      case "clz32":
        return `i32(countLeadingZeros(u32(${this.#int(a)})))`;
      case "number":
        return a.value!.kind === "boolean"
          ? `select(0, 1, ${this.#bool(a)})`
          : this.#int(a);
      case "add":
        return wraps(x) ? both("+") : undefined;
      case "sub":
        return wraps(x) ? both("-") : undefined;
      case "mul":
        return wraps(x) ? both("*") : undefined;
      case "neg":
        return wraps(a) ? `(-${this.#int(a)})` : undefined;
      case "select":
        return naturalOf(x) === "int"
          ? this.#select(x, (arm) => this.#int(arm))
          : undefined;
    }
    if (naturalOf(x) !== "int") return undefined;
    const signed = args.every(isSigned);
    const unsigned = args.every((arg) => numberOf(arg).lo >= 0);
    const name = (arg: Expression) =>
      unsigned && !signed ? `u32(${this.#int(arg)})` : this.#int(arg);
    if (!signed && !unsigned) return undefined;
    switch (op) {
      case "floor":
      case "ceil":
      case "trunc":
      case "round":
        return this.#int(a);
      case "rem":
        return `i32(${name(a)} % ${name(b)})`;
      case "min":
      case "max":
        return `i32(${op}(${name(a)}, ${name(b)}))`;
      case "abs":
        return `abs(${this.#int(a)})`;
      case "sign":
        return `sign(${this.#int(a)})`;
      default:
        return undefined;
    }
  }

  #special(value: number): string {
    let at = this.#specials.findIndex((known) => Object.is(known, value));
    if (at < 0) at = this.#specials.push(value) - 1;
    const scalars =
      this.#main.params.filter(({ kind }) => kind === "variable").length - 1;
    const word = 1 + this.#arrays.length + scalars + at;
    return `bitcast<f32>(args[${word}])`;
  }

  #float(x: Expression): string {
    if (x.op === "constant") {
      const value = Math.fround(Number(x.constant));
      const isPlain = Number.isFinite(value) && !Object.is(value, -0) &&
        (value === 0 || Math.abs(value) >= 2 ** -126);
      return isPlain ? `f32(${value}f)` : this.#special(value);
    }
    const natural = naturalOf(x);
    if (natural === "bool") return `select(0.0, 1.0, ${this.#bool(x)})`;
    if (natural === "int") {
      return isSigned(x) ? `f32(${this.#int(x)})` : `f32(u32(${this.#int(x)}))`;
    }
    if (x.op === "get") return this.#name(x.variable);
    if (x.op === "load") return this.#load(x);
    const { op, args } = x as Apply;
    if (op === "select") {
      return this.#select(x as Apply, (arm) => this.#float(arm));
    }
    const texts = args.map((arg) => this.#float(arg));
    const [a, b] = texts as [string, string];
    switch (op) {
      case "add":
        return `(${a} + ${b})`;
      case "sub":
        return `(${a} - ${b})`;
      case "mul":
        return `(${a} * ${b})`;
      case "div":
        return `(${a} / ${b})`;
      case "rem":
        return `(${a} % ${b})`;
      case "neg":
        return `(-${a})`;
      case "fround":
      case "number":
        return a;
      case "round":
        return `floor(${a} + 0.5)`;
      case "abs":
      case "sqrt":
      case "floor":
      case "ceil":
      case "trunc":
      case "sign":
        return `${op}(${a})`;
      case "min":
        return `select(${b}, ${a}, ${a} < ${b} || is_nan(${a}))`;
      case "max":
        return `select(${b}, ${a}, ${a} > ${b} || is_nan(${a}))`;
      case "hypot":
        return `sqrt(${texts.map((part) => `${part} * ${part}`).join(" + ")})`;
    }
    const host = HOST[op];
    if (!host) throw new Error(`emit: no ${op} in WGSL`);
    return host(a, b);
  }
}

function numberOf(x: Expression): NumberValue {
  return x.value as NumberValue;
}

function isSigned(x: Expression): boolean {
  return within(x.value!, INT_MIN, INT_MAX);
}

function intLiteral(value: number): string {
  return value < 0 ? `i32(${value})` : `${value}i`;
}
