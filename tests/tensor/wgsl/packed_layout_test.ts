import { assert, assertEquals } from "@std/assert";
import type { LoopKernel } from "../../../tensor/kernel/kernel.ts";
import { type Axis, evaluateIndex } from "../../../tensor/view.ts";
import { type Product, productOf } from "../../../tensor/wgsl/contract.ts";
import {
  type OperandLayout,
  packedLayout,
} from "../../../tensor/wgsl/packed_layout.ts";
import {
  type Convolution,
  convolution,
  inputGradient,
  matmul,
  weightGradient,
} from "../wasm/contract_cases.ts";

const PLAIN: Convolution = {
  batch: 4,
  channels: 8,
  outputs: 12,
  size: 7,
  kernel: 3,
  stride: 1,
  padding: 0,
  dilation: 1,
};

const CONVOLUTIONS: readonly Convolution[] = [
  PLAIN,
  { ...PLAIN, padding: 1 },
  { ...PLAIN, stride: 2, padding: 1 },
  { ...PLAIN, dilation: 2 },
  { ...PLAIN, stride: 2, dilation: 3, size: 15 },
  { ...PLAIN, channels: 1 },
  { ...PLAIN, batch: 3, channels: 5, outputs: 2 },
  { ...PLAIN, kernel: 1 },
];

function productFor(kernel: LoopKernel): Product {
  const product = productOf(kernel);
  assert(product);
  return product;
}

/** Positions on axes, row-major. */
function split(axes: readonly { extent: number }[], at: number): number[] {
  return axes.toReversed().map(({ extent }) => {
    const digit = at % extent;
    at = Math.floor(at / extent);
    return digit;
  }).toReversed();
}

/** For each number of a texture, where the axes stand for which it is packed. */
function* packed(layout: OperandLayout): Generator<Map<Axis, number>> {
  const terms = layout.terms.reduce((count, { extent }) => count * extent, 1);
  const depth = Math.ceil(terms / 4);
  const shape = [...layout.dimensions, { extent: depth }];
  for (let texel = 0; texel < layout.texels; texel++) {
    const digits = split(shape, texel);
    const place = new Map<Axis, number>();
    const set = (axes: readonly Axis[], at: number) => {
      split(axes, at).forEach((digit, i) => place.set(axes[i]!, digit));
    };
    layout.dimensions.forEach((dimension, at) => {
      if (dimension.kind === "axes") return set(dimension.axes, digits[at]!);
      const { axis, other, sign, low } = dimension;
      place.set(axis, sign * (digits[at]! + low)).set(other, 0);
    });
    for (let part = 0; part < 4; part++) {
      set(layout.terms, Math.min(4 * digits.at(-1)! + part, terms - 1));
      yield new Map(place);
    }
  }
}

/** Checks that each row meets its elements, and each term once. */
function check(
  { kernel, contract, k }: Product,
  side: "left" | "right",
  layout: OperandLayout,
  loops: readonly number[],
): void {
  const load = kernel.values[contract[side]]!;
  assert(load.op === "load");
  const elementAt = (place: ReadonlyMap<Axis, number>) =>
    evaluateIndex(load.index, (axis) => place.get(axis) ?? 0);
  const texture = [...packed(layout)].map(elementAt);
  const rows = side === "left" ? contract.m : contract.n;
  const size = rows.reduce((count, { extent }) => count * extent, 1);
  const terms = k.reduce((count, { extent }) => count * extent, 1);
  const turns = loops.reduce((count, turn) => count * turn, 1);
  const last = layout.terms.reduce((count, { extent }) => count * extent, 1);
  for (let row = 0; row < size; row++) {
    const start = split(layout.rows.extents.map((extent) => ({ extent })), row)
      .reduce((sum, digit, i) => sum + digit * layout.rows.strides[i]!, 0) +
      layout.base;
    const got: number[] = [];
    for (let turn = 0; turn < turns; turn++) {
      const digits = split(loops.map((extent) => ({ extent })), turn);
      const texel = digits.reduce(
        (sum, digit, i) => sum + digit * layout.steps[i]!,
        start,
      );
      for (let part = 0; part < 4; part++) {
        if (4 * (turn % Math.ceil(last / 4)) + part < last) {
          got.push(texture[4 * texel + part]!);
        }
      }
    }
    const want = Array.from({ length: terms }, (_, term) => {
      const place = new Map<Axis, number>();
      split(rows, row).forEach((digit, i) => place.set(rows[i]!, digit));
      split(k, term).forEach((digit, i) => place.set(k[i]!, digit));
      return elementAt(place);
    });
    const ascending = (a: number, b: number) => a - b;
    assertEquals(got.sort(ascending), want.sort(ascending));
  }
}

Deno.test("packedLayout() lets each row find its elements, in any convolution", () => {
  for (const c of CONVOLUTIONS) {
    for (const make of [convolution, weightGradient, inputGradient]) {
      const product = productFor(make(c));
      const layout = packedLayout(product);
      check(product, "left", layout.left, layout.loops);
      check(product, "right", layout.right, layout.loops);
    }
  }
});

Deno.test("packedLayout() packs an image once, not once for each place of a window", () => {
  const { left, loops } = packedLayout(productFor(convolution(PLAIN)));
  assertEquals(left.texels, 4 * 8 * 7 * 7 / 4);
  assertEquals(loops.reduce((a, b) => a * b), 3 * 3 * 8 / 4);
  const gradient = packedLayout(productFor(weightGradient(PLAIN)));
  assertEquals(
    Math.max(gradient.left.texels, gradient.right.texels),
    4 * 8 * 7 * 7 / 4,
  );
  // The window reaches two elements past the image on each side.
  const back = packedLayout(productFor(inputGradient(PLAIN)));
  assertEquals(back.left.texels, 4 * 12 * 9 * 9 / 4);
  // What is larger than a texture has to be cut, which a plain one can be.
  const product = productFor(convolution(PLAIN));
  assertEquals(packedLayout(product, 4 * 8 * 7 * 7 / 4 - 1).loops, [18]);
});

Deno.test("packedLayout() leaves matrices as they are", () => {
  for (const transposed of [[true, true, false], [false, false, false]]) {
    const product = productFor(
      matmul(6, 10, 21, transposed as [boolean, boolean, boolean]),
    );
    const { left, right, loops } = packedLayout(product);
    assertEquals(loops, [6]);
    assertEquals([left.texels, right.texels], [36, 60]);
    check(product, "left", left, loops);
    check(product, "right", right, loops);
  }
});
