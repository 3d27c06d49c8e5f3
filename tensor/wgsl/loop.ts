/**
 * Loop kernels with one invocation or one workgroup a row, or a workgroup for
 * a block of rows.
 *
 * @module
 */

import {
  identityOf,
  isElementStore,
  levelsOf,
  type LoopKernel,
  type Store,
  type ValueId,
} from "../kernel/kernel.ts";
import type { Axis } from "../view.ts";
import { combined } from "./expressions.ts";
import { typeOf } from "./literal.ts";
import {
  type Dispatch,
  gridOf,
  type ShaderLimits,
  type Subgroups,
} from "./program.ts";
import { iterationsOf, splitPosition, workgroupPosition } from "./rows.ts";
import { type Operand, Shader } from "./shader.ts";
import { type Reduction, SharedTotals } from "./shared_totals.ts";
import { chooseLoop, type LoopStrategy } from "./strategy.ts";
import { ValueCode } from "./value_code.ts";

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
  const inGroup = rowsOf(strategy);
  const workgroups = gridOf(Math.ceil(rows / inGroup), limits);
  const group = workgroupPosition(shader, workgroups);
  const row = rowOf(shader, strategy, group, rows, workgroups);
  const axes = new Map<Axis, Operand>();
  splitPosition(shader, kernel.rows, row, axes);
  const code = new ValueCode(shader, kernel, axes);
  new LoopBody(shader, kernel, axes, code, strategy, limits.subgroups).emit();
  return shader.finish(kernel.name, workgroupSize, workgroups);
}

/** Rows of a workgroup. */
function rowsOf(strategy: LoopStrategy): number {
  switch (strategy.kind) {
    case "invocation":
      return strategy.workgroupSize;
    case "workgroup":
      return 1;
    case "block":
      return strategy.rows;
    default:
      return strategy satisfies never;
  }
}

/** The row of an invocation; those that have none return, or take the last. */
function rowOf(
  shader: Shader,
  strategy: LoopStrategy,
  group: Operand,
  rows: number,
  [width, height]: readonly [number, number, number],
): Operand {
  const inGroup = rowsOf(strategy);
  const isWhole = width * height * inGroup === rows;
  // Unsigned: the last of many workgroups may lie past 2^31.
  const leave = (text: string, count: number) =>
    shader.line(`if (u32(${text}) >= ${count}u) { return; }`);
  if (strategy.kind === "block") {
    const groups = Math.ceil(rows / inGroup);
    // A whole workgroup may leave before a barrier, a part of it may not.
    if (width * height !== groups) leave(group.text, groups);
    const text = `${group.text} * ${inGroup} + i32(local.x % ${inGroup}u)`;
    const row = shader.let(text, 0, "row");
    shader.line(`let share = local.x / ${inGroup}u;`);
    shader.line(`let isRow = ${row.text} < ${rows};`);
    return shader.let(`min(${row.text}, ${rows - 1})`, 0, "row");
  }
  const row = inGroup === 1 ? group : shader.let(
    `${group.text} * ${inGroup} + i32(local.x)`,
    0,
    "row",
  );
  if (!isWhole) leave(row.text, rows);
  return row;
}

class LoopBody {
  readonly #shader: Shader;
  readonly #kernel: LoopKernel;
  readonly #axes: Map<Axis, Operand>;
  readonly #code: ValueCode;
  readonly #strategy: LoopStrategy;
  readonly #shared: SharedTotals;

  constructor(
    shader: Shader,
    kernel: LoopKernel,
    axes: Map<Axis, Operand>,
    code: ValueCode,
    strategy: LoopStrategy,
    subgroups: Subgroups | undefined,
  ) {
    this.#shader = shader;
    this.#kernel = kernel;
    this.#axes = axes;
    this.#code = code;
    this.#strategy = strategy;
    this.#shared = new SharedTotals(shader, strategy, subgroups);
  }

  emit(): void {
    const { passes, rowStores } = passesOf(this.#kernel);
    const isShared = this.#strategy.kind !== "invocation";
    const isEmpty = iterationsOf(this.#kernel.cols) === 0;
    passes.forEach((pass, number) => {
      const totals = this.#accumulators(pass);
      if (!isEmpty) {
        if (isShared) this.#strided(pass, totals);
        else this.#nested(pass, totals);
      }
      const reductions = pass.reductions.map(({ value }) => value);
      const results = isShared
        ? this.#shared.share(reductions, totals, number % 2)
        : totals;
      pass.reductions.forEach(({ id }, i) => {
        // Named anew: a later pass finds another total in the same place.
        const text = this.#shader.fresh("v");
        this.#shader.line(`let ${text} = ${results[i]!};`);
        this.#code.define(id, { text, level: 0 });
      });
    });
    if (rowStores.length === 0) return;
    if (!isShared) {
      this.#code.stores(rowStores);
      return;
    }
    // Values first: what they name must be known outside the block as well.
    for (const store of rowStores) this.#code.operand(store.value);
    this.#shader.line(
      this.#strategy.kind === "block"
        ? "if ((share == 0u) & isRow) {"
        : "if (local.x == 0u) {",
    );
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
    if (this.#strategy.kind !== "block" || pass.stores.length === 0) {
      this.#code.stores(pass.stores);
      return;
    }
    for (const store of pass.stores) this.#code.operand(store.value);
    this.#shader.line("if (isRow) {");
    this.#code.stores(pass.stores);
    this.#shader.line("}");
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
    const strategy = this.#strategy;
    const [first, step] = strategy.kind === "block"
      ? ["share", strategy.workgroupSize / strategy.rows]
      : ["local.x", strategy.workgroupSize];
    const cols = iterationsOf(this.#kernel.cols);
    const name = this.#shader.fresh("c");
    this.#shader.open();
    const flat = { text: name, level: this.#shader.level };
    splitPosition(this.#shader, this.#kernel.cols, flat, this.#axes);
    this.#column(pass, totals);
    const lines = this.#shader.close();
    this.#shader.block(
      `for (var ${name} = i32(${first}); ${name} < ${cols}; ` +
        `${name} += ${step})`,
      lines,
    );
    this.#code.forget();
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
