import { assert, assertEquals } from "@std/assert";
import { hostSource } from "../../tensor/device/runtime.ts";
import type { Node } from "../../tensor/graph/node.ts";
import { seenThrough } from "../../tensor/kernel/group.ts";
import { sizeOf } from "../../tensor/shape.ts";
import {
  axesOf,
  type Axis,
  axisIndex,
  type Bound,
  constantIndex,
  evaluateIndex,
  flatten,
  type Index,
  indexKey,
  linear,
  quotient,
  rangeOf,
  remainder,
  substitute,
  unflatten,
} from "../../tensor/view.ts";
import { type Seeded, seeded } from "../seeded.ts";
import { indices } from "../values.ts";
import { evaluateNodes } from "./evaluate_graph.ts";
import { randomMove } from "./random_movement.ts";

function axesFor(shape: readonly number[]): Axis[] {
  return shape.map((extent, id) => ({ id, extent }));
}

/** Calls with each position of the axes. */
function forEachPosition(
  axes: readonly Axis[],
  visit: (valueOf: (axis: Axis) => number, place: readonly number[]) => void,
): void {
  for (const place of indices(axes.map(({ extent }) => extent))) {
    visit((axis) => place[axes.indexOf(axis)]!, place);
  }
}

function assertInRange(index: Index, value: number): void {
  assert(
    index.low <= value && value <= index.high,
    `${indexKey(index)} is ${value}, said to be ${index.low} to ${index.high}`,
  );
}

function holds(bounds: readonly Bound[], valueOf: (axis: Axis) => number) {
  return bounds.every(({ index, low, high }) => {
    const value = evaluateIndex(index, valueOf);
    return low <= value && value < high;
  });
}

Deno.test("mapIndices() follows random chains of movements to the right elements", () => {
  for (let seed = 1; seed <= 600; seed++) {
    const random = seeded(seed);
    const shape = [random.integer(1, 7), random.pick([1, 2, 3, 5, 6, 12])];
    const numbers = Float32Array.from(
      { length: sizeOf(shape) },
      (_, i) => i + 1,
    );
    let node: Node = hostSource(numbers, shape, "float32");
    const length = random.integer(1, 7);
    for (let at = 0; at < length; at++) node = randomMove(node, random);
    const [expected] = evaluateNodes([node]);
    const axes = axesFor(node.shape);
    const seen = seenThrough(node, axes.map(axisIndex));
    const flat = flatten(seen.indices, seen.node.shape);
    forEachPosition(axes, (valueOf, place) => {
      const inside = holds(seen.bounds, valueOf);
      const at = inside ? evaluateIndex(flat, valueOf) : -1;
      const got = inside ? numbers[at] : 0;
      if (inside) {
        assertInRange(flat, at);
        for (const index of seen.indices) {
          assertInRange(index, evaluateIndex(index, valueOf));
        }
      }
      assertEquals(got, expected!.at(...place), `seed ${seed} at [${place}]`);
    });
  }
});

/** A random affine expression, perhaps of quotients and remainders. */
function randomIndex(axes: readonly Axis[], random: Seeded): Index {
  let index = constantIndex(random.integer(-3, 4));
  for (let count = random.integer(1, 5); count > 0; count--) {
    const part = axisIndex(random.pick(axes));
    index = linear([[1, index], [random.integer(-4, 9), part]]);
    const by = random.integer(1, 9);
    const choice = random.integer(0, 7);
    if (choice < 2) index = quotient(index, by);
    else if (choice < 4) index = remainder(index, by);
    else if (choice === 4) {
      // A split that is undone.
      index = linear([[by, quotient(index, by)], [1, remainder(index, by)]]);
    }
  }
  return index;
}

Deno.test("quotient() and remainder() simplify to equal values in their range", () => {
  for (let seed = 1; seed <= 1500; seed++) {
    const random = seeded(seed);
    const axes = axesFor([4, 6, random.integer(1, 8)]);
    const index = randomIndex(axes, random);
    const by = random.integer(1, 13);
    const [whole, rest] = [quotient(index, by), remainder(index, by)];
    const again = linear([[by, whole], [1, rest]]);
    forEachPosition(axes, (valueOf) => {
      const value = evaluateIndex(index, valueOf);
      assertInRange(index, value);
      const [q, r] = [whole, rest].map((part) => evaluateIndex(part, valueOf));
      const message = `seed ${seed}: ${indexKey(index)} by ${by}`;
      assertEquals([q, r], [
        Math.floor(value / by),
        value - Math.floor(value / by) * by,
      ], message);
      assertInRange(whole, q!);
      assertInRange(rest, r!);
      assertEquals(evaluateIndex(again, valueOf), value, message);
    });
  }
});

Deno.test("substitute() gives the value at the replaced positions", () => {
  for (let seed = 1; seed <= 400; seed++) {
    const random = seeded(seed);
    const axes = axesFor([4, 6, 5]);
    const index = randomIndex(axes, random);
    const fresh: Axis[] = [{ id: 7, extent: 2 }, { id: 8, extent: 12 }];
    // Positions of the first two axes: a split and a tile.
    const replacement = new Map<Axis, Index>([
      [
        axes[0]!,
        linear([[2, axisIndex(fresh[0]!)], [
          1,
          quotient(axisIndex(fresh[1]!), 6),
        ]]),
      ],
      [axes[1]!, remainder(axisIndex(fresh[1]!), 6)],
    ]);
    const replaced = substitute(index, replacement);
    const loops = [...fresh, axes[2]!];
    forEachPosition(loops, (valueOf) => {
      const want = evaluateIndex(index, (axis) => {
        const by = replacement.get(axis);
        return by ? evaluateIndex(by, valueOf) : valueOf(axis);
      });
      const got = evaluateIndex(replaced, valueOf);
      assertEquals(got, want, `seed ${seed}: ${indexKey(index)}`);
      assertInRange(replaced, got);
    });
  }
});

Deno.test("unflatten() undoes flatten() without a division", () => {
  for (const shape of [[5], [3, 7], [2, 1, 4], [1], [2, 3, 5, 7]]) {
    const positions = axesFor(shape).map(axisIndex);
    const back = unflatten(flatten(positions, shape), shape);
    assertEquals(back.map(indexKey), positions.map(indexKey));
  }
});

Deno.test("unflatten() of another shape divides only where sizes do not nest", () => {
  const axes = axesFor([6, 4]);
  const flat = flatten(axes.map(axisIndex), [6, 4]);
  assertEquals(unflatten(flat, [24]).map(indexKey), ["4*i0+i1"]);
  assertEquals(unflatten(flat, [6, 2, 2]).map(indexKey), [
    "i0",
    "(i1/2)",
    "(i1%2)",
  ]);
  assertEquals(unflatten(flat, [3, 8]).map(indexKey), [
    "(i0/2)",
    "4*(i0%2)+i1",
  ]);
  assertEquals(unflatten(flat, [1, 24, 1]).map(indexKey), [
    "0",
    "4*i0+i1",
    "0",
  ]);
});

Deno.test("axesOf() finds axes within divisions", () => {
  const [a, b] = axesFor([5, 7]) as [Axis, Axis];
  const index = quotient(linear([[3, axisIndex(a)], [1, axisIndex(b)]]), 4);
  assertEquals([...axesOf(index)].map(({ id }) => id).sort(), [0, 1]);
  assertEquals(axesOf(constantIndex(3)).size, 0);
});

Deno.test("rangeOf() looks at the terms alone, not at what is known of the sum", () => {
  const [a, b] = axesFor([5, 3]) as [Axis, Axis];
  const sum = linear([[2, axisIndex(a)], [-1, axisIndex(b)]], 4);
  const known = { ...sum, low: 5, high: 6 };
  assertEquals(rangeOf(known.terms, known.constant), { low: 2, high: 12 });
  assertEquals(rangeOf([], 7), { low: 7, high: 7 });
});

Deno.test("indexKey() tells different indices apart, and no others", () => {
  const [a, b] = axesFor([5, 7]) as [Axis, Axis];
  const one = linear([[3, axisIndex(a)], [1, axisIndex(b)]], 2);
  const other = linear([[1, axisIndex(b)], [3, axisIndex(a)]], 2);
  assertEquals(indexKey(one), indexKey(other));
  assertEquals(indexKey(one), "3*i0+i1+2");
  assertEquals(indexKey(constantIndex(0)), "0");
  assertEquals(indexKey(linear([[1, one], [-1, other]])), "0");
});
