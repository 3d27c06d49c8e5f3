/**
 * The steps that the dispatches of attention are made of.
 *
 * @module
 */

import { type AnyAttentionKernel, FORBIDDEN } from "../kernel/attention.ts";
import type { Batches } from "./attention.ts";
import {
  type Dispatch,
  gridOf,
  type ShaderLimits,
  TEXTURE_WIDTH,
} from "./program.ts";
import { workgroupPosition } from "./rows.ts";
import { Shader } from "./shader.ts";

/**
 * Own rows of an invocation on a processor that plays a GPU: with 4 of them and
 * 64 columns it runs no faster, and compiles for five times as long.
 */
const FALLBACK_ROWS = 2;
/** Products in the text of one turn of the loop, about. */
const TURN = 256;

/** `[batch, rows, width]`. */
export interface Operand {
  /** Its buffer. */
  readonly slot: number;
  readonly width: number;
  /** Where it has been packed. */
  readonly texture?: number;
}

/** Rows in variables, as vectors of four. */
export interface Held {
  readonly name: string;
  readonly width: number;
}

/** How rows are dealt out. */
export interface Deal {
  /** Of which side each invocation has rows. */
  readonly own: "query" | "key";
  /** Products for each of its rows and each row of the other side. */
  readonly work: number;
}

/** Writes one dispatch. */
export class TurnCode {
  readonly shader: Shader;
  /** Numbers of the invocation's own rows. */
  readonly own: readonly number[];
  readonly #kernel: AnyAttentionKernel;
  readonly #deal: Deal;
  readonly #workgroups: [number, number, number];
  readonly #lanes: number;
  /** Whether operands lie in textures. */
  readonly #packed: boolean;
  /** Rows of the two sides in one problem. */
  readonly #ownSize: number;
  readonly #otherSize: number;

  constructor(
    kernel: AnyAttentionKernel,
    limits: ShaderLimits,
    { first, count }: Batches,
    deal: Deal,
  ) {
    this.#kernel = kernel;
    this.#deal = deal;
    const { queries, keys } = kernel;
    [this.#ownSize, this.#otherSize] = deal.own === "query"
      ? [queries, keys]
      : [keys, queries];
    this.#packed = limits.isFallback;
    this.own = Array.from(
      { length: this.#packed ? FALLBACK_ROWS : 1 },
      (_, row) => row,
    );
    // A processor's workgroup is one vector of lanes.
    this.#lanes = limits.isFallback ? 8 : Math.min(64, limits.maxWorkgroupSize);
    const rows = this.#lanes * this.own.length;
    const blocks = Math.ceil(this.#ownSize / rows);
    this.#workgroups = gridOf(count * blocks, limits);
    const shader = this.shader = new Shader(kernel.buffers);
    const { text } = workgroupPosition(shader, this.#workgroups);
    if (this.#workgroups[0] * this.#workgroups[1] !== count * blocks) {
      shader.line(`if (${text} >= ${count * blocks}) { return; }`);
    }
    // Sizes are no part of the text, which then serves all lengths.
    shader.line(`let ownSize = ${shader.size(this.#ownSize)};`);
    shader.line(`let otherSize = ${shader.size(this.#otherSize)};`);
    shader.line(`let blocks = ${shader.size(blocks)};`);
    shader.line(`let part = ${text} / blocks;`);
    shader.line(`let batch = part + ${shader.size(first)};`);
    shader.line(`let first = ${text} % blocks * ${rows};`);
    for (const row of this.own) {
      const offset = row * this.#lanes;
      shader.line(`let at_${row} = first + ${offset} + i32(local.x);`);
      shader.line(`let own_${row} = min(at_${row}, ownSize - 1);`);
      shader.line(`let row_${row} = batch * ownSize + own_${row};`);
      const piece = this.#packed ? "part" : "batch";
      shader.line(
        `let held_${row} = ${piece} * ownSize + own_${row};`,
      );
    }
  }

  /** The least score, in text. */
  get forbidden(): string {
    return `${FORBIDDEN}f`;
  }

  /** A number in text. */
  number(value: number): string {
    return this.shader.constant(value, "float32").text;
  }

  /** Own rows of an operand, times a scale. */
  load(name: string, operand: Operand, scale: number): Held {
    const { width } = operand;
    const factor = scale === 1 ? "" : ` * ${this.number(scale)}`;
    this.#eachVector({ name, width }, (variable, own, vector) => {
      const value = this.#vector(operand, `held_${own}`, vector);
      this.shader.line(`let ${variable} = ${value}${factor};`);
    });
    return { name, width };
  }

  /** Sums, one for each own row. */
  zeros(name: string, width: number): Held {
    this.#eachVector({ name, width }, (variable) => {
      this.shader.line(`var ${variable} = vec4<f32>();`);
    });
    return { name, width };
  }

  /** Stores the own rows of sums, each times its factor. */
  store(slot: number, sums: Held, factor: (own: number) => string): void {
    const { shader } = this;
    const to = shader.buffer(slot);
    const { name, width } = sums;
    const part = (own: number, column: number) =>
      `${name}_${own}_${column >> 2}.${"xyzw"[column & 3]} * ${factor(own)}`;
    if (!this.#packed) {
      this.ifInside(0, () => {
        for (let column = 0; column < width; column++) {
          shader.line(
            `${to}[row_0 * ${width} + ${column}] = ${part(0, column)};`,
          );
        }
      });
      return;
    }
    // A loop over an array compiles in a fraction of the time of the stores.
    const all = `${name}_all`;
    const size = width * this.own.length;
    shader.line(`var ${all}: array<f32, ${size}>;`);
    for (const own of this.own) {
      for (let column = 0; column < width; column++) {
        shader.line(`${all}[${own * width + column}] = ${part(own, column)};`);
      }
    }
    shader.block(`for (var i = 0; i < ${size}; i++)`, [
      `let at = at_0 + i / ${width} * ${this.#lanes};`,
      `let row = batch * ownSize + at;`,
      `if (at < ownSize) ` +
      `{ ${to}[row * ${width} + i % ${width}] = ${all}[i]; }`,
    ]);
  }

  /** What only a row that there is does. */
  ifInside(own: number, body: () => void): void {
    this.shader.open();
    body();
    const lines = this.shader.close();
    this.shader.block(`if (at_${own} < ownSize)`, lines);
  }

  /**
   * Runs over the other side, some rows a turn. Row `row` of a turn is number
   * `number_row` of its problem, and `other_row` of its operand.
   */
  eachTurn(body: (rows: readonly number[]) => void): void {
    const { causalOffset } = this.#kernel;
    const { work, own } = this.#deal;
    const ownRows = this.own.length;
    const shader = this.shader;
    const size = this.#otherSize;
    const most = Math.floor(TURN / (work * ownRows));
    // Loops of such a processor may take 65535 steps in all.
    const least = this.#packed ? Math.ceil(size / 32768) : 1;
    const turn = Math.min(Math.max(least, Math.min(most, 8)), size);
    let [start, end] = ["0", "otherSize"];
    if (causalOffset !== null) {
      if (own === "query") {
        const last = `min(first + ${this.#lanes * ownRows}, ownSize)`;
        end = `min(${last} + ${causalOffset}, otherSize)`;
      } else {
        // Turns begin at multiples of their length.
        start = `max(first - ${causalOffset}, 0) / ${turn} * ${turn}`;
      }
    }
    const rows = Array.from({ length: turn }, (_, row) => row);
    shader.open();
    for (const row of rows) {
      const other = row === 0 ? "turn" : `turn + ${row}`;
      // Rows past the end repeat the last one, and count as forbidden.
      const safe = size % turn === 0 ? other : `min(${other}, otherSize - 1)`;
      const batch = this.#packed ? "part" : "batch";
      shader.line(`let number_${row} = ${safe};`);
      shader.line(`let other_${row} = ${batch} * otherSize + number_${row};`);
    }
    body(rows);
    const lines = shader.close();
    shader.line(`let end = ${end};`);
    shader.block(
      `for (var turn = ${start}; turn < end; turn += ${turn})`,
      lines,
    );
  }

  /** Products of own rows with rows of the other side: `name_own_row`. */
  dots(
    name: string,
    held: Held,
    other: Operand,
    rows: readonly number[],
  ): void {
    const shader = this.shader;
    for (const row of rows) {
      for (const own of this.own) {
        shader.line(`var ${name}_${own}_${row} = 0f;`);
      }
    }
    for (let vector = 0; vector < held.width / 4; vector++) {
      for (const row of rows) {
        const element = this.#vector(other, `other_${row}`, vector);
        for (const own of this.own) {
          shader.line(
            `${name}_${own}_${row} += ` +
              `dot(${held.name}_${own}_${vector}, ${element});`,
          );
        }
      }
    }
  }

  /**
   * Adds rows of the other side times factors `name_own_row` to sums, which
   * shrink before.
   */
  add(
    sums: Held,
    name: string,
    other: Operand,
    rows: readonly number[],
    shrink?: (own: number) => string,
  ): void {
    for (let vector = 0; vector < sums.width / 4; vector++) {
      const elements = rows.map((row) =>
        this.#vector(other, `other_${row}`, vector)
      );
      for (const own of this.own) {
        const sum = `${sums.name}_${own}_${vector}`;
        const terms = rows.map((row, at) =>
          `${name}_${own}_${row} * ${elements[at]}`
        );
        const before = shrink ? `${sum} * ${shrink(own)}` : sum;
        this.shader.line(`${sum} = ${[before, ...terms].join(" + ")};`);
      }
    }
  }

  /** Adds the masks to scores; what is forbidden gets the least one. */
  mask(name: string, rows: readonly number[]): void {
    const { causalOffset, masks, buffers } = this.#kernel;
    const shader = this.shader;
    const none = this.forbidden;
    for (const own of this.own) {
      for (const row of rows) {
        const score = `${name}_${own}_${row}`;
        const [query, key] = this.#deal.own === "query"
          ? [`own_${own}`, `number_${row}`]
          : [`number_${row}`, `own_${own}`];
        const reasons: string[] = [];
        if (this.#otherSize % rows.length !== 0) {
          reasons.push(`(turn + ${row} >= otherSize)`);
        }
        if (causalOffset !== null) {
          reasons.push(`(${key} > ${query} + ${causalOffset})`);
        }
        masks.forEach(({ slot, terms, queryStride, keyStride }, which) => {
          const place = terms.map(({ by, extent, stride }) =>
            `batch / ${by} % ${extent} * ${stride}`
          );
          if (queryStride > 0) place.push(`${query} * ${queryStride}`);
          if (keyStride > 0) place.push(key!);
          const from = `${shader.buffer(slot)}[${place.join(" + ") || "0"}]`;
          if (buffers[slot]!.dtype === "bool") {
            reasons.push(`(${from} == 0u)`);
            return;
          }
          const added = `mask${which}_${own}_${row}`;
          shader.line(`let ${added} = ${from};`);
          // Not added where it may be -Infinity.
          shader.line(`${score} += max(${added}, ${none});`);
          reasons.push(`(${added} <= ${none})`);
        });
        if (reasons.length === 0) continue;
        shader.line(
          `${score} = select(${score}, ${none}, ${reasons.join(" | ")});`,
        );
      }
    }
  }

  /** `weight_own_row`, by the maximum or the logarithm of the sum. */
  weigh(own: number, row: number, by: string): void {
    const score = `score_${own}_${row}`;
    this.shader.line(
      `let weight_${own}_${row} = ` +
        `select(exp(${score} - ${by}), 0f, ${score} <= ${this.forbidden});`,
    );
  }

  /** `bent_own_row`, the gradient by a score. */
  bend(own: number, row: number, delta: string): void {
    const at = `${own}_${row}`;
    this.shader.line(
      `let bent_${at} = weight_${at} * (slope_${at} - ${delta});`,
    );
  }

  /** A texel of a texture, by its number. */
  texel(texture: number, at: string): string {
    const name = this.shader.texture(texture, false);
    this.shader.helper(
      "place",
      `fn place(texel: i32) -> vec2<i32> { return vec2<i32>(texel & ${
        TEXTURE_WIDTH - 1
      }, texel >> ${Math.log2(TEXTURE_WIDTH)}u); }`,
    );
    return `textureLoad(${name}, place(${at}), 0)`;
  }

  /** The finished dispatch. */
  finish(name: string): Dispatch {
    return this.shader.finish(name, this.#lanes, this.#workgroups);
  }

  /** The logarithm of the sum and `delta` of a query of either side. */
  pair(
    texture: number | undefined,
    side: "own" | "other",
    row: number,
  ): string {
    const at = side === "own" ? `held_${row}` : `other_${row}`;
    if (texture !== undefined) return this.texel(texture, at);
    const [sums, delta] = [4, 5].map((slot) => this.shader.buffer(slot));
    return `vec2<f32>(${sums}[${at}], ${delta}[${at}])`;
  }

  /** Four columns of a row, named. */
  #vector({ slot, width, texture }: Operand, row: string, vector: number) {
    const { shader } = this;
    const name = (value: string) => shader.let(value, shader.level, "x").text;
    const at = `${row} * ${Math.ceil(width / 4)} + ${vector}`;
    if (texture !== undefined) return name(this.texel(texture, at));
    if (width % 4 === 0) {
      return name(`${shader.buffer(slot, 4)}[${at}]`);
    }
    const from = shader.buffer(slot);
    const parts = columnsOf(width, vector).map((column) =>
      `${from}[${row} * ${width} + ${column}]`
    );
    while (parts.length < 4) parts.push("0f");
    return name(`vec4<f32>(${parts.join(", ")})`);
  }

  #eachVector(
    { name, width }: Held,
    body: (variable: string, own: number, vector: number) => void,
  ): void {
    for (const own of this.own) {
      for (let vector = 0; vector < width / 4; vector++) {
        body(`${name}_${own}_${vector}`, own, vector);
      }
    }
  }
}

function columnsOf(width: number, vector: number): number[] {
  return [0, 1, 2, 3].map((part) => 4 * vector + part)
    .filter((column) => column < width);
}
