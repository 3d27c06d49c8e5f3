import { type Tensor, useDevice } from "@heddle/tensor";
import { assertEquals } from "@std/assert";
import { nodeOf } from "../../tensor/tensor.ts";
import { assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";
import { seeded } from "../seeded.ts";
import { Values } from "../values.ts";
import { openReference } from "./reference_backend.ts";

/** Sums of products over named axes, as `numpy.einsum` writes them. */
interface Product {
  /** `mk,kn->mn`: the axes of the factors and of the result. */
  readonly axes: string;
  /** Whether it runs as a matrix product. */
  readonly contract: boolean;
}

const SIZES: Record<string, number> = { b: 3, c: 2, m: 5, n: 7, k: 6, l: 4 };

const PRODUCTS: readonly Product[] = [
  { axes: "mk,kn->mn", contract: true },
  { axes: "km,nk->mn", contract: true },
  { axes: "mk,nk->nm", contract: true },
  { axes: "bmk,bkn->bmn", contract: true },
  { axes: "bmk,kn->bmn", contract: true },
  { axes: "mbk,nbk->bmn", contract: true },
  { axes: "bmk,cnk->bcmn", contract: true },
  { axes: "mkl,kln->mn", contract: true },
  { axes: "lmk,nkl->nm", contract: true },
  // A third factor on one side, on the sum alone, or on both.
  { axes: "mk,kn,m->mn", contract: true },
  { axes: "mk,kn,n->mn", contract: true },
  { axes: "mk,kn,k->mn", contract: true },
  { axes: "mk,kn,mk->mn", contract: true },
  { axes: "mk,kn,kn,m->mn", contract: true },
  { axes: "bmk,bkn,b->bmn", contract: true },
  // Factors that meet on every axis are no matrix product.
  { axes: "mk,kn,mn->mn", contract: false },
  { axes: "mk,mk->m", contract: false },
  { axes: "mk,k->m", contract: false },
  { axes: "k,k->", contract: false },
  { axes: "mn,mn,mn->mn", contract: false },
  // Sums over an axis that one factor alone has.
  { axes: "mkl,kn->mn", contract: true },
  { axes: "mk,kn->nm", contract: true },
];

/** Every factor in the loops of all axes. */
function product(axes: string, factors: readonly Tensor[]): Tensor {
  const [inputs, output] = axes.split("->") as [string, string];
  const names = inputs.split(",");
  const all = [...new Set(output + names.join(""))].join("");
  const wide = factors.map((factor, at) => {
    const own = names[at]!;
    const order = [...all].filter((name) => own.includes(name))
      .map((name) => own.indexOf(name));
    return factor.permute(order)
      .reshape([...all].map((name) => own.includes(name) ? SIZES[name]! : 1));
  });
  const summed = [...all].flatMap((name, axis) =>
    output.includes(name) ? [] : [axis]
  );
  const whole = wide.reduce((a, b) => a.mul(b));
  return summed.length > 0 ? whole.sum({ axis: summed }) : whole;
}

function productReference(axes: string, factors: readonly Values[]): Values {
  const [inputs, output] = axes.split("->") as [string, string];
  const names = inputs.split(",");
  const summed = [...new Set(names.join(""))]
    .filter((name) => !output.includes(name));
  const inner = Values.of(summed.map((name) => SIZES[name]!), () => 0);
  return Values.of([...output].map((name) => SIZES[name]!), (...index) => {
    let sum = 0;
    inner.map((_, place) => {
      const at = (name: string) =>
        output.includes(name)
          ? index[output.indexOf(name)]!
          : place[summed.indexOf(name)]!;
      sum += factors.reduce(
        (value, factor, i) => value * factor.at(...[...names[i]!].map(at)),
        1,
      );
      return 0;
    });
    return sum;
  });
}

function factorsOf(axes: string): Values[] {
  return axes.split("->")[0]!.split(",").map((names, at) =>
    // Whole numbers: every order of the sum is exact.
    seeded(at + 1).integers([...names].map((name) => SIZES[name]!), -3, 4)
  );
}

deviceTest("sums of products are right, matrix products or not", async () => {
  for (const { axes } of PRODUCTS) {
    const factors = factorsOf(axes);
    const result = product(axes, factors.map((factor) => factor.tensor()));
    await assertSame(result, productReference(axes, factors), axes);
  }
});

deviceTest("a matrix product of a tensor with itself", async () => {
  const [x] = factorsOf("mk->m") as [Values];
  const expected = Values.of([5, 5], (i, j) => {
    let sum = 0;
    for (let k = 0; k < 6; k++) sum += x.at(i!, k) * x.at(j!, k);
    return sum;
  });
  const t = x.tensor();
  await assertSame(t.matmul(t.transpose()), expected);
});

Deno.test("sums of products are matrix products where two factors part", () => {
  using device = openReference();
  useDevice(device);
  for (const { axes, contract } of PRODUCTS) {
    const factors = factorsOf(axes).map((factor) => factor.tensor());
    const { steps } = device.plan([nodeOf(product(axes, factors))]);
    const contracts = steps.filter(({ kernel }) =>
      kernel.kind === "loop" && kernel.contract !== undefined
    );
    assertEquals(contracts.length, contract ? 1 : 0, axes);
    assertEquals(steps.length, 1, axes);
  }
});

deviceTest("a product sums what was padded and moved behind it", async () => {
  const [a, b] = factorsOf("mk,kn->mn") as [Values, Values];
  const spread = a.tensor().unsqueeze(1).mul(b.tensor().transpose()); // [m, n, k]
  const expected = (f: (m: number, n: number, k: number) => number) =>
    Values.of([5, 7], (m, n) => {
      let sum = 0;
      for (let k = 0; k < 6; k++) sum += f(m!, n!, k);
      return sum;
    });
  const at = (m: number, n: number, k: number) => a.at(m, k) * b.at(k, n);
  await assertSame(
    spread.pad([[0, 0], [0, 0], [2, 3]]).sum({ axis: 2 }),
    expected(at),
    "zeros in the sum",
  );
  await assertSame(
    spread.slice(null, null, [null, null, -2]).sum({ axis: 2 }),
    expected((m, n, k) => k % 2 === 1 ? at(m, n, k) : 0),
    "every second",
  );
  await assertSame(
    spread.pad([[1, 0], [0, 2], [0, 0]]).sum({ axis: 2 }).slice([1, null], [
      0,
      7,
    ]),
    expected(at),
    "zeros around",
  );
});
