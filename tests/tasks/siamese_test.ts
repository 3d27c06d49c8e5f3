import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { encodeIdx, hostArray } from "@heddle/data";
import { Generator, zeros } from "@heddle/tensor";
import {
  siamese,
  type SiameseCheckpoints,
  SiameseStopped,
  type SiameseVariant,
} from "@heddle/tasks";
import { SiameseNetwork, spatialPath } from "../../tasks/_siamese_network.ts";

const SMALL = { pairs: 40, epochs: 3, channels: 3, hidden: 8, batch: 10 };

/** Checkpoints in memory. */
function memory(): SiameseCheckpoints & { saves: number } {
  let kept: Uint8Array | undefined;
  return {
    saves: 0,
    read: () => Promise.resolve(kept),
    write(bytes) {
      kept = bytes;
      this.saves++;
      return Promise.resolve();
    },
  };
}

/** Blank images under the names of MNIST. */
async function writeMnist(folder: string): Promise<void> {
  const count = 20;
  const labels = Uint8Array.from({ length: count }, (_, at) => at % 10);
  const files = {
    "images-idx3-ubyte": encodeIdx(
      hostArray(new Uint8Array(count * 28 * 28), [count, 28, 28]),
    ),
    "labels-idx1-ubyte": encodeIdx(hostArray(labels)),
  };
  for (const part of ["train", "t10k"]) {
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(`${folder}/${part}-${name}`, bytes);
    }
  }
}

const quiet = { device: "wasm", data: "no/such/folder" } as const;

Deno.test("spatialPath() gives the sizes of the five networks", () => {
  assertEquals(spatialPath(1, 3), [14, 12, 10, 5]);
  assertEquals(spatialPath(2, 3), [14, 12, 4, 4]);
  assertEquals(spatialPath(3, 3), [14, 12, 4, 3]);
  assertEquals(spatialPath(4, 3), [14, 15, 5, 3]);
  assertEquals(spatialPath(5, 3), [14, 12, 6, 4]);
  assertEquals(spatialPath(5, 1), [14, 14, 7, 7]);
  assertEquals(spatialPath(5, 5), [14, 10, 5, 1]);
});

Deno.test("spatialPath() names the kernel that does not fit", () => {
  const message =
    "kernel: 6 does not fit architecture 5: a conv of 6 on 4 x 4 " +
    "pixels leaves nothing: use 1 to 5";
  assertThrows(() => spatialPath(5, 6), RangeError, message);
});

Deno.test("SiameseNetwork gives logits and probabilities for all five", () => {
  for (const architecture of [1, 2, 3, 4, 5]) {
    for (const weightSharing of [true, false]) {
      const network = new SiameseNetwork({
        architecture,
        weightSharing,
        channels: 2,
        hidden: 5,
        kernel: 3,
        generator: new Generator(1),
      });
      const said = network.forward(zeros([4, 2, 14, 14]));
      assertEquals(said.first.shape, [4, 10]);
      assertEquals(said.second.shape, [4, 10]);
      assertEquals(said.probability.shape, [4]);
      assertEquals(network.branches.length, weightSharing ? 1 : 2);
    }
  }
});

Deno.test("siamese() learns, and says what it did", async () => {
  const epochs: number[] = [];
  const result = await siamese(
    { ...SMALL, pairs: 300, epochs: 8, hidden: 40, channels: 8 },
    {
      ...quiet,
      onEpoch: ({ epoch }) => void epochs.push(epoch),
    },
  );
  assertEquals(epochs, [1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(result.task, "siamese");
  assertEquals(result.device, "wasm");
  assertEquals(result.source, "generated");
  const [found] = result.variants;
  const { history } = found!;
  assert(history.at(-1)!.trainLoss < 0.8 * history[0]!.trainLoss);
  assert(found!.testAccuracy.mean > 0.6, `${found!.testAccuracy.mean}`);
  assertEquals(found!.confusion.flat().reduce((a, b) => a + b, 0), 600);
  assertEquals(found!.testAccuracy.values, [history.at(-1)!.testAccuracy]);
  assert(result.model.length > 1000);
});

Deno.test("siamese() compares the four variants over rounds", async () => {
  const result = await siamese(
    { ...SMALL, compare: true, rounds: 2, epochs: 1 },
    quiet,
  );
  assertEquals(
    result.variants.map(({ name }) => name),
    ["none", "sharing", "auxiliary", "both"],
  );
  for (const { testAccuracy: { mean, sd, values } } of result.variants) {
    const [a, b] = values as [number, number];
    assertEquals(mean, (a + b) / 2);
    assertAlmostEquals(sd, Math.abs(a - b) / Math.SQRT2);
  }
});

Deno.test("siamese() resumed anywhere gives the bits of a run in one go", async () => {
  const settings = { ...SMALL, rounds: 2, augment: true };
  const whole = await siamese(settings, quiet);
  for (const stopAt of [5, 18]) {
    const checkpoints = memory();
    let steps = 0;
    const stop = { requested: false };
    await assertRejects(
      () =>
        siamese(settings, {
          ...quiet,
          checkpoints,
          stop,
          onStep: () => stop.requested = ++steps === stopAt,
        }),
      SiameseStopped,
    );
    assertEquals(checkpoints.saves > 0, true);
    const resumed = await siamese(settings, { ...quiet, checkpoints });
    assertEquals(resumed.variants, whole.variants);
    assertEquals(resumed.model, whole.model);
  }
});

Deno.test("siamese() does not go on with other digits", async () => {
  const checkpoints = memory();
  const short = { ...SMALL, pairs: 4, epochs: 1 };
  await siamese(short, { ...quiet, checkpoints });
  const folder = await Deno.makeTempDir();
  try {
    await writeMnist(folder);
    await assertRejects(
      () => siamese(short, { ...quiet, data: folder, checkpoints }),
      Error,
      `siamese: the run was begun with drawn digits: got MNIST from ${folder}`,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("siamese() takes one pair a step, whatever the pixels", async () => {
  for (const settings of [{}, { preset: "original" } as const]) {
    const short = { pairs: 6, epochs: 1, channels: 2, hidden: 4 };
    let steps = 0;
    const result = await siamese({ ...short, ...settings }, {
      ...quiet,
      onStep: ({ steps: all }) => {
        assertEquals(all, 6);
        steps++;
      },
    });
    assertEquals(steps, 6);
    assertEquals(result.settings.batch, 1);
    const [{ examples }] = result.variants as [SiameseVariant];
    const white = Math.max(
      ...examples.flatMap(({ images }) => [...images[0]!]),
    );
    assert(settings.preset ? white > 1 : white <= 1, `${white}`);
  }
  const original = await siamese(
    { ...SMALL, epochs: 1, preset: "original" },
    quiet,
  );
  assertEquals(original.settings.batch, 10);
});

Deno.test("siamese() refuses settings that do not hold together", async () => {
  await assertRejects(
    () => siamese({ architecture: 6 }),
    RangeError,
    "siamese: architecture must be from 1 to 5: got 6",
  );
  await assertRejects(
    () => siamese({ architecture: 5, kernel: 9 }),
    RangeError,
    "kernel: 9 does not fit",
  );
});
