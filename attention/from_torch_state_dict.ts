import type { StateDict } from "@heddle/nn";
import type { Tensor } from "@heddle/tensor";
import { formatShape } from "./_check.ts";

/**
 * Translates the state of PyTorch's attention and transformer encoder layers to
 * the names and shapes of this module's. Values are shared, not copied.
 *
 * | PyTorch                                              | here                                               |
 * | ---------------------------------------------------- | -------------------------------------------------- |
 * | `in_proj_weight` `[3 * modelDim, modelDim]`          | `query.weight`, `key.weight`, `value.weight`       |
 * | `in_proj_bias` `[3 * modelDim]`                      | `query.bias`, `key.bias`, `value.bias`             |
 * | `q_proj_weight`, `k_proj_weight`, `v_proj_weight`    | `query.weight`, `key.weight`, `value.weight`       |
 * | `out_proj.weight`, `out_proj.bias`                   | `output.weight`, `output.bias`                     |
 * | `self_attn.…`                                        | `selfAttention.…`                                  |
 *
 * Names may stand behind any path, as in `layers.0.self_attn.in_proj_bias`;
 * others stay as they are. Attention with `add_bias_kv` has no counterpart.
 *
 * @param state Tensors by PyTorch's names, as a file holds them.
 * @returns Tensors by the names of this module, for `loadStateDict`.
 * @throws {RangeError} If a joint projection cannot be cut in three, two names
 * become one, or there are `bias_k` and `bias_v`.
 *
 * @example
 * ```ts
 * import { fromTorchStateDict, MultiHeadAttention } from "@heddle/attention";
 * import { zeros } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const state = fromTorchStateDict({
 *   in_proj_weight: zeros([12, 4]),
 *   in_proj_bias: zeros([12]),
 *   "out_proj.weight": zeros([4, 4]),
 *   "out_proj.bias": zeros([4]),
 * });
 * const attention = new MultiHeadAttention(4, 2);
 * attention.loadStateDict(state);
 * assertEquals(await attention.forward(zeros([1, 4])).toArray(), [[0, 0, 0, 0]]);
 * ```
 */
export function fromTorchStateDict(state: StateDict): StateDict {
  const result = new Map<string, Tensor>();
  const put = (name: string, value: Tensor) => {
    if (result.has(name)) {
      throw new RangeError(
        `fromTorchStateDict: two names become one: got ${name} twice`,
      );
    }
    result.set(name, value);
  };
  for (const [name, value] of Object.entries(state)) {
    const dot = name.lastIndexOf(".") + 1;
    const path = renamed(name.slice(0, dot));
    const last = name.slice(dot);
    if (last === "in_proj_weight" || last === "in_proj_bias") {
      const kind = last.slice("in_proj_".length);
      const parts = inThree(name, value);
      PROJECTIONS.forEach((projection, at) => {
        put(`${path}${projection}.${kind}`, parts[at]!);
      });
    } else if (last === "bias_k" || last === "bias_v") {
      throw new RangeError(
        `fromTorchStateDict: add_bias_kv has no counterpart: got ${name}`,
      );
    } else {
      put(path + (SEPARATE.get(last) ?? last), value);
    }
  }
  return Object.fromEntries(result);
}

const PROJECTIONS = ["query", "key", "value"] as const;

const SEPARATE: ReadonlyMap<string, string> = new Map([
  ["q_proj_weight", "query.weight"],
  ["k_proj_weight", "key.weight"],
  ["v_proj_weight", "value.weight"],
]);

/** A path with its parts renamed: `layers.0.self_attn.out_proj.`. */
function renamed(path: string): string {
  return path.split(".").map((part) =>
    part === "self_attn"
      ? "selfAttention"
      : part === "out_proj"
      ? "output"
      : part
  ).join(".");
}

function inThree(name: string, value: Tensor): Tensor[] {
  const rows = value.shape[0] ?? 0;
  if (rows === 0 || rows % 3 !== 0) {
    throw new RangeError(
      `fromTorchStateDict: ${name} holds three projections: got shape ${
        formatShape(value.shape)
      }`,
    );
  }
  return value.split(rows / 3, 0);
}
