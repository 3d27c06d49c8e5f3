import type { Tensor } from "@heddle/tensor";
import { type Layer, Module } from "../module.ts";

/**
 * Layers one after the other. Paths name them by position: `0.weight`.
 *
 * @example
 * ```ts
 * import { Linear, ReLU, Sequential } from "@heddle/nn";
 * import { ones } from "@heddle/tensor";
 * import { assertEquals } from "@std/assert";
 *
 * const net = new Sequential(new Linear(4, 8), new ReLU(), new Linear(8, 2));
 * assertEquals(net.forward(ones([3, 4])).shape, [3, 2]);
 * assertEquals(net.namedParameters()[2]![0], "2.weight");
 * ```
 */
export class Sequential extends Module {
  /** The layers, by position. */
  readonly [position: number]: Layer;
  /** How many layers there are. */
  readonly length: number;

  /**
   * Takes the layers, in order.
   *
   * @throws {TypeError} If one is no module.
   */
  constructor(...layers: readonly Layer[]) {
    super();
    for (const layer of layers as readonly unknown[]) requireModule(layer);
    // As fields of their own: so their paths are plain positions.
    Object.assign(this, layers);
    this.length = layers.length;
  }

  /** Gives each layer the output of the one before. */
  override forward(input: Tensor): Tensor {
    let value = input;
    for (let at = 0; at < this.length; at++) value = this[at]!.forward(value);
    return value;
  }
}

function requireModule(layer: unknown): void {
  if (layer instanceof Module) return;
  const [got, hint] = Array.isArray(layer)
    ? ["an array", "pass the layers one by one: new Sequential(...layers)"]
    : typeof layer === "function"
    ? ["a function", "write a Module whose forward calls it"]
    : [typeof layer, "pass new Linear(...) and the like"];
  throw new TypeError(
    `Sequential: a layer must be a Module: got ${got}: ${hint}`,
  );
}
