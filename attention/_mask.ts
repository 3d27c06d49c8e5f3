import { arange, type Shape, type Tensor } from "@heddle/tensor";
import { broadcastsTo, formatShape, sameShape } from "./_check.ts";

/** Which keys a query may attend to. */
export interface MaskOptions {
  /**
   * Broadcasts to `[...batch, heads, querySeqLen, keySeqLen]`. As bool, true =
   * may attend; as float32 it is added to the scores, and -Infinity (anything
   * below -3e38) forbids.
   * @default none
   */
  readonly attentionMask?: Tensor;
  /**
   * bool `[batch, keySeqLen]`, true = padding, which no query attends to.
   * @default none
   */
  readonly keyPaddingMask?: Tensor;
  /**
   * Whether a query sees only the keys up to its own position.
   * @default false
   */
  readonly causal?: boolean;
  /**
   * Position of the first query among the keys, for `causal`: 0 where both
   * start together, `keySeqLen - querySeqLen` where they end together, as when
   * keys of earlier steps are kept.
   * @default 0
   */
  readonly queryOffset?: number;
}

/** Scores at and below it count as forbidden; -Infinity is one of them. */
export const FORBIDDEN = -3e38;

/**
 * The masks as tensors to be broadcast to `shape`: bool, true = may attend, or
 * float32, added.
 *
 * @param shape Of the scores, `[..., querySeqLen, keySeqLen]`.
 * @throws {TypeError} If a mask has a wrong type.
 * @throws {RangeError} If a mask does not fit.
 */
export function masksOf(
  operation: string,
  shape: Shape,
  options: MaskOptions,
): Tensor[] {
  const { attentionMask, keyPaddingMask, causal, queryOffset = 0 } = options;
  const masks: Tensor[] = [];
  if (attentionMask) {
    checkAttentionMask(operation, attentionMask, shape);
    masks.push(attentionMask);
  }
  if (keyPaddingMask) {
    checkKeyPaddingMask(operation, keyPaddingMask, shape);
    const [batch, keys] = keyPaddingMask.shape as [number, number];
    const between = shape.slice(1, -1).map(() => 1);
    const spread = keyPaddingMask.reshape([batch, ...between, keys]);
    masks.push(spread.logicalNot()); // [batch, 1, 1, keySeqLen]
  }
  if (causal && !Number.isSafeInteger(queryOffset)) {
    throw new RangeError(
      `${operation}: queryOffset must be a whole number: got ${queryOffset}`,
    );
  }
  return masks;
}

/**
 * Joins all masks to one.
 *
 * @param shape Of the scores, `[..., querySeqLen, keySeqLen]`.
 * @returns What may attend, to be broadcast to `shape`; undefined for all.
 * @throws {TypeError} If a mask has a wrong type.
 * @throws {RangeError} If a mask does not fit.
 */
export function allowedBy(
  operation: string,
  shape: Shape,
  options: MaskOptions,
): Tensor | undefined {
  const parts = masksOf(operation, shape, options).map((mask) =>
    mask.dtype === "bool" ? mask : mask.gt(FORBIDDEN)
  );
  if (options.causal) parts.push(upToItself(shape, options));
  return parts.reduce<Tensor | undefined>(
    (all, part) => all ? all.logicalAnd(part) : part,
    undefined,
  );
}

/** `[querySeqLen, keySeqLen]`: true where the key is not after the query. */
function upToItself(shape: Shape, { queryOffset = 0 }: MaskOptions): Tensor {
  const [queries, keys] = shape.slice(-2) as [number, number];
  const position = arange(queryOffset, queryOffset + queries).unsqueeze(1);
  return arange(keys).le(position);
}

function checkAttentionMask(
  operation: string,
  mask: Tensor,
  shape: Shape,
): void {
  if (mask.dtype !== "bool" && mask.dtype !== "float32") {
    throw new TypeError(
      `${operation}: attentionMask must be bool or float32: got ${mask.dtype}: ` +
        "use bool with true = may attend, or float32 to add",
    );
  }
  if (!broadcastsTo(mask.shape, shape)) {
    throw new RangeError(
      `${operation}: attentionMask does not broadcast: got ${
        formatShape(mask.shape)
      } for scores ${formatShape(shape)}`,
    );
  }
}

function checkKeyPaddingMask(
  operation: string,
  mask: Tensor,
  shape: Shape,
): void {
  if (mask.dtype !== "bool") {
    throw new TypeError(
      `${operation}: keyPaddingMask must be bool: got ${mask.dtype}: ` +
        "true = padding",
    );
  }
  if (shape.length < 3) {
    throw new RangeError(
      `${operation}: keyPaddingMask needs a batch: got scores ${
        formatShape(shape)
      }: use attentionMask`,
    );
  }
  const wanted = [shape[0]!, shape.at(-1)!];
  if (!sameShape(mask.shape, wanted)) {
    throw new RangeError(
      `${operation}: keyPaddingMask must be [batch, keySeqLen]: got ${
        formatShape(mask.shape)
      } instead of ${formatShape(wanted)}`,
    );
  }
}
