import { assertEquals } from "@std/assert";
import { interpret } from "../../../tensor/kernel/interpret.ts";
import { kernelKey, type LoopKernel } from "../../../tensor/kernel/kernel.ts";
import { normalize } from "../../../tensor/kernel/normalize.ts";
import {
  type Axis,
  axisIndex,
  flatten,
  type Index,
  linear,
  quotient,
  remainder,
} from "../../../tensor/view.ts";
import { randomKernel } from "../wasm/random_kernel.ts";

function copy(
  rows: readonly Axis[],
  load: Index,
  store: Index,
): LoopKernel {
  return {
    kind: "loop",
    name: "copy",
    rows,
    cols: [],
    params: [],
    buffers: [
      { dtype: "float32", size: load.high + 1, output: false },
      { dtype: "float32", size: store.high + 1, output: true },
    ],
    values: [{
      op: "load",
      dtype: "float32",
      buffer: 0,
      index: load,
      bounds: [],
    }],
    stores: [{ buffer: 1, index: store, value: 0 }],
  };
}

function extents(axes: readonly Axis[]): number[] {
  return axes.map((axis) => axis.extent);
}

Deno.test("normalize() merges axes that step as one and drops those of extent 1", () => {
  const axes = [2, 1, 3, 4].map((extent, id): Axis => ({ id, extent }));
  const flat = flatten(axes.map(axisIndex), extents(axes));
  const { rows, stores } = normalize(copy(axes, flat, flat));
  assertEquals(rows, [{ id: 0, extent: 24 }]);
  assertEquals(stores[0]!.index, axisIndex(rows[0]!));
});

Deno.test("normalize() keeps axes apart where one operand steps otherwise", () => {
  const [i, j] = [3, 4].map((extent, id): Axis => ({ id, extent }));
  const store = flatten([axisIndex(i!), axisIndex(j!)], [3, 4]);
  const load = flatten([axisIndex(j!), axisIndex(i!)], [4, 3]);
  assertEquals(extents(normalize(copy([i!, j!], load, store)).rows), [3, 4]);
});

Deno.test("normalize() splits an axis so that quotients and remainders vanish", () => {
  const axis: Axis = { id: 0, extent: 24 };
  const flat = axisIndex(axis);
  // A transposition of [4, 6], through the flat index of its result.
  const load = linear([[1, quotient(flat, 4)], [6, remainder(flat, 4)]]);
  const { rows, values } = normalize(copy([axis], load, flat));
  assertEquals(extents(rows), [6, 4]);
  const [value] = values;
  assertEquals(
    value?.op === "load" && value.index,
    linear([[1, axisIndex(rows[0]!)], [6, axisIndex(rows[1]!)]]),
  );
});

Deno.test("normalize() changes nothing that a random kernel computes", () => {
  for (let seed = 1; seed < 300; seed++) {
    const { kernel, buffers, params } = randomKernel(seed);
    const want = buffers.map((data) => data.slice());
    interpret(kernel, want, params);
    const got = buffers.map((data) => data.slice());
    const simple = normalize(kernel);
    interpret(simple, got, params);
    assertEquals(got, want, `${seed}\n${kernelKey(kernel)}`);
  }
});

Deno.test("normalize() of its own result changes nothing", () => {
  for (let seed = 1; seed < 300; seed++) {
    const once = normalize(randomKernel(seed).kernel);
    assertEquals(kernelKey(normalize(once)), kernelKey(once), `${seed}`);
  }
});
