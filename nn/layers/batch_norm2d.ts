import { custom, noGrad, ones, type Tensor, zeros } from "@heddle/tensor";
import { requireSizes, requireTensor, requireWithin } from "../_check.ts";
import { formatShape } from "../_fit.ts";
import { Module } from "../module.ts";

/** How a {@link BatchNorm2d} is made. */
export interface BatchNorm2dOptions {
  /**
   * Added to the variance.
   * @default 1e-5
   */
  readonly eps?: number;
  /**
   * How much of the running statistics each batch replaces; null for the mean
   * of all batches.
   * @default 0.1
   */
  readonly momentum?: number | null;
  /**
   * Whether the result is scaled and shifted by parameters.
   * @default true
   */
  readonly affine?: boolean;
  /**
   * Whether running statistics are kept; without them every batch is
   * normalized by its own.
   * @default true
   */
  readonly trackRunningStats?: boolean;
}

/** Batch, height and width. */
const AXES = { axis: [0, 2, 3], keepDims: true } as const;

/**
 * Mean 0 and variance 1 for each channel: Ioffe and Szegedy 2015,
 * https://arxiv.org/abs/1502.03167.
 *
 * In training it normalizes by the statistics of the batch, over batch, height
 * and width, and moves the running ones towards them; the running variance is
 * that of a sample, as in PyTorch. In evaluation it normalizes by the running
 * ones. The weight begins at 1, the bias at 0.
 *
 * @example
 * ```ts
 * import { BatchNorm2d } from "@heddle/nn";
 * import { tensor } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const norm = new BatchNorm2d(1, { eps: 0, momentum: 1 });
 * const images = tensor([[[[1, 3]]], [[[1, 3]]]]);
 * const result = await norm.forward(images).data();
 * assertEquals([...result], [-1, 1, -1, 1]);
 * assertEquals(await norm.runningMean!.toArray(), [2]);
 * ```
 */
export class BatchNorm2d extends Module {
  /** Channels. */
  readonly features: number;
  /** Added to the variance. */
  readonly eps: number;
  /** How much each batch replaces, or null for the mean of all. */
  readonly momentum: number | null;
  /** float32 `[features]`, or null if there is none. */
  weight: Tensor | null;
  /** float32 `[features]`, or null if there is none. */
  bias: Tensor | null;
  /** float32 `[features]`, or null if none is kept. */
  runningMean: Tensor | null;
  /** float32 `[features]`, or null if none is kept. */
  runningVariance: Tensor | null;
  /** How many batches the running mean is of, int32; null with a momentum. */
  batches: Tensor | null;

  /**
   * Takes the number of channels.
   *
   * @throws {RangeError} If it is not a whole number from 1, `eps` is negative
   * or the momentum is not from 0 to 1.
   */
  constructor(features: number, options: BatchNorm2dOptions = {}) {
    super();
    const { eps = 1e-5, affine = true, trackRunningStats = true } = options;
    const { momentum = 0.1 } = options;
    requireSizes("BatchNorm2d", { features });
    requireWithin("BatchNorm2d", "eps", eps, 0);
    requireWithin("BatchNorm2d", "momentum", momentum ?? 0, 0, 1);
    this.features = features;
    this.eps = eps;
    this.momentum = momentum;
    this.weight = affine ? ones([features]).asVariable() : null;
    this.bias = affine ? zeros([features]).asVariable() : null;
    this.runningMean = trackRunningStats ? zeros([features]) : null;
    this.runningVariance = trackRunningStats ? ones([features]) : null;
    this.batches = trackRunningStats && momentum === null
      ? zeros([], { dtype: "int32" })
      : null;
  }

  /**
   * Normalizes, and in training counts.
   *
   * @param input float32 `[batch, features, height, width]`.
   * @returns The same shape.
   * @throws {RangeError} If the channels differ, or there is only one element
   * a channel to train on: its variance would say nothing.
   */
  override forward(input: Tensor): Tensor {
    requireTensor("BatchNorm2d", input);
    const { features, weight, bias } = this;
    if (input.rank !== 4 || input.shape[1] !== features) {
      throw new RangeError(
        `BatchNorm2d: the input must be [batch, ${features}, height, width]: ` +
          `got ${formatShape(input.shape)}`,
      );
    }
    let result = this.training || !this.runningMean || !this.runningVariance
      ? this.#byBatch(input)
      : input.sub(channels(this.runningMean))
        .mul(channels(this.runningVariance).add(this.eps).rsqrt());
    if (weight) result = result.mul(channels(weight));
    return bias ? result.add(channels(bias)) : result;
  }

  #byBatch(input: Tensor): Tensor {
    const count = input.size / this.features;
    if (this.training && count <= 1) {
      throw new RangeError(
        "BatchNorm2d: needs more than one element a channel to train on: got " +
          `${formatShape(input.shape)}: make batches larger, or call eval()`,
      );
    }
    const mean = input.mean(AXES);
    const variance = input.variance({ ...AXES, correction: 0 });
    const inverse = variance.add(this.eps).rsqrt();
    if (this.training) this.#count(mean, variance, count);
    return custom(
      ([x]) => x!.sub(mean).mul(inverse),
      (g, normalized) => {
        // dx = (g - mean(g) - y mean(g y)) / deviation
        const along = g.mul(normalized).mean(AXES);
        const rest = g.sub(g.mean(AXES)).sub(normalized.mul(along));
        return [rest.mul(inverse)];
      },
    )(input);
  }

  /** Moves the running statistics towards those of a batch. */
  #count(mean: Tensor, variance: Tensor, count: number): void {
    const { runningMean, runningVariance, batches } = this;
    if (!runningMean || !runningVariance) return;
    noGrad(() => {
      batches?.assign(batches.add(1));
      const share = batches
        ? batches.cast("float32").reciprocal()
        : this.momentum!;
      const rest = typeof share === "number" ? 1 - share : share.neg().add(1);
      const move = (running: Tensor, value: Tensor) => {
        const part = value.reshape([this.features]).mul(share);
        running.assign(running.mul(rest).add(part));
      };
      move(runningMean, mean);
      move(runningVariance, variance.mul(count / (count - 1)));
    });
  }

  /** What `toString` shows. */
  protected override describe(): string {
    return `${this.features}` + (this.weight ? "" : ", not affine") +
      (this.runningMean ? "" : ", without running statistics");
  }
}

/** `[features]` as `[features, 1, 1]`. */
function channels(x: Tensor): Tensor {
  return x.reshape([x.size, 1, 1]);
}
