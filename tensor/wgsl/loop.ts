/**
 * Loop kernels with one invocation or one workgroup a row.
 *
 * @module
 */

import {
  identityOf,
  isElementStore,
  levelsOf,
  type LoopKernel,
  type Store,
  type Value,
  type ValueId,
} from "../kernel/kernel.ts";
import type { Axis } from "../view.ts";
import { combined, fromStored, toStored } from "./expressions.ts";
import { storedTypeOf, typeOf } from "./literal.ts";
import { type Dispatch, gridOf, type ShaderLimits } from "./program.ts";
import { iterationsOf, splitPosition, workgroupPosition } from "./rows.ts";
import { type Operand, Shader } from "./shader.ts";
import { chooseLoop, type LoopStrategy } from "./strategy.ts";
import { LEAST_SUBGROUP, subgroupCombined } from "./subgroups.ts";
import { ValueCode } from "./value_code.ts";

type Reduction = Extract<Value, { op: "reduce" }>;

/** What one pass over the columns does. */
interface Pass {
  readonly reductions: readonly { id: ValueId; value: Reduction }[];
  readonly stores: readonly Store[];
}

/** The program of a loop kernel, in the strategy that suits it best. */
export function lowerLoop(
  kernel: LoopKernel,
  limits: ShaderLimits,
  strategy: LoopStrategy = chooseLoop(kernel, limits),
): Dispatch {
  const shader = new Shader(kernel.buffers);
  const rows = iterationsOf(kernel.rows);
  const { workgroupSize } = strategy;
  const perRow = strategy.kind === "workgroup";
  const groups = perRow ? rows : Math.ceil(rows / workgroupSize);
  const workgroups = gridOf(groups, limits);
  const group = workgroupPosition(shader, workgroups);
  const row = perRow
    ? group
    : shader.let(`${group.text} * ${workgroupSize} + i32(local.x)`, 0, "row");
  if (workgroups[0] * workgroups[1] * (perRow ? 1 : workgroupSize) !== rows) {
    // Unsigned: the last of many workgroups may lie past 2^31.
    shader.line(`if (u32(${row.text}) >= ${rows}u) { return; }`);
  }
  const axes = new Map<Axis, Operand>();
  splitPosition(shader, kernel.rows, row, axes);
  const code = new ValueCode(shader, kernel, axes);
  new LoopBody(shader, kernel, axes, code, strategy, limits.subgroups).emit();
  return shader.finish(kernel.name, workgroupSize, workgroups);
}

class LoopBody {
  readonly #shader: Shader;
  readonly #kernel: LoopKernel;
  readonly #axes: Map<Axis, Operand>;
  readonly #code: ValueCode;
  readonly #strategy: LoopStrategy;
  /** What enables subgroups, if there are any. */
  readonly #subgroups: string | undefined;
  /** Workgroup arrays that are declared. */
  readonly #shared: Set<string> = new Set();

  constructor(
    shader: Shader,
    kernel: LoopKernel,
    axes: Map<Axis, Operand>,
    code: ValueCode,
    strategy: LoopStrategy,
    subgroups: string | undefined,
  ) {
    this.#shader = shader;
    this.#kernel = kernel;
    this.#axes = axes;
    this.#code = code;
    this.#strategy = strategy;
    this.#subgroups = subgroups;
  }

  emit(): void {
    const { passes, rowStores } = passesOf(this.#kernel);
    const perRow = this.#strategy.kind === "workgroup";
    const isEmpty = iterationsOf(this.#kernel.cols) === 0;
    passes.forEach((pass, number) => {
      const totals = this.#accumulators(pass);
      if (!isEmpty) {
        if (perRow) this.#strided(pass, totals);
        else this.#nested(pass, totals);
      }
      const results = perRow ? this.#share(pass, totals, number % 2) : totals;
      pass.reductions.forEach(({ id }, i) => {
        // Named anew: a later pass finds another total in the same place.
        const text = this.#shader.fresh("v");
        this.#shader.line(`let ${text} = ${results[i]!};`);
        this.#code.define(id, { text, level: 0 });
      });
    });
    if (rowStores.length === 0) return;
    if (!perRow) {
      this.#code.stores(rowStores);
      return;
    }
    // Values first: what they name must be known outside the block as well.
    for (const store of rowStores) this.#code.operand(store.value);
    this.#shader.line("if (local.x == 0u) {");
    this.#code.stores(rowStores);
    this.#shader.line("}");
  }

  #accumulators(pass: Pass): string[] {
    return pass.reductions.map(({ value }) => {
      const total = this.#shader.fresh("total");
      const { text } = this.#shader.constant(
        identityOf(value.reducer, value.dtype),
        value.dtype,
      );
      const type = typeOf(value.dtype);
      this.#shader.line(`var ${total}: ${type} = ${text};`);
      return total;
    });
  }

  /** What happens for one column. */
  #column(pass: Pass, totals: readonly string[]): void {
    pass.reductions.forEach(({ value }, i) => {
      const { text } = this.#code.operand(value.args[0]);
      const total = totals[i]!;
      this.#shader.line(
        `${total} = ${combined(value.reducer, total, text, value.dtype)};`,
      );
    });
    this.#code.stores(pass.stores);
  }

  /** One loop a column axis. */
  #nested(pass: Pass, totals: readonly string[]): void {
    const loops = this.#kernel.cols.filter(({ extent }) => extent !== 1);
    const heads: string[] = [];
    for (const axis of loops) {
      const name = this.#shader.fresh("c");
      heads.push(
        `for (var ${name} = 0; ${name} < ${axis.extent}; ${name}++)`,
      );
      this.#shader.open();
      this.#axes.set(axis, { text: name, level: this.#shader.level });
    }
    this.#column(pass, totals);
    for (const head of heads.reverse()) {
      const lines = this.#shader.close();
      this.#shader.block(head, lines);
    }
    this.#code.forget();
  }

  /** One loop over the columns that fall to this invocation. */
  #strided(pass: Pass, totals: readonly string[]): void {
    const { workgroupSize } = this.#strategy;
    const cols = iterationsOf(this.#kernel.cols);
    const name = this.#shader.fresh("c");
    this.#shader.open();
    const flat = { text: name, level: this.#shader.level };
    splitPosition(this.#shader, this.#kernel.cols, flat, this.#axes);
    this.#column(pass, totals);
    const lines = this.#shader.close();
    this.#shader.block(
      `for (var ${name} = i32(local.x); ${name} < ${cols}; ` +
        `${name} += ${workgroupSize})`,
      lines,
    );
    this.#code.forget();
  }

  /**
   * Combines the totals of the workgroup's invocations.
   *
   * @param set Two sets of arrays serve in turn: a pass may write while another
   * invocation still reads the result of the pass before.
   * @returns The expressions of the results.
   */
  #share(pass: Pass, totals: readonly string[], set: number): string[] {
    if (totals.length === 0) return [];
    const subgroups = this.#subgroups;
    const { workgroupSize } = this.#strategy;
    const length = subgroups === undefined
      ? workgroupSize
      : Math.ceil(workgroupSize / LEAST_SUBGROUP);
    const shared = pass.reductions.map(({ value: { dtype } }, i) => {
      const type = storedTypeOf(dtype);
      const name = `shared_${type}_${set}_${i}`;
      if (!this.#shared.has(name)) {
        this.#shared.add(name);
        this.#shader.global(
          `var<workgroup> ${name}: array<${type}, ${length}>;`,
        );
      }
      return name;
    });
    if (subgroups !== undefined) {
      return this.#combineSubgroups(pass, totals, shared, subgroups);
    }
    pass.reductions.forEach(({ value: { dtype } }, i) => {
      const total = toStored(totals[i]!, dtype);
      this.#shader.line(`${shared[i]}[local.x] = ${total};`);
    });
    this.#combineShared(pass, shared);
    return pass.reductions.map(({ value: { dtype } }, i) =>
      fromStored(`${shared[i]}[0]`, dtype)
    );
  }

  /** Each subgroup combines its own; all invocations add up the results. */
  #combineSubgroups(
    { reductions }: Pass,
    totals: readonly string[],
    shared: readonly string[],
    enable: string,
  ): string[] {
    const shader = this.#shader;
    shader.useSubgroups(enable);
    const parts = reductions.map(({ value: { reducer, dtype } }, i) => {
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
    const results = reductions.map(({ value: { dtype } }, i) => {
      const result = shader.fresh("result");
      const first = fromStored(`${shared[i]}[0]`, dtype);
      shader.line(`var ${result} = ${first};`);
      return result;
    });
    const other = shader.fresh("other");
    const { workgroupSize } = this.#strategy;
    shader.block(
      `for (var i = 1u; i * subgroupSize < ${workgroupSize}u; i++)`,
      reductions.flatMap(({ value: { reducer, dtype } }, i) => {
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
  #combineShared({ reductions }: Pass, shared: readonly string[]): void {
    this.#shader.line("workgroupBarrier();");
    let half = this.#strategy.workgroupSize / 2;
    for (; half >= 1; half /= 2) {
      const lines = reductions.map(({ value: { reducer, dtype } }, i) => {
        const name = shared[i]!;
        const mine = this.#shader.fresh("mine");
        const other = this.#shader.fresh("other");
        const sum = combined(reducer, mine, other, dtype);
        const load = (place: string) => fromStored(`${name}[${place}]`, dtype);
        return `let ${mine} = ${load("local.x")}; ` +
          `let ${other} = ${load(`local.x + ${half}u`)}; ` +
          `${name}[local.x] = ${toStored(`(${sum})`, dtype)};`;
      });
      this.#shader.block(`if (local.x < ${half}u)`, lines);
      this.#shader.line("workgroupBarrier();");
    }
  }
}

function passesOf(
  kernel: LoopKernel,
): { passes: Pass[]; rowStores: Store[] } {
  const { element, phase, phases } = levelsOf(kernel);
  const passes = Array.from({ length: phases }, (_, pass) => ({
    reductions: kernel.values.flatMap((value, id) =>
      value.op === "reduce" && phase[id] === pass + 1 ? [{ id, value }] : []
    ),
    stores: kernel.stores.filter((store) =>
      isElementStore(kernel, element, store) && phase[store.value] === pass
    ),
  }));
  // Without columns every store is one of a row.
  const rowStores = kernel.stores.filter((store) =>
    phases === 0 || !isElementStore(kernel, element, store)
  );
  return { passes, rowStores };
}
