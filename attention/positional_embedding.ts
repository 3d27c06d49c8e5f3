import { Dropout, Embedding, Module } from "@heddle/nn";
import type { Generator, Tensor } from "@heddle/tensor";
import { formatShape, requireSizes } from "./_check.ts";
import { SinusoidalPositions } from "./sinusoidal_positions.ts";

/** How a {@link PositionalEmbedding} is made. */
export interface PositionalEmbeddingOptions {
  /**
   * A table that is trained, or sines and cosines.
   * @default "learned"
   */
  readonly positions?: "learned" | "sinusoidal";
  /**
   * How many positions there are.
   * @default 512
   */
  readonly maxSeqLen?: number;
  /**
   * The token id whose vector begins at 0 and gets no gradient; negative ones
   * count from the end.
   * @default none
   */
  readonly paddingIndex?: number;
  /**
   * Multiplies the vectors of tokens, not of positions; Vaswani et al. 2017
   * take `√modelDim`.
   * @default 1
   */
  readonly tokenScale?: number;
  /**
   * Probability that an element of the sum is dropped in training.
   * @default 0
   */
  readonly dropoutRate?: number;
  /**
   * Where the initial weights come from.
   * @default defaultGenerator()
   */
  readonly generator?: Generator;
}

/** Which positions tokens have. */
export interface PositionOptions {
  /**
   * Position of the first token of each sequence.
   * @default 0
   */
  readonly offset?: number;
  /**
   * int32 in the shape of the token ids, or one that broadcasts to it: the
   * position of each token, for those that do not follow one another. One that
   * is out of range adds nothing.
   * @default offset, offset + 1, …
   */
  readonly positionIds?: Tensor;
}

/**
 * The vector of each token plus that of its position. Both tables begin normal
 * with mean 0 and variance 1, as `Embedding` does.
 *
 * @example
 * ```ts
 * import { PositionalEmbedding } from "@heddle/attention";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const embedding = new PositionalEmbedding(100, 8, { positions: "sinusoidal" });
 * const tokenIds = tensor([[5, 7, 5], [9, 0, 0]], { dtype: "int32" });
 * assertEquals(embedding.forward(tokenIds).shape, [2, 3, 8]);
 * assertEquals(Object.keys(embedding.stateDict()), ["tokens.weight"]);
 * ```
 */
export class PositionalEmbedding extends Module {
  /** The vectors of tokens. */
  readonly tokens: Embedding;
  /** The vectors of positions. */
  readonly positions: Embedding | SinusoidalPositions;
  /** Drops elements of the sum. */
  readonly dropout: Dropout;
  /** How many positions there are. */
  readonly maxSeqLen: number;
  /** Multiplies the vectors of tokens. */
  readonly tokenScale: number;

  /**
   * Draws the initial weights.
   *
   * @param vocabSize How many tokens there are.
   * @param modelDim Size of each vector.
   * @throws {RangeError} If a size is not a whole number from 1, there is no
   * such padding index or kind of positions, the scale is not finite, or the
   * rate is not from 0 to 1.
   */
  constructor(
    vocabSize: number,
    modelDim: number,
    options: PositionalEmbeddingOptions = {},
  ) {
    super();
    const { positions = "learned", maxSeqLen = 512, tokenScale = 1 } = options;
    const { generator, paddingIndex, dropoutRate = 0 } = options;
    requireSizes("PositionalEmbedding", { vocabSize, modelDim, maxSeqLen });
    if (positions !== "learned" && positions !== "sinusoidal") {
      throw new RangeError(
        `PositionalEmbedding: no such positions: got "${positions}": ` +
          "use learned or sinusoidal",
      );
    }
    if (!Number.isFinite(tokenScale)) {
      throw new RangeError(
        `PositionalEmbedding: tokenScale must be finite: got ${tokenScale}`,
      );
    }
    const from = generator ? { generator } : {};
    this.tokens = new Embedding(vocabSize, modelDim, {
      ...from,
      ...paddingIndex === undefined ? {} : { paddingIndex },
    });
    this.positions = positions === "learned"
      ? new Embedding(maxSeqLen, modelDim, from)
      : new SinusoidalPositions(maxSeqLen, modelDim);
    this.dropout = new Dropout(dropoutRate);
    this.maxSeqLen = maxSeqLen;
    this.tokenScale = tokenScale;
  }

  /**
   * Looks vectors up and adds them.
   *
   * @param tokenIds int32 or uint32 `[..., seqLen]`, from 0 to `vocabSize - 1`.
   * @param options Positions, where they are not 0, 1, 2, ….
   * @returns float32 `[..., seqLen, modelDim]`.
   * @throws {TypeError} If ids are not integers.
   * @throws {RangeError} If there are more tokens than positions, or there is no
   * axis.
   */
  override forward(tokenIds: Tensor, options: PositionOptions = {}): Tensor {
    const tokens = this.tokens.forward(tokenIds).mul(this.tokenScale);
    const positions = this.#positionsOf(tokenIds, options);
    return this.dropout.forward(tokens.add(positions));
  }

  #positionsOf(
    tokenIds: Tensor,
    { offset = 0, positionIds }: PositionOptions,
  ): Tensor {
    if (positionIds) return this.positions.forward(positionIds);
    const seqLen = tokenIds.shape.at(-1);
    if (seqLen === undefined) {
      throw new RangeError(
        "PositionalEmbedding: tokenIds need at least one axis: got []",
      );
    }
    const isPlace = Number.isInteger(offset) && offset >= 0;
    if (!isPlace || offset + seqLen > this.maxSeqLen) {
      throw new RangeError(
        `PositionalEmbedding: there are ${this.maxSeqLen} positions: got ` +
          `tokenIds ${formatShape(tokenIds.shape)} from position ${offset}`,
      );
    }
    return this.positions.weight.slice([offset, offset + seqLen]);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return this.tokenScale === 1 ? "" : `tokens * ${this.tokenScale}`;
  }
}
