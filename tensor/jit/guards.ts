/**
 * What must hold where a loop begins, so that accesses inside are in range and
 * need no check of their own: `3 * n <= x.length` for all of `x[3 * i + 2]`.
 *
 * Nothing is iterated to a fixed point: at a loop's head the variables that it
 * only raises are at least what they were before it, those that it only lowers
 * at most that, and its test bounds the other side.
 *
 * @module
 */

import type { Bound } from "./bound.ts";
import {
  type Environment,
  intervalOf,
  isLong,
  merge,
  refined,
  UNKNOWN,
  valueOf,
} from "./intervals.ts";
import {
  type ArrayVariable,
  type Expression,
  isApply,
  type Label,
  type Loop,
  type Statement,
  type Variable,
} from "./ir.ts";
import { isExact, type NumberValue } from "./values.ts";
import { assignedIn, walkStatements } from "./walk.ts";

/** `0 <= low` or `high < length`, as it is tested where the loop begins. */
export interface Condition {
  readonly bound: Bound;
  /** Undefined: the bound must not be negative. */
  readonly below: ArrayVariable | undefined;
}

/** Conditions, and the accesses that are in range if they hold. */
export interface Guard {
  readonly conditions: readonly Condition[];
  /** By the expressions of their indices. */
  readonly indices: ReadonlySet<Expression>;
}

/**
 * A number beyond this comes from the type of an argument, and says nothing of
 * how long arrays are: a guard that asks for it would fail.
 */
const MOST_CONSTANT = 2 ** 12;

/** More conditions are not worth their time. */
const MOST_CONDITIONS = 16;

/**
 * The guard of a loop; undefined if there is none that pays.
 *
 * @param isKnown Whether an access is known to be in range without it.
 */
export function guardOf(
  loop: Loop,
  isKnown: (array: ArrayVariable, index: Expression) => boolean,
): Guard | undefined {
  const walk = new GuardWalk(isKnown);
  walk.statements([loop], new Map());
  return walk.guard();
}

/** An access, with what it needs to be in range. */
interface Access {
  readonly array: ArrayVariable;
  readonly conditions: readonly Condition[] | undefined;
}

class GuardWalk {
  readonly #isKnown: (array: ArrayVariable, index: Expression) => boolean;
  readonly #accesses = new Map<Expression, Access>();
  readonly #exits = new Map<Label, Environment | undefined>();

  constructor(isKnown: (array: ArrayVariable, index: Expression) => boolean) {
    this.#isKnown = isKnown;
  }

  guard(): Guard | undefined {
    const strongest = new Map<string, Condition>();
    const indices = new Set<Expression>();
    for (const [index, { conditions }] of this.#accesses) {
      if (!conditions) continue;
      indices.add(index);
      for (const condition of conditions) {
        const { bound, below } = condition;
        const key = `${below?.id} ${bound.key}`;
        const other = strongest.get(key)?.bound.plus ?? bound.plus;
        const isWeaker = below ? other > bound.plus : other < bound.plus;
        if (!isWeaker) strongest.set(key, condition);
      }
    }
    const pays = indices.size > 0 && strongest.size <= indices.size &&
      strongest.size <= MOST_CONDITIONS;
    return pays ? { conditions: [...strongest.values()], indices } : undefined;
  }

  /** What holds behind statements; undefined if nothing gets there. */
  statements(
    list: readonly Statement[],
    env: Environment | undefined,
  ): Environment | undefined {
    for (const s of list) {
      if (!env || !s.reached) return undefined;
      env = this.#statement(s, env);
    }
    return env;
  }

  #statement(s: Statement, env: Environment): Environment | undefined {
    switch (s.op) {
      case "set":
        if (s.to) {
          this.#look(s.to, env);
          env.set(s.variable, intervalOf(s.to, env));
        } else env.set(s.variable, UNKNOWN);
        return env;
      case "store":
        this.#look(s.index, env);
        this.#look(s.to, env);
        this.#access(s.array, s.index, env);
        return env;
      case "if": {
        this.#look(s.test, env);
        return merge(
          this.statements(s.then, refined(env, s.test, true)),
          this.statements(s.otherwise, refined(env, s.test, false)),
        );
      }
      case "block":
        this.#exits.set(s.label, undefined);
        return merge(this.statements(s.body, env), this.#exits.get(s.label));
      case "exit":
        this.#exits.set(s.label, merge(this.#exits.get(s.label), env));
        return undefined;
      case "return":
        if (s.to) this.#look(s.to, env);
        return undefined;
      case "loop":
        return this.#loop(s, env);
      case "call":
        for (const arg of s.args) if (!("kind" in arg)) this.#look(arg, env);
        if (s.result) env.set(s.result, UNKNOWN);
        return env;
      case "draw":
        env.set(s.result, UNKNOWN);
        return env;
      default:
        return s satisfies never;
    }
  }

  #loop(s: Loop, before: Environment): Environment | undefined {
    this.#exits.set(s.label, undefined);
    this.#exits.set(s.next, undefined);
    const head = new Map(before);
    for (const variable of assignedIn(s)) {
      const { low, high } = valueOf(variable, before);
      const { rises, falls } = directionIn(s, variable);
      head.set(variable, {
        low: rises ? low : undefined,
        high: falls ? high : undefined,
      });
    }
    const tested = this.statements(s.head, head);
    let inside = tested;
    let behind: Environment | undefined;
    if (tested && s.test) {
      this.#look(s.test, tested);
      inside = refined(tested, s.test, true);
      behind = refined(tested, s.test, false);
    }
    const end = merge(
      this.statements(s.body, inside),
      this.#exits.get(s.next),
    );
    this.statements(s.update, end);
    return merge(behind, this.#exits.get(s.label));
  }

  /** Notes the accesses of an expression. */
  #look(x: Expression, env: Environment): void {
    if (x.op === "load") {
      this.#look(x.index, env);
      this.#access(x.array, x.index, env);
      return;
    }
    if (!isApply(x)) return;
    const [first, ...others] = x.args;
    if (!first) return;
    this.#look(first, env);
    if (x.op === "and" || x.op === "or") {
      this.#look(others[0]!, refined(env, first, x.op === "and"));
    } else if (x.op === "select") {
      this.#look(others[0]!, refined(env, first, true));
      this.#look(others[1]!, refined(env, first, false));
    } else for (const arg of others) this.#look(arg, env);
  }

  #access(array: ArrayVariable, index: Expression, env: Environment): void {
    if (this.#isKnown(array, index)) return;
    const before = this.#accesses.get(index);
    const conditions = conditionsOf(array, index, env);
    // One expression may stand in several places.
    const all = !before
      ? conditions
      : before.array === array && before.conditions && conditions &&
        [...before.conditions, ...conditions];
    this.#accesses.set(index, { array, conditions: all || undefined });
  }
}

/** What an access needs; undefined if that cannot be said. */
function conditionsOf(
  array: ArrayVariable,
  index: Expression,
  env: Environment,
): Condition[] | undefined {
  const value = index.value as NumberValue;
  if (!isLong(value)) return undefined;
  const { low, high } = intervalOf(index, env);
  const conditions: Condition[] = [];
  if (value.lo < 0) {
    // A difference is not likely to be positive for all of a loop.
    if (!low || low.term?.op === "sub" || (!low.term && low.plus < 0)) {
      return undefined;
    }
    if (low.term) conditions.push({ bound: low, below: undefined });
  }
  if ((value.below?.get(array) ?? 0) >= 0) {
    if (!high || (!high.term && high.plus > MOST_CONSTANT)) return undefined;
    const { term, plus } = high;
    if (term?.op !== "length" || term.array !== array) {
      conditions.push({ bound: high, below: array });
    } else if (plus >= 0) return undefined;
  }
  return conditions;
}

/** Whether a loop only raises a variable, or only lowers it. */
function directionIn(
  s: Loop,
  variable: Variable,
): { rises: boolean; falls: boolean } {
  let [rises, falls] = [true, true];
  const isSame = (x: Expression) => x.op === "get" && x.variable === variable;
  const look = (s: Statement) => {
    if (s.op === "draw" || s.op === "call") {
      if (s.result === variable) rises = falls = false;
    }
    if (s.op !== "set" || s.variable !== variable || !s.reached) return;
    const { to } = s;
    const [a, b] = to && isApply(to) && isExact(to.value!) &&
        (to.op === "add" || to.op === "sub")
      ? to.args
      : [];
    const by = !a || !b
      ? undefined
      : isSame(a)
      ? b
      : isSame(b) && to!.op === "add"
      ? a
      : undefined;
    if (!by || !isExact(by.value!)) {
      rises = falls = false;
      return;
    }
    const { lo, hi } = by.value as NumberValue;
    const [least, most] = to!.op === "add" ? [lo, hi] : [-hi, -lo];
    rises &&= least >= 0;
    falls &&= most <= 0;
  };
  walkStatements([s], look);
  return { rises, falls };
}
