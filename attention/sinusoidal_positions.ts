import { Module } from "@heddle/nn";
import { type Tensor, tensor } from "@heddle/tensor";
import { requireSizes } from "./_check.ts";

/**
 * A vector for each position, which no training changes: Vaswani et al. 2017,
 * section 3.5, https://arxiv.org/abs/1706.03762.
 *
 * Feature `2i` of position `p` is `sin(p / 10000^(2i / modelDim))`, feature
 * `2i + 1` the cosine of the same. Computed in float64, so that all devices
 * have the same.
 *
 * @param seqLen How many positions.
 * @param modelDim How many features; an odd number has one cosine less.
 * @returns float32 `[seqLen, modelDim]`.
 * @throws {RangeError} If a size is not a whole number from 1.
 *
 * @example
 * ```ts
 * import { sinusoidalPositions } from "@heddle/attention";
 * import { assertEquals } from "@std/assert";
 *
 * const first = sinusoidalPositions(8, 4).slice(0);
 * assertEquals(await first.toArray(), [0, 1, 0, 1]);
 * ```
 */
export function sinusoidalPositions(seqLen: number, modelDim: number): Tensor {
  requireSizes("sinusoidalPositions", { seqLen, modelDim });
  const table = new Float32Array(seqLen * modelDim);
  for (let feature = 0; feature < modelDim; feature++) {
    const isOdd = feature % 2;
    const frequency = 10000 ** -((feature - isOdd) / modelDim);
    for (let position = 0; position < seqLen; position++) {
      const angle = position * frequency;
      table[position * modelDim + feature] = isOdd
        ? Math.cos(angle)
        : Math.sin(angle);
    }
  }
  return tensor(table, { shape: [seqLen, modelDim] });
}

/**
 * {@link sinusoidalPositions} as a layer: looks positions up. The table is no
 * part of the state.
 *
 * @example
 * ```ts
 * import { SinusoidalPositions } from "@heddle/attention";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const positions = new SinusoidalPositions(8, 4);
 * const vectors = positions.forward(tensor(new Int32Array([0, 5])));
 * assertEquals(vectors.shape, [2, 4]);
 * assertEquals(positions.stateDict(), {});
 * ```
 */
export class SinusoidalPositions extends Module {
  readonly #weight: Tensor;

  /**
   * Computes the table.
   *
   * @param maxSeqLen How many positions.
   * @param modelDim How many features.
   * @throws {RangeError} If a size is not a whole number from 1.
   */
  constructor(maxSeqLen: number, modelDim: number) {
    super();
    requireSizes("SinusoidalPositions", { maxSeqLen, modelDim });
    this.#weight = sinusoidalPositions(maxSeqLen, modelDim);
  }

  /** The table, float32 `[maxSeqLen, modelDim]`. */
  get weight(): Tensor {
    return this.#weight;
  }

  /**
   * Looks vectors up; one that is out of range is 0.
   *
   * @param positionIds int32 or uint32 of any shape, from 0 to `maxSeqLen - 1`.
   * @returns float32 `[...positionIds.shape, modelDim]`.
   * @throws {TypeError} If the ids are not integers.
   */
  override forward(positionIds: Tensor): Tensor {
    return this.#weight.take(positionIds);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return this.#weight.shape.join(", ");
  }
}
