/**
 * From a program to WebAssembly.
 *
 * @module
 */

import {
  type Callable,
  type FunctionBuilder,
  type Label as WasmLabel,
  type Local,
  ModuleBuilder,
  type WasmType,
} from "../wasm/assembler.ts";
import { MAX_PAGES } from "../wasm/generate.ts";
import { Checked } from "./checked.ts";
import { emitBranch, emitValue } from "./emit_expression.ts";
import { emitGuard } from "./emit_guard.ts";
import { emitStore, isKnownInRange } from "./emit_memory.ts";
import {
  emitDraw,
  loadState,
  type RandomState,
  saveState,
} from "./emit_random.ts";
import { Imports } from "./emit_helpers.ts";
import { guardOf } from "./guards.ts";
import type {
  ArrayVariable,
  Expression,
  FunctionIr,
  Label,
  Loop,
  Place,
  ProgramIr,
  RandomVariable,
  Statement,
  Variable,
} from "./ir.ts";
import {
  countAccesses,
  hasLoop,
  type Representation,
  representationOf,
} from "./representation.ts";
import { countReads, storedValue } from "./stored.ts";
import { assignedIn, storesIn, walkExpression } from "./walk.ts";
import type { BooleanValue } from "./values.ts";

/** An array inside a function. */
export interface ArrayLocals {
  readonly base: Local;
  readonly length: Local;
}

/** What emitting one function keeps track of. */
export interface FunctionEmitter {
  readonly f: FunctionBuilder;
  readonly module: ModuleEmitter;
  readonly checked: Checked;
  /** Indices that are in range here, since a loop around has a guard. */
  readonly guarded: Set<Expression>;
  variable(variable: Variable): Local;
  array(array: ArrayVariable): ArrayLocals;
  /** Pops a condition; if it is true, what `fail` writes is done, and the end. */
  failIf(fail: () => void): void;
}

/** A module's binary form, and what its failures mean. */
export interface Emitted {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What a failure of each number was about. */
  readonly sites: readonly Site[];
}

/** A place where an index can be out of range. */
export interface Site {
  readonly place: Place;
  readonly array: string;
}

const TYPES: Readonly<Record<Representation, WasmType>> = {
  bool: "i32",
  i32: "i32",
  u32: "i32",
  f32: "f32",
  f64: "f64",
};

/** The machine type of a representation. */
export function wasmType(representation: Representation): WasmType {
  return TYPES[representation];
}

/** Types of a function's parameters, as they are passed. */
export function parameterTypes({ params }: FunctionIr): WasmType[] {
  return params.flatMap((param): WasmType[] =>
    param.kind === "array"
      ? ["i32", "i32"]
      : param.kind === "random"
      ? ["i32"]
      : [wasmType(representationOf(param.value!))]
  );
}

/** The result's type, or none. */
export function resultTypes({ result }: FunctionIr): WasmType[] {
  return result ? [wasmType(representationOf(result))] : [];
}

/** What all functions of a module share. */
export class ModuleEmitter {
  readonly builder: ModuleBuilder;
  readonly imports: Imports;
  readonly sites: Site[] = [];
  readonly #functions = new Map<FunctionIr, Callable>();

  constructor(builder: ModuleBuilder, imports: Imports) {
    this.builder = builder;
    this.imports = imports;
  }

  /** Number of a new place of failure. */
  site(place: Place, array: string): number {
    return this.sites.push({ place, array }) - 1;
  }

  callable(f: FunctionIr): Callable {
    return this.#functions.get(f)!;
  }

  /** Adds all functions; calls may go either way. */
  functions(list: readonly FunctionIr[], first: number): void {
    list.forEach((f, at) => this.#functions.set(f, { index: first + at }));
    for (const f of list) {
      const params = parameterTypes(f);
      const warm = hasLoop(f);
      if (warm) params.push("i32");
      const own = this.builder.function(
        f === list[0] ? "call" : undefined,
        params,
        resultTypes(f),
        (builder) => emitFunction(this, f, builder, warm),
      );
      if (own.index !== this.callable(f).index) {
        throw new Error("emit: functions are not where they were said to be");
      }
    }
  }
}

/** Makes a module of a program; `more` may add functions to it. */
export function emitWasm(
  program: ProgramIr,
  shared: boolean,
  more?: (module: ModuleEmitter, main: FunctionIr) => void,
): Emitted {
  const builder = new ModuleBuilder();
  builder.importMemory({ shared, initial: 1, maximum: MAX_PAGES });
  const imports = new Imports(builder, program);
  const module = new ModuleEmitter(builder, imports);
  // What is never called has no types.
  const reached = program.functions.filter(({ params }) =>
    params.every((param) => param.kind !== "variable" || param.value)
  );
  module.functions(reached, imports.count);
  more?.(module, program.functions[0]!);
  return { bytes: builder.finish(), sites: module.sites };
}

/** One function. */
function emitFunction(
  module: ModuleEmitter,
  ir: FunctionIr,
  f: FunctionBuilder,
  warm: boolean,
): void {
  const variables = new Map<Variable, Local>();
  const arrays = new Map<ArrayVariable, ArrayLocals>();
  const randoms = new Map<RandomVariable, RandomState>();
  const labels = new Map<Label, WasmLabel>();
  let at = 0;
  for (const param of ir.params) {
    const local = f.params[at++]!;
    if (param.kind === "array") {
      arrays.set(param, { base: local, length: f.params[at++]! });
    } else if (param.kind === "random") {
      const words = [0, 1, 2, 3].map(() => f.local("i64"));
      randoms.set(param, { address: local, words });
    } else if (
      wasmType(representationOf(param.value!)) === local.type
    ) variables.set(param, local);
  }
  const checked = new Checked();
  const own: FunctionEmitter = {
    f,
    module,
    checked,
    guarded: new Set(),
    variable: (variable) => {
      let local = variables.get(variable);
      if (!local) {
        local = f.local(wasmType(representationOf(variable.value!)));
        variables.set(variable, local);
      }
      return local;
    },
    array: (array) => arrays.get(array)!,
    failIf: (fail) => {
      const landing = landings[landed++];
      if (!landing) {
        f.if(() => {
          save();
          fail();
          f.op("unreachable");
        });
        return;
      }
      landing.fail = fail;
      f.brIf(landing.label);
    },
  };
  const landings: Landing[] = [];
  let landed = 0;
  const save = () => randoms.forEach((state) => saveState(f, state));
  const load = () => randoms.forEach((state) => loadState(f, state));
  const reads = countReads(ir);
  const list = (statements: readonly Statement[]): boolean =>
    statements.every((s, at) => {
      if (!s.reached) return false;
      if (storedValue(s, statements[at + 1], reads)) return true;
      const value = storedValue(statements[at - 1], s, reads);
      return statement(value && s.op === "store" ? { ...s, to: value } : s);
    });

  /** Whether what is emitted runs only where a guard does not hold. */
  let isRare = false;

  /** A loop: once without the checks that a guard makes needless, once with. */
  const versions = (s: Loop): void => {
    const guard = isRare
      ? undefined
      : guardOf(s, (array, index) => isKnownInRange(own, array, index));
    if (!guard) return whole(s);
    const indices = [...guard.indices];
    f.block((end) => {
      f.block((rare) => {
        emitGuard(own, guard, rare);
        checked.inside(() => {
          for (const index of indices) own.guarded.add(index);
          whole(s);
          for (const index of indices) own.guarded.delete(index);
        });
        f.br(end);
      });
      isRare = true;
      checked.inside(() => whole(s));
      isRare = false;
    });
  };

  const whole = (s: Loop): void => {
    f.block((end) => {
      labels.set(s.label, end);
      assignedIn(s).forEach((variable) => checked.assign(variable));
      if (storesIn([s])) checked.store();
      f.loop((again) => checked.inside(() => loop(s, end, again)));
    });
  };

  /** Notices what is out of range in a test whose outcome is known. */
  const emitChecks = (test: Expression): void => {
    let loads = false;
    walkExpression(test, (x) => loads ||= x.op === "load");
    if (!loads) return;
    emitValue(own, test, "bool");
    f.op("drop");
  };

  /** The inside of a loop. */
  const loop = (s: Loop, end: WasmLabel, again: WasmLabel): void => {
    if (!list(s.head)) return;
    if (s.test) {
      const { canBeTrue, canBeFalse } = s.test.value as BooleanValue;
      if (!canBeTrue || !canBeFalse) emitChecks(s.test);
      if (!canBeTrue) {
        f.br(end);
        return;
      }
      if (canBeFalse) emitBranch(own, s.test, end, false);
    }
    f.block((next) => {
      labels.set(s.next, next);
      checked.inside(() => list(s.body));
    });
    if (list(s.update)) f.br(again);
  };

  /** Emits a statement; whether anything behind it is reached. */
  const statement = (s: Statement): boolean => {
    switch (s.op) {
      case "set": {
        if (!s.to) return true;
        const local = own.variable(s.variable);
        emitValue(own, s.to, representationOf(s.variable.value!));
        f.set(local);
        checked.assign(s.variable);
        return true;
      }
      case "store":
        emitStore(own, s.array, s.index, s.to, s.place);
        return true;
      case "if": {
        const { canBeTrue, canBeFalse } = s.test.value as BooleanValue;
        if (!canBeTrue || !canBeFalse) emitChecks(s.test);
        if (!canBeTrue) return list(s.otherwise);
        if (!canBeFalse) return list(s.then);
        let [behindThen, behindOther] = [true, true];
        f.block((end) => {
          f.block((other) => {
            checked.inside(() => {
              emitBranch(own, s.test, other, false);
              behindThen = list(s.then);
            });
            if (behindThen && s.otherwise.length > 0) f.br(end);
          });
          checked.inside(() => behindOther = list(s.otherwise));
        });
        return behindThen || behindOther;
      }
      case "block":
        f.block((label) => {
          labels.set(s.label, label);
          checked.inside(() => list(s.body));
        });
        return true;
      case "exit":
        f.br(labels.get(s.label)!);
        return false;
      case "return":
        if (s.to) emitValue(own, s.to, representationOf(ir.result!));
        save();
        f.op("return");
        return false;
      case "loop":
        versions(s);
        return true;
      case "call": {
        const passed = s.args.map((arg, i) => ({
          arg,
          param: s.target.params[i]!,
        }));
        save();
        for (const { arg, param } of passed) {
          if (!("kind" in arg)) {
            const value = (param as Variable).value!;
            emitValue(own, arg, representationOf(value));
          } else if (arg.kind === "array") {
            const { base, length } = own.array(arg);
            f.get(base).get(length);
          } else f.get(randoms.get(arg)!.address);
        }
        if (hasLoop(s.target)) f.i32(0);
        f.call(module.callable(s.target));
        checked.store();
        load();
        if (!s.target.result) {
          if (!s.result) return true;
          f.op("unreachable"); // it never returns
          return false;
        }
        if (s.result) {
          // Exactly the type that the function returns.
          f.set(own.variable(s.result));
          checked.assign(s.result);
        } else f.op("drop");
        return true;
      }
      case "draw":
        emitDraw(f, randoms.get(s.random)!);
        f.set(own.variable(s.result));
        checked.assign(s.result);
        return true;
      default:
        return s satisfies never;
    }
  };
  /** The body, in as many blocks as there are places to land. */
  const body = (left: number): void => {
    if (left === 0) {
      if (list(ir.body)) save();
      f.op(ir.result ? "unreachable" : "return");
      return;
    }
    const landing: Landing = { label: undefined!, fail: undefined };
    landings.push(landing);
    f.block((label) => {
      landing.label = label;
      body(left - 1);
    });
    if (landing.fail) {
      save(); // generators stay where they were drawn up to
      landing.fail();
    }
    f.op("unreachable");
  };
  if (warm) {
    emitWarm(f, () => {
      if (!ir.result) return;
      const type = wasmType(representationOf(ir.result));
      if (type === "i32") f.i32(0);
      else if (type === "f32") f.f32(0);
      else f.f64(0);
    });
  }
  load();
  body(Math.min(countAccesses(ir), MOST_LANDINGS));
}

/**
 * Where a failed check goes: behind the body. A call in the middle of it would
 * make an engine keep variables in memory around it.
 */
interface Landing {
  label: WasmLabel;
  fail: (() => void) | undefined;
}

const MOST_LANDINGS = 200;

/**
 * An engine optimizes a function after some calls of it, never amid a loop. So
 * the last parameter, if it is not 0, has the function do so many rounds of a
 * loop that a good compiler removes: when it becomes fast, the function is
 * optimized, and has not run yet.
 */
function emitWarm(f: FunctionBuilder, result: () => void): void {
  const rounds = f.params.at(-1)!;
  const root = f.local("f64");
  f.get(rounds).if(() => {
    f.loop((again) => {
      f.get(root).op("f64.sqrt").op("f64.sqrt").op("f64.sqrt").set(root);
      f.get(rounds).i32(1).op("i32.sub").tee(rounds).brIf(again);
    });
    result();
    f.op("return");
  });
}
