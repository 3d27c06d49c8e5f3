import {
  compile,
  Generator,
  noGrad,
  ones,
  randomKey,
  realize,
  Scope,
  type Tensor,
  tensor,
  uniform,
  zeros,
} from "@heddle/tensor";
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { deviceTest } from "../../devices.ts";

deviceTest(
  "compile() returns tensors that later runs leave alone",
  async () => {
    const weight = tensor([1, 2], { requiresGrad: true });
    const f = compile((x) => {
      const before = weight.add(0);
      noGrad(() => weight.assign(weight.add(x)));
      return { before, weight, x, double: weight.mul(2) };
    });
    const x = tensor([1, 1]);
    const first = f(x);
    const second = f(x);
    f(x);
    assertEquals(await first.before.toArray(), [1, 2]);
    assertEquals(await first.weight.toArray(), [2, 3]);
    assertEquals(await first.x.toArray(), [1, 1]);
    assertEquals(await first.double.toArray(), [4, 6]);
    assertEquals(await second.before.toArray(), [2, 3]);
    assertEquals(await second.weight.toArray(), [3, 4]);
    assertEquals(await weight.toArray(), [4, 5]);
    assert(first.weight !== weight && !first.weight.requiresGrad);
    // They are the caller's: what is done to them is not done to the weight.
    second.weight.dispose();
    first.weight.assign(zeros([2]));
    assertEquals(await f(x).before.toArray(), [4, 5]);
  },
);

deviceTest(
  "compile() leaves lazy tensors and views their old values",
  async () => {
    const weight = tensor([1, 2]);
    await weight.realize();
    const column = weight.reshape([2, 1]);
    await column.realize();
    const other = tensor([0, 0]);
    other.assign(weight);
    const lazy = weight.mul(10);
    const f = compile(() => {
      weight.assign(weight.add(1));
      return column.mul(100);
    });
    f();
    const later = weight.mul(10);
    assertEquals(await f().toArray(), [[100], [200]]);
    assertEquals(await lazy.toArray(), [10, 20]);
    assertEquals(await later.toArray(), [20, 30]);
    assertEquals(await weight.toArray(), [3, 4]);
    for (let run = 0; run < 3; run++) f();
    assertEquals(await column.toArray(), [[1], [2]]);
    assertEquals(await other.toArray(), [1, 2]);
    assertEquals(await weight.toArray(), [6, 7]);
  },
);

deviceTest(
  "compile() computes lazy arguments, and those from any device memory",
  async () => {
    const f = compile((x, y) => x.mul(2).add(y));
    const x = tensor([1, 2]);
    assertEquals(await f(x, x).toArray(), [3, 6]);
    const onDevice = await tensor([3, 4]).realize();
    assertEquals(await f(onDevice, onDevice).toArray(), [9, 12]);
    const lazy = onDevice.add(x);
    assertEquals(await f(lazy, x).toArray(), [9, 14]);
    const view = onDevice.reshape([1, 2]).reshape([2]);
    assertEquals(await f(view, onDevice.flip([0])).toArray(), [10, 11]);
    assertEquals(await f(f(x, x), f(x, x)).toArray(), [9, 18]);
    assertEquals(await f(x, tensor([5, 5])).toArray(), [7, 9]);
    assertEquals(await f(tensor([true, false]).cast("float32"), x).toArray(), [
      3,
      2,
    ]);
    assertEquals(f.traces, 1);
  },
);

deviceTest(
  "compile() takes an argument that it also closes over and assigns",
  async () => {
    const weight = tensor([1, 2, 3]);
    const f = compile((x) => {
      weight.assign(weight.mul(2).add(1));
      // This waits for what is assigned: so the argument is read late.
      return x.flip([0]).add(weight.cumsum(0).slice(2));
    });
    const wanted = (before: number[], after: number[]) =>
      before.toReversed().map((value) => value + after.reduce((a, b) => a + b));
    let before = [1, 2, 3];
    for (let run = 0; run < 4; run++) {
      const after = before.map((value) => 2 * value + 1);
      assertEquals(await f(weight).toArray(), wanted(before, after));
      assertEquals(await weight.toArray(), after);
      before = after;
    }
    const copy = await weight.add(0).realize();
    await f(copy).data();
    assertEquals(await copy.toArray(), before);
  },
);

deviceTest("compile() keeps apart tensors that show one value", async () => {
  const value = await tensor([1, 2]).realize();
  const [a, b, c] = [zeros([2]), zeros([2]), zeros([2])];
  for (const one of [a, b, c]) one.assign(value);
  const f = compile(() => {
    a.assign(a.add(1));
    b.assign(c.mul(2));
    return [a.add(b), c.add(value)];
  });
  const [first] = f();
  f();
  assertEquals(await first!.toArray(), [4, 7]);
  assertEquals(await a.toArray(), [3, 4]);
  assertEquals(await b.toArray(), [2, 4]);
  assertEquals(await c.toArray(), [1, 2]);
  assertEquals(await value.toArray(), [1, 2]);
});

deviceTest("compile() swaps, repeats and chains what it assigns", async () => {
  const [a, b] = [tensor([1, 2]), tensor([3, 4])];
  const swap = compile(() => {
    const before = a.add(0);
    a.assign(b);
    b.assign(before);
  });
  swap();
  assertEquals([await a.toArray(), await b.toArray()], [[3, 4], [1, 2]]);
  swap();
  swap();
  assertEquals([await a.toArray(), await b.toArray()], [[3, 4], [1, 2]]);
  const chain = compile(() => {
    a.assign(a.flip([0]));
    a.assign(a.add(b));
    b.assign(a);
    return a;
  });
  assertEquals(await chain().toArray(), [5, 5]);
  assertEquals(await chain().toArray(), [10, 10]);
  assertEquals([await a.toArray(), await b.toArray()], [[10, 10], [10, 10]]);
  a.assign(tensor([0, 1]));
  assertEquals(await b.toArray(), [10, 10]);
  assertEquals(await chain().toArray(), [11, 10]);
});

deviceTest(
  "compile() of no kernel, of nothing, and of empty tensors",
  async () => {
    const x = tensor([1, 2]);
    const same = compile((x) => x);
    const copy = same(x);
    assert(copy !== x);
    assertEquals(await copy.toArray(), [1, 2]);
    const made = compile(() => [ones([2]), tensor([7])]);
    const [one] = made();
    one!.assign(zeros([2]));
    const [again, seven] = made();
    assertEquals(await again!.toArray(), [1, 1]);
    assertEquals(await seven!.toArray(), [7]);
    assertEquals(compile(() => {})(), undefined);
    const twice = compile((x) => {
      const sum = x.add(1);
      return [sum, sum];
    })(x);
    twice[0]!.dispose();
    assertEquals(await twice[1]!.toArray(), [2, 3]);
    const empty = compile((
      x: Tensor,
    ) => [x, x.mul(2), x.sum(), x.max({ axis: 1 })]);
    const results = empty(zeros([0, 3]));
    await realize(...results);
    assertEquals(results.map(({ shape }) => shape), [[0, 3], [0, 3], [], [0]]);
    assertEquals(await results[2]!.item(), 0);
  },
);

deviceTest("compile() draws what the function would draw", async () => {
  const generator = new Generator(1);
  const key = randomKey(2);
  const draw = () => {
    const [a, b] = generator.next().split();
    const own = new Generator(5);
    own.next();
    return [
      uniform(a!, [2]),
      uniform(b!, [2]),
      uniform(generator.next().fold(7), [1]),
      uniform(own.next(), [2]),
      uniform(key, [2]),
    ];
  };
  const start = generator.state();
  const values = async (f: () => Tensor[]) => {
    generator.restore(start);
    const runs: unknown[] = [];
    for (let run = 0; run < 3; run++) {
      for (const x of f()) runs.push(await x.toArray());
    }
    return runs;
  };
  const drawn = await values(draw);
  assertEquals(await values(compile(draw)), drawn);
  assertEquals(drawn.slice(3, 5), drawn.slice(8, 10));
  assertNotEquals(drawn[0], drawn[5]);
});

deviceTest(
  "compile() and scopes: results are of the scope around the call",
  async (device) => {
    const weight = tensor([1, 2]);
    const f = compile((x) => {
      using _inner = new Scope();
      const sum = x.add(weight);
      weight.assign(sum.mul(2));
      return [sum, x.mul(3)];
    });
    const x = tensor([1, 1]);
    let kept: Tensor | undefined;
    {
      using scope = new Scope();
      kept = scope.keep(f(x)[0]!);
      f(x);
    }
    const { buffers } = device.memory();
    for (let run = 0; run < 4; run++) {
      using _scope = new Scope();
      f(x);
    }
    assertEquals(device.memory().buffers, buffers);
    assertEquals(await kept.toArray(), [2, 3]);
  },
);
