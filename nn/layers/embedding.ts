import { arange, type Generator, type Tensor, where } from "@heddle/tensor";
import { generatorOptions, requireSizes, requireTensor } from "../_check.ts";
import { normalWith } from "../init.ts";
import { Module } from "../module.ts";

/** How an {@link Embedding} is made. */
export interface EmbeddingOptions {
  /**
   * The id whose row begins at 0 and gets no gradient; negative ones count
   * from the end.
   * @default none
   */
  readonly paddingIndex?: number;
  /**
   * Where the initial weights come from.
   * @default defaultGenerator()
   */
  readonly generator?: Generator;
}

/**
 * A table of vectors, looked up by id. The table begins normal with mean 0 and
 * variance 1, as in PyTorch. An id that is out of range gives zeros.
 *
 * @example
 * ```ts
 * import { Embedding } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const table = new Embedding(10, 4, { paddingIndex: 0 });
 * const ids = tensor([[1, 2, 0]], { dtype: "int32" });
 * const vectors = table.forward(ids);
 * assertEquals(vectors.shape, [1, 3, 4]);
 * assertEquals(await vectors.slice(0, 2).toArray(), [0, 0, 0, 0]);
 * ```
 */
export class Embedding extends Module {
  /** How many vectors there are. */
  readonly embeddings: number;
  /** The size of each. */
  readonly embeddingDim: number;
  /** The id that gets no gradient, from 0; null if there is none. */
  readonly paddingIndex: number | null;
  /** float32 `[embeddings, embeddingDim]`. */
  weight: Tensor;

  /**
   * Draws the table.
   *
   * @throws {RangeError} If a size is not a whole number from 1, or there is no
   * such padding index.
   */
  constructor(
    embeddings: number,
    embeddingDim: number,
    options: EmbeddingOptions = {},
  ) {
    super();
    requireSizes("Embedding", { embeddings, embeddingDim });
    this.embeddings = embeddings;
    this.embeddingDim = embeddingDim;
    this.paddingIndex = paddingIndexOf(options.paddingIndex, embeddings);
    const from = generatorOptions(options.generator);
    const drawn = normalWith([embeddings, embeddingDim], 1, from);
    const rows = arange(embeddings).unsqueeze(1); // [embeddings, 1]
    const table = this.paddingIndex === null
      ? drawn
      : where(rows.eq(this.paddingIndex), 0, drawn);
    this.weight = table.asVariable();
  }

  /**
   * Looks up vectors.
   *
   * @param ids int32 or uint32 of any shape, from 0 to `embeddings - 1`.
   * @returns float32 `[...ids.shape, embeddingDim]`.
   * @throws {TypeError} If the ids are not integers.
   */
  override forward(ids: Tensor): Tensor {
    requireTensor("Embedding", ids);
    if (ids.dtype !== "int32" && ids.dtype !== "uint32") {
      throw new TypeError(
        `Embedding: ids must be int32 or uint32: got ${ids.dtype}: cast them`,
      );
    }
    const vectors = this.weight.take(ids);
    if (this.paddingIndex === null) return vectors;
    const isPadding = ids.eq(this.paddingIndex).unsqueeze(-1);
    return where(isPadding, vectors.detach(), vectors);
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return `${this.embeddings}, ${this.embeddingDim}` +
      (this.paddingIndex === null ? "" : `, padding ${this.paddingIndex}`);
  }
}

function paddingIndexOf(
  index: number | undefined,
  embeddings: number,
): number | null {
  if (index === undefined) return null;
  if (!Number.isInteger(index) || index < -embeddings || index >= embeddings) {
    throw new RangeError(
      `Embedding: there is no such padding index: got ${index} for ` +
        `${embeddings} embeddings`,
    );
  }
  return index < 0 ? index + embeddings : index;
}
