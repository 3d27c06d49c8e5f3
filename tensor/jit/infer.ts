/**
 * What every value of a program can be, by running it on sets of values: loops
 * until nothing new comes. No back end is known here.
 *
 * @module
 */

import {
  type Apply,
  type Call,
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
import { refine } from "./refine.ts";
import { transfer } from "./transfer.ts";
import {
  ANY_BOOLEAN,
  ANY_INT,
  ANY_SINGLE,
  ANY_UINT,
  booleans,
  type BooleanValue,
  constantValue,
  INT_MAX,
  integers,
  join,
  type NumberValue,
  plain,
  range,
  sameValue,
  type Since,
  type Value,
  widen,
  within,
} from "./values.ts";

import { assignedIn } from "./walk.ts";

/** What each variable can be at one place; `undefined` if it may have none. */
export type Environment = (Value | undefined)[];

/** After so many rounds bounds jump. */
const ROUNDS_BEFORE_WIDENING = 2;

/** Sums that stay below have room for another term. */
const HOPE = 2 ** 52;

/** An array has 2^32 bytes at most, and less than 2^31 elements. */
export const MOST_ELEMENTS = {
  f64: 2 ** 29,
  f32: 2 ** 30,
  i32: 2 ** 30,
  u32: 2 ** 30,
  i16: INT_MAX,
  u16: INT_MAX,
  i8: INT_MAX,
  u8: INT_MAX,
} as const;

const ELEMENTS = {
  f64: range(-Infinity, Infinity, { nan: true, minusZero: true }),
  f32: ANY_SINGLE,
  i32: ANY_INT,
  u32: ANY_UINT,
  i16: integers(-32768, 32767),
  u16: integers(0, 65535),
  i8: integers(-128, 127),
  u8: integers(0, 255),
} as const;

/**
 * Annotates all expressions, variables and results of a program.
 *
 * @param entry What the arguments of the first function can be, by variable.
 * @throws {JitError} If a value has no type: a variable without a value, a
 * mixture of numbers and booleans, a function that returns only sometimes.
 */
export function infer(
  program: ProgramIr,
  entry: ReadonlyMap<Variable, Value>,
): void {
  const inference = new Inference(program.variables);
  for (const [variable, value] of entry) variable.value = value;
  const [main, ...others] = program.functions;
  // Until no parameter and no result of a function grows any more.
  for (let round = 0;; round++) {
    inference.begin(round);
    inference.function(main!);
    for (const f of others) inference.function(f);
    if (!inference.grown) return;
  }
}

class Inference {
  readonly #variables: number;
  readonly #exits = new Map<Label, Environment | undefined>();
  readonly #kinds = new Map<Variable, Value["kind"]>();
  #function!: FunctionIr;
  #result: Value | undefined;
  #returnsNothing: Place | undefined;
  #round = 0;
  #isRough = false;
  grown = false;

  constructor(variables: number) {
    this.#variables = variables;
  }

  begin(round: number): void {
    this.#round = round;
    this.grown = false;
  }

  function(f: FunctionIr): void {
    const env: Environment = new Array(this.#variables).fill(undefined);
    for (const param of f.params) {
      if (param.kind !== "variable") continue;
      // Not called yet, as far as is known.
      if (param.value === undefined) return;
      env[param.id] = param.value;
    }
    this.#function = f;
    this.#result = undefined;
    this.#returnsNothing = undefined;
    const end = this.#statements(f.body, env);
    const result = this.#result as Value | undefined;
    if (result !== undefined && (end || this.#returnsNothing)) {
      this.#refuse(
        this.#returnsNothing ?? f.place,
        "the function returns a value on some paths only: " +
          "return one at its end as well",
      );
    }
    if (result === undefined) return;
    const before = f.result;
    const after = plain(before ? this.#join(before, result, f.place) : result);
    if (before && sameValue(before, after)) return;
    f.result = before && this.#round > ROUNDS_BEFORE_WIDENING
      ? widen(before, after)
      : after;
    this.grown = true;
  }

  #refuse(place: Place, message: string): never {
    throw new JitError(place.source, place.offset, message);
  }

  #join(a: Value, b: Value, place: Place): Value {
    const both = join(a, b);
    if (both) return both;
    this.#refuse(
      place,
      "a value is a number here and a boolean there: use one of them",
    );
  }

  /** What either path leaves; a variable that only one has set has no value. */
  #merge(
    a: Environment | undefined,
    b: Environment | undefined,
  ): Environment | undefined {
    if (!a || !b) return a ?? b;
    if (a === b) return a;
    const both: Environment = new Array(a.length);
    for (let i = 0; i < a.length; i++) {
      const [x, y] = [a[i], b[i]];
      both[i] = x === y
        ? x
        : x && y
        ? this.#join(x, y, this.#function.place)
        : undefined;
    }
    return both;
  }

  /**
   * What holds behind statements; undefined if nothing gets there. What holds
   * before them is overwritten.
   */
  #statements(
    list: readonly Statement[],
    env: Environment | undefined,
  ): Environment | undefined {
    for (const statement of list) {
      if (!env) return undefined;
      statement.reached = true;
      env = this.#statement(statement, env);
    }
    return env;
  }

  #statement(s: Statement, env: Environment): Environment | undefined {
    switch (s.op) {
      case "set": {
        if (!s.to) {
          env[s.variable.id] = undefined;
          return env;
        }
        const value = this.#expression(s.to, env);
        s.value = value;
        const kind = this.#kinds.get(s.variable) ?? value.kind;
        if (kind !== value.kind) {
          this.#refuse(
            s.to.place,
            `${s.variable.name} holds a ${kind} elsewhere and a ` +
              `${value.kind} here: use two variables`,
          );
        }
        this.#kinds.set(s.variable, kind);
        env[s.variable.id] = value;
        return env;
      }
      case "store":
        this.#number(s.index, env, "an index");
        this.#number(s.to, env, "an element");
        return env;
      case "if": {
        const test = this.#expression(s.test, env) as BooleanValue;
        const then = test.canBeTrue ? refine(env, s.test, true) : undefined;
        const other = test.canBeFalse ? refine(env, s.test, false) : undefined;
        return this.#merge(
          this.#statements(s.then, then === other ? then?.slice() : then),
          this.#statements(s.otherwise, other),
        );
      }
      case "block": {
        this.#exits.set(s.label, undefined);
        const end = this.#statements(s.body, env);
        return this.#merge(end, this.#exits.get(s.label));
      }
      case "exit":
        this.#exits.set(
          s.label,
          this.#merge(this.#exits.get(s.label), env),
        );
        return undefined;
      case "return": {
        if (!s.to) {
          this.#returnsNothing = s.place;
          return undefined;
        }
        const value = this.#expression(s.to, env);
        s.value = value;
        this.#result = this.#result
          ? this.#join(this.#result, value, s.place)
          : value;
        return undefined;
      }
      case "loop":
        return this.#loop(s, env);
      case "call":
        return this.#call(s, env);
      case "draw":
        s.value = range(0, 1 - 2 ** -53);
        env[s.result.id] = s.value;
        return env;
      default:
        return s satisfies never;
    }
  }

  #call(s: Call, env: Environment): Environment | undefined {
    const { target } = s;
    s.args.forEach((arg, at) => {
      if ("kind" in arg) return;
      const value = plain(this.#expression(arg, env));
      const param = target.params[at] as Variable;
      const before = param.value;
      const after = before ? this.#join(before, value, s.place) : value;
      if (before && sameValue(before, after)) return;
      param.value = before && this.#round > ROUNDS_BEFORE_WIDENING
        ? widen(before, after)
        : after;
      this.grown = true;
    });
    if (!s.result) return env;
    // Nothing gets behind a call of which no return is known yet.
    if (!target.result) return undefined;
    env[s.result.id] = target.result;
    return env;
  }

  /** One pass over a loop: what holds at the head again, and behind it. */
  #pass(s: Loop, head: Environment): {
    readonly inside: Environment | undefined;
    readonly again: Environment | undefined;
    readonly behind: Environment | undefined;
  } {
    this.#exits.set(s.label, undefined);
    this.#exits.set(s.next, undefined);
    const tested = this.#statements(s.head, head.slice());
    let inside = tested;
    let out: Environment | undefined;
    if (s.test && tested) {
      const test = this.#expression(s.test, tested) as BooleanValue;
      inside = test.canBeTrue ? refine(tested, s.test, true) : undefined;
      out = test.canBeFalse ? refine(tested, s.test, false) : undefined;
    }
    if (inside !== undefined && inside === out) out = inside.slice();
    // It is looked at later.
    const begin = inside?.slice();
    const end = this.#merge(
      this.#statements(s.body, begin),
      this.#exits.get(s.next),
    );
    const again = this.#statements(s.update, end);
    return {
      inside,
      again,
      behind: this.#merge(out, this.#exits.get(s.label)),
    };
  }

  #loop(s: Loop, before: Environment): Environment | undefined {
    const assigned = idsAssignedIn(s);
    const isRough = this.#isRough;
    this.#isRough = true;
    let head = before;
    let behind: Environment | undefined;
    for (let round = 0;; round++) {
      const { again, behind: out } = this.#pass(s, head);
      behind = out;
      // Only ever more, so that it comes to an end.
      const merged = this.#merge(head, again)!;
      const next: Environment = before.slice();
      let same = true;
      for (const i of assigned) {
        const [old, value] = [head[i], merged[i]];
        if (sameOptional(old, value)) {
          next[i] = old;
          continue;
        }
        same = false;
        next[i] = !old || !value || round < ROUNDS_BEFORE_WIDENING
          ? old && value
          : widen(old, value);
      }
      head = next;
      if (same) break;
    }
    this.#isRough = isRough;
    // A loop around this one begins anew: what is found now suffices for that.
    if (isRough) return behind;
    // Once more from what comes again: bounds that jumped too far come back.
    const narrowed = this.#merge(before, this.#pass(s, head).again)!;
    head = head.map((value, i) =>
      value && assigned.has(i) ? narrower(value, narrowed[i]!) : value
    );
    const { bounded, key, moves } = this.#boundMoves(s, before, head);
    return this.#pass(s, bounded).behind?.map((value) =>
      value?.kind === "number" ? restoreSince(value, key, before, moves) : value
    );
  }

  /**
   * Bounds variables by how far they can move in all rounds of a loop together.
   *
   * Sums that have no bound yet are first taken to be exact. That holds in the
   * first round, and from each to the next as long as the moves that follow
   * from it stay exact; where they do not, it is taken back.
   */
  #boundMoves(s: Loop, before: Environment, head: Environment): {
    readonly bounded: Environment;
    readonly key: object;
    readonly moves: readonly (Move | undefined)[];
  } {
    const assigned = idsAssignedIn(s);
    const hopes = new Set(
      head.flatMap((value, i) => {
        const start = before[i];
        return value?.kind === "number" && assigned.has(i) &&
            start?.kind === "number" && value.integer &&
            within(start, -HOPE, HOPE) && !within(value, -HOPE, HOPE)
          ? [i]
          : [];
      }),
    );
    for (;;) {
      const key = {};
      const marked = head.map((value, i) => {
        if (value?.kind !== "number" || !assigned.has(i)) return value;
        const since = { head: key, variable: i, lo: 0, hi: 0 };
        if (!hopes.has(i)) return { ...value, since };
        const { lo, hi } = value;
        const exact = integers(Math.max(-HOPE, lo), Math.min(HOPE, hi));
        return { ...exact, since };
      });
      const { inside, again } = this.#pass(s, marked);
      const rounds = mostRounds(key, before, inside, again);
      const moves = marked.map((value, i) =>
        value?.kind === "number" && assigned.has(i)
          ? moveOf(key, i, before, again, rounds)
          : undefined
      );
      const failed = [...hopes].filter((i) => !moves[i]);
      for (const i of failed) hopes.delete(i);
      if (failed.length > 0) continue;
      const bounded = marked.map((value, i) =>
        value && bound(value, before[i], moves[i])
      );
      return { bounded, key, moves };
    }
  }

  #number(x: Expression, env: Environment, what: string): NumberValue {
    const value = this.#expression(x, env);
    if (value.kind === "number") return value;
    this.#refuse(
      x.place,
      `${what} is a boolean: make it a number: cond ? 1 : 0`,
    );
  }

  #expression(x: Expression, env: Environment): Value {
    return x.value = this.#value(x, env);
  }

  #value(x: Expression, env: Environment): Value {
    if (isApply(x)) return this.#apply(x, env);
    switch (x.op) {
      case "constant":
        return constantValue(x.constant);
      case "get": {
        const value = env[x.variable.id];
        if (value) return value;
        this.#refuse(
          x.place,
          `${x.variable.name} may have no value here: ` +
            `give it one where it is declared`,
        );
        break;
      }
      case "length":
        return {
          ...integers(0, MOST_ELEMENTS[x.array.element]),
          below: new Map([[x.array, 0]]),
        };
      case "load":
        this.#number(x.index, env, "an index");
        return ELEMENTS[x.array.element];
      default:
        return x satisfies never;
    }
  }

  #apply(x: Apply, env: Environment): Value {
    const { op, args } = x;
    const [first, second, third] = args;
    switch (op) {
      case "select": {
        const test = this.#expression(first!, env) as BooleanValue;
        // Both arms are looked at, so that both have types.
        const yes = this.#expression(second!, refine(env, first!, true) ?? env);
        const no = this.#expression(third!, refine(env, first!, false) ?? env);
        if (!test.canBeFalse && yes.kind === no.kind) return yes;
        if (!test.canBeTrue && yes.kind === no.kind) return no;
        return this.#join(yes, no, x.place);
      }
      case "and":
      case "or": {
        const a = this.#expression(first!, env) as BooleanValue;
        const then = refine(env, first!, op === "and");
        const b = this.#expression(second!, then ?? env) as BooleanValue;
        return op === "and"
          ? booleans(
            a.canBeTrue && b.canBeTrue,
            a.canBeFalse || b.canBeFalse,
          )
          : booleans(
            a.canBeTrue || b.canBeTrue,
            a.canBeFalse && b.canBeFalse,
          );
      }
      case "truthy":
      case "number":
      case "not":
        return transfer(op, args.map((arg) => this.#expression(arg, env)));
      case "eq":
      case "ne": {
        const [a, b] = args.map((arg) => this.#expression(arg, env));
        if (a!.kind !== b!.kind) {
          this.#refuse(
            x.place,
            "a number is compared with a boolean: compare like with like",
          );
        }
        return ANY_BOOLEAN;
      }
      default:
        return transfer(
          op,
          args.map((arg) => this.#number(arg, env, "an operand")),
        );
    }
  }
}

const assignments = new WeakMap<Loop, ReadonlySet<number>>();

function idsAssignedIn(loop: Loop): ReadonlySet<number> {
  let ids = assignments.get(loop);
  if (!ids) {
    ids = new Set(assignedIn(loop).map(({ id }) => id));
    assignments.set(loop, ids);
  }
  return ids;
}

function sameOptional(a: Value | undefined, b: Value | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && sameValue(a, b));
}

/** The smaller of two sets of which both hold everything. */
function narrower(a: Value, b: Value): Value {
  if (a.kind === "boolean" || b.kind === "boolean") return b;
  return {
    ...b,
    lo: Math.max(a.lo, b.lo),
    hi: Math.min(a.hi, b.hi),
  };
}

function sinceOf(
  value: Value | undefined,
  key: object,
  variable: number,
): Since | undefined {
  if (value?.kind !== "number") return undefined;
  const { since } = value;
  return since?.head === key && since.variable === variable ? since : undefined;
}

/**
 * How often the body of a loop can run: a variable that grows by at least so
 * much in each round, and is bounded where the body begins.
 */
function mostRounds(
  key: object,
  before: Environment,
  inside: Environment | undefined,
  again: Environment | undefined,
): number {
  if (!inside) return 0;
  if (!again) return 1;
  let most = Infinity;
  inside.forEach((value, i) => {
    const step = sinceOf(again[i], key, i);
    const start = before[i];
    if (!step || value?.kind !== "number" || start?.kind !== "number") return;
    const way = step.lo > 0
      ? (value.hi - start.lo) / step.lo
      : step.hi < 0
      ? (value.lo - start.hi) / step.hi
      : Infinity;
    most = Math.min(most, Math.floor(Math.max(0, way)) + 1);
  });
  return most;
}

interface Move {
  readonly lo: number;
  readonly hi: number;
}

/** How far all rounds together can move a variable from where it was. */
function moveOf(
  key: object,
  variable: number,
  before: Environment,
  again: Environment | undefined,
  rounds: number,
): Move | undefined {
  const start = before[variable];
  if (start?.kind !== "number") return undefined;
  // Without another round it stays where it was.
  if (!again) return { lo: 0, hi: 0 };
  const step = sinceOf(again[variable], key, variable);
  if (!step) return undefined;
  if (step.lo === 0 && step.hi === 0) return step;
  if (rounds === Infinity) return undefined;
  const lo = rounds * Math.min(0, step.lo);
  const hi = rounds * Math.max(0, step.hi);
  return start.lo + lo >= -HOPE && start.hi + hi <= HOPE
    ? { lo, hi }
    : undefined;
}

function bound(
  value: Value,
  before: Value | undefined,
  move: Move | undefined,
): Value {
  if (!move || value.kind !== "number" || before?.kind !== "number") {
    return value;
  }
  const { since, below } = value;
  const { integer, nan, minusZero } = value;
  return {
    ...range(
      Math.max(value.lo, before.lo + move.lo),
      Math.min(value.hi, before.hi + move.hi),
      { integer, nan, minusZero, single: value.single },
    ),
    ...since && { since },
    ...below && { below },
  };
}

/** Behind an inner loop: how far it is from the head of the outer one. */
function restoreSince(
  value: NumberValue,
  key: object,
  before: Environment,
  moves: readonly (Move | undefined)[],
): NumberValue {
  const { since, ...rest } = value;
  if (since?.head !== key) return value;
  const start = before[since.variable];
  const move = moves[since.variable];
  const outer = start?.kind === "number" ? start.since : undefined;
  if (!outer || !move) return rest;
  return {
    ...rest,
    since: {
      ...outer,
      lo: outer.lo + move.lo + since.lo,
      hi: outer.hi + move.hi + since.hi,
    },
  };
}
