/**
 * Totals of the invocations of a workgroup, combined.
 *
 * @module
 */

import type { Value } from "../kernel/kernel.ts";
import { combined, fromStored, toStored } from "./expressions.ts";
import { storedTypeOf } from "./literal.ts";
import type { Subgroups } from "./program.ts";
import type { Shader } from "./shader.ts";
import type { LoopStrategy } from "./strategy.ts";
import { LEAST_SUBGROUP, subgroupCombined } from "./subgroups.ts";

/** What is combined. */
export type Reduction = Extract<Value, { op: "reduce" }>;

/** Combines in workgroup memory, or in subgroups first. */
export class SharedTotals {
  readonly #shader: Shader;
  readonly #strategy: LoopStrategy;
  readonly #subgroups: Subgroups | undefined;
  /** Workgroup arrays that are declared. */
  readonly #declared: Set<string> = new Set();

  constructor(
    shader: Shader,
    strategy: LoopStrategy,
    subgroups: Subgroups | undefined,
  ) {
    this.#shader = shader;
    this.#strategy = strategy;
    this.#subgroups = subgroups;
  }

  /**
   * Combines the totals of the workgroup's invocations.
   *
   * @param set Two sets of arrays serve in turn: a pass may write while another
   * invocation still reads the result of the pass before.
   * @returns The expressions of the results.
   */
  share(
    reductions: readonly Reduction[],
    totals: readonly string[],
    set: number,
  ): string[] {
    if (totals.length === 0) return [];
    const strategy = this.#strategy;
    const { workgroupSize } = strategy;
    const isBlock = strategy.kind === "block";
    const subgroups = isBlock ? undefined : this.#subgroups;
    const length = subgroups === undefined
      ? workgroupSize
      : Math.ceil(workgroupSize / LEAST_SUBGROUP);
    const shared = reductions.map(({ dtype }, i) => {
      const type = storedTypeOf(dtype);
      const name = `shared_${type}_${set}_${i}`;
      if (!this.#declared.has(name)) {
        this.#declared.add(name);
        this.#shader.global(
          `var<workgroup> ${name}: array<${type}, ${length}>;`,
        );
      }
      return name;
    });
    if (subgroups !== undefined) {
      return this.#combineSubgroups(
        reductions,
        totals,
        shared,
        subgroups.enable,
      );
    }
    reductions.forEach(({ dtype }, i) => {
      const total = toStored(totals[i]!, dtype);
      this.#shader.line(`${shared[i]}[local.x] = ${total};`);
    });
    this.#combineShared(reductions, shared);
    const place = isBlock ? `local.x % ${strategy.rows}u` : "0";
    return reductions.map(({ dtype }, i) =>
      fromStored(`${shared[i]}[${place}]`, dtype)
    );
  }

  /** Each subgroup combines its own; all invocations add up the results. */
  #combineSubgroups(
    reductions: readonly Reduction[],
    totals: readonly string[],
    shared: readonly string[],
    enable: string,
  ): string[] {
    const shader = this.#shader;
    shader.useSubgroups(enable);
    const parts = reductions.map(({ reducer, dtype }, i) => {
      const part = shader.fresh("part");
      const combined = subgroupCombined(reducer, totals[i]!, dtype);
      shader.line(`let ${part} = ${combined};`);
      return toStored(part, dtype);
    });
    shader.block(
      "if (subgroupLane == 0u)",
      parts.map((part, i) => `${shared[i]}[local.x / subgroupSize] = ${part};`),
    );
    shader.line("workgroupBarrier();");
    const results = reductions.map(({ dtype }, i) => {
      const result = shader.fresh("result");
      const first = fromStored(`${shared[i]}[0]`, dtype);
      shader.line(`var ${result} = ${first};`);
      return result;
    });
    const other = shader.fresh("other");
    const { workgroupSize } = this.#strategy;
    shader.block(
      `for (var i = 1u; i * subgroupSize < ${workgroupSize}u; i++)`,
      reductions.flatMap(({ reducer, dtype }, i) => {
        const result = results[i]!;
        const name = `${other}_${i}`;
        return [
          `let ${name} = ${fromStored(`${shared[i]}[i]`, dtype)};`,
          `${result} = ${combined(reducer, result, name, dtype)};`,
        ];
      }),
    );
    return results;
  }

  /** Halves the shares until the first holds all. */
  #combineShared(
    reductions: readonly Reduction[],
    shared: readonly string[],
  ): void {
    this.#shader.line("workgroupBarrier();");
    const strategy = this.#strategy;
    const [share, rows] = strategy.kind === "block"
      ? ["share", strategy.rows]
      : ["local.x", 1];
    let half = strategy.workgroupSize / rows / 2;
    for (; half >= 1; half /= 2) {
      const lines = reductions.map(({ reducer, dtype }, i) => {
        const name = shared[i]!;
        const mine = this.#shader.fresh("mine");
        const other = this.#shader.fresh("other");
        const sum = combined(reducer, mine, other, dtype);
        const load = (place: string) => fromStored(`${name}[${place}]`, dtype);
        return `let ${mine} = ${load("local.x")}; ` +
          `let ${other} = ${load(`local.x + ${half * rows}u`)}; ` +
          `${name}[local.x] = ${toStored(`(${sum})`, dtype)};`;
      });
      this.#shader.block(`if (${share} < ${half}u)`, lines);
      this.#shader.line("workgroupBarrier();");
    }
  }
}
