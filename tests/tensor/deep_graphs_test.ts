import { tensor } from "@heddle/tensor";
import { assertEquals } from "@std/assert";
import { assertClose, assertSame } from "../assert_close.ts";
import { deviceTest } from "../devices.ts";

deviceTest("a chain of 10,000 operations is computed in one go", async () => {
  let x = tensor([1, 2]);
  for (let i = 0; i < 10_000; i++) x = x.add(i % 2 ? 1 : -0.5);
  await assertSame(x, [2501, 2502]);
}, { devices: ["wasm", "webgpu"] });

deviceTest(
  "backward() through 3000 products is a chain of constants",
  async () => {
    const x = tensor([1, 2], { requiresGrad: true });
    let y = x;
    for (let i = 0; i < 3000; i++) y = y.mul(i % 2 ? 1.5 : 1 / 1.5);
    y.sum().backward();
    await assertClose(x.grad!, [1, 1], { rtol: 3e-4 });
  },
  { devices: ["wasm", "webgpu"] },
);

deviceTest(
  "movements by the hundred are worked out one after another",
  async () => {
    const order = [0, 1, 2, 3, 4, 5];
    let expected = order;
    let x = tensor(order, { shape: [2, 3] });
    for (let i = 0; i < 200; i++) {
      x = x.transpose().reshape([2, 3]);
      expected = [0, 3, 1, 4, 2, 5].map((at) => expected[at]!);
    }
    assertEquals([...await x.data()], expected);
  },
);
