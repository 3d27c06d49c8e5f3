/**
 * Attention without stored scores. Each invocation keeps rows of its own side
 * and their sums in variables, and goes through the rows of the other side,
 * which are the same for all invocations of a workgroup, so that no workgroup
 * memory is needed.
 *
 * A processor that plays a GPU loads from buffers lane by lane, but four
 * numbers of a texture at once: there the other side is packed into textures
 * first, and an invocation has several rows, to use what it loads more often.
 *
 * @module
 */

import type {
  AnyAttentionKernel,
  AttentionGradientKernel,
  AttentionKernel,
} from "../kernel/attention.ts";
import { type Held, type Operand, TurnCode } from "./attention_code.ts";
import { packRows, packScalars } from "./attention_pack.ts";
import type { Dispatch, Program, ShaderLimits, Temporary } from "./program.ts";

/** Texels of a texture: 64 MiB. More problems are done in pieces. */
const MOST_TEXELS = 2 ** 22;

/** The program of the forward way. */
export function lowerAttention(
  kernel: AttentionKernel,
  limits: ShaderLimits,
  maxTexels: number = MOST_TEXELS,
): Program {
  const program = new Pieces(kernel, limits, maxTexels);
  program.each((batches) => {
    const [query, key, value] = program.operands(batches);
    program.add(forward(kernel, limits, batches, [query!, key!, value!]));
  });
  return program;
}

/** The program of the gradients: by the queries, then by keys and values. */
export function lowerAttentionGradient(
  kernel: AttentionGradientKernel,
  limits: ShaderLimits,
  maxTexels: number = MOST_TEXELS,
): Program {
  const program = new Pieces(kernel, limits, maxTexels);
  program.each((batches) => {
    const operands = program.operands(batches);
    const sums = program.scalars(batches);
    program.add(queryGradient(kernel, limits, batches, operands, sums));
    program.add(keyGradients(kernel, limits, batches, operands, sums));
  });
  return program;
}

/** A range of the problems. */
export interface Batches {
  readonly first: number;
  readonly count: number;
}

/** Dispatches over as many problems at a time as textures can hold. */
class Pieces implements Program {
  readonly dispatches: Dispatch[] = [];
  readonly temporaries: Temporary[] = [];
  readonly #kernel: AnyAttentionKernel;
  readonly #limits: ShaderLimits;
  readonly #batches: number;
  readonly #textures = new Map<number, number>();

  constructor(
    kernel: AnyAttentionKernel,
    limits: ShaderLimits,
    maxTexels: number,
  ) {
    this.#kernel = kernel;
    this.#limits = limits;
    const { batch, queries, keys, dim, features } = kernel;
    const width = Math.ceil(Math.max(dim, features) / 4);
    const texels = Math.max(queries, keys) * width;
    this.#batches = limits.isFallback
      ? Math.max(1, Math.min(batch, Math.floor(maxTexels / texels)))
      : batch;
  }

  each(body: (batches: Batches) => void): void {
    const { batch } = this.#kernel;
    for (let first = 0; first < batch; first += this.#batches) {
      body({ first, count: Math.min(this.#batches, batch - first) });
    }
  }

  add(dispatch: Dispatch): void {
    this.dispatches.push(dispatch);
  }

  /** Query, key, value and the gradient, packed where that is better. */
  operands(batches: Batches): Operand[] {
    const { queries, keys, dim, features, kind } = this.#kernel;
    const sizes = [[queries, dim], [keys, dim], [keys, features]] as const;
    const more = [[queries, features]] as const;
    const all = kind === "attention" ? sizes : [...sizes, ...more];
    return all.map(([rows, width], slot): Operand => {
      if (!this.#limits.isFallback) return { slot, width };
      const texels = this.#batches * rows * Math.ceil(width / 4);
      const texture = this.#texture(slot, texels);
      const size = batches.count * rows;
      const first = batches.first * rows;
      const part = { slot, width, size, first };
      this.add(packRows(this.#kernel, this.#limits, part, texture));
      return { slot, width, texture };
    });
  }

  /** The logarithms of the sums, and `delta`: their texture, if they have one. */
  scalars(batches: Batches): number | undefined {
    if (!this.#limits.isFallback) return undefined;
    const { queries } = this.#kernel;
    const texture = this.#texture(4, this.#batches * queries);
    const size = batches.count * queries;
    const first = batches.first * queries;
    this.add(packScalars(this.#kernel, this.#limits, size, first, texture));
    return texture;
  }

  #texture(slot: number, texels: number): number {
    const before = this.#textures.get(slot);
    if (before !== undefined) return before;
    const resource = this.#kernel.buffers.length + this.temporaries.length;
    this.temporaries.push({ kind: "texture", texels });
    this.#textures.set(slot, resource);
    return resource;
  }
}

function forward(
  kernel: AttentionKernel,
  limits: ShaderLimits,
  batches: Batches,
  [q, k, v]: readonly [Operand, Operand, Operand],
): Dispatch {
  const { dim, features, masks, scale, buffers } = kernel;
  const output = 3 + masks.length;
  const code = new TurnCode(kernel, limits, batches, {
    own: "query",
    work: dim + features,
  });
  const { shader } = code;
  const query = code.load("query", q!, scale);
  const sums = code.zeros("sum", features);
  for (const own of code.own) {
    shader.line(`var top_${own} = ${code.forbidden};`);
    shader.line(`var total_${own} = 0f;`);
  }
  code.eachTurn((rows) => {
    code.dots("score", query, k!, rows);
    code.mask("score", rows);
    for (const own of code.own) {
      const best = rows.map((row) => `score_${own}_${row}`)
        .reduce((a, b) => `max(${a}, ${b})`);
      shader.line(`let higher_${own} = max(top_${own}, ${best});`);
      shader.line(`let shrink_${own} = exp(top_${own} - higher_${own});`);
      shader.line(`top_${own} = higher_${own};`);
      for (const row of rows) code.weigh(own, row, `top_${own}`);
      const weights = rows.map((row) => `weight_${own}_${row}`).join(" + ");
      shader.line(
        `total_${own} = total_${own} * shrink_${own} + ${weights};`,
      );
    }
    code.add(sums, "weight", v, rows, (own) => `shrink_${own}`);
  });
  for (const own of code.own) {
    shader.line(
      `let inverse_${own} = ` +
        `select(1f / total_${own}, 0f, total_${own} == 0f);`,
    );
    if (buffers.length === output + 1) continue;
    code.ifInside(own, () => {
      const logSum = `top_${own} + log(total_${own})`;
      shader.line(
        `${shader.buffer(output + 1)}[row_${own}] = ` +
          `select(${logSum}, 0f, total_${own} == 0f);`,
      );
    });
  }
  code.store(output, sums, (own) => `inverse_${own}`);
  return code.finish(kernel.name);
}

function queryGradient(
  kernel: AttentionGradientKernel,
  limits: ShaderLimits,
  batches: Batches,
  [q, k, v, g]: readonly Operand[],
  scalars: number | undefined,
): Dispatch {
  const { dim, features, scale, buffers } = kernel;
  const code = new TurnCode(kernel, limits, batches, {
    own: "query",
    work: 2 * dim + features,
  });
  const { shader } = code;
  const query = code.load("query", q!, scale);
  const gradient = code.load("gradient", g!, 1);
  const sums = code.zeros("sum", dim);
  for (const own of code.own) {
    shader.line(`let pair_${own} = ${code.pair(scalars, "own", own)};`);
  }
  code.eachTurn((rows) => {
    code.dots("score", query, k!, rows);
    code.dots("slope", gradient, v!, rows);
    code.mask("score", rows);
    for (const own of code.own) {
      for (const row of rows) {
        code.weigh(own, row, `pair_${own}.x`);
        code.bend(own, row, `pair_${own}.y`);
      }
    }
    code.add(sums, "bent", k!, rows);
  });
  code.store(buffers.length - 3, sums, () => code.number(scale));
  return code.finish(`${kernel.name} by queries`);
}

function keyGradients(
  kernel: AttentionGradientKernel,
  limits: ShaderLimits,
  batches: Batches,
  [q, k, v, g]: readonly Operand[],
  scalars: number | undefined,
): Dispatch {
  const { dim, features, scale, buffers } = kernel;
  const code = new TurnCode(kernel, limits, batches, {
    own: "key",
    work: 2 * dim + 2 * features,
  });
  const { shader } = code;
  const key = code.load("key", k!, scale);
  const value = code.load("value", v!, 1);
  const [byKey, byValue]: Held[] = [
    code.zeros("keySum", dim),
    code.zeros("valueSum", features),
  ];
  code.eachTurn((rows) => {
    code.dots("score", key, q!, rows);
    code.dots("slope", value, g!, rows);
    code.mask("score", rows);
    for (const row of rows) {
      shader.line(`let pair_${row} = ${code.pair(scalars, "other", row)};`);
      for (const own of code.own) {
        code.weigh(own, row, `pair_${row}.x`);
        code.bend(own, row, `pair_${row}.y`);
      }
    }
    code.add(byKey!, "bent", q!, rows);
    code.add(byValue!, "weight", g!, rows);
  });
  code.store(buffers.length - 2, byKey!, () => code.number(scale));
  code.store(buffers.length - 1, byValue!, () => "1f");
  return code.finish(`${kernel.name} by keys`);
}
