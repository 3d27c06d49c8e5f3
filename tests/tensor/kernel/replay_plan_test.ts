import {
  checkpoint,
  Scope,
  type Tensor,
  tensor,
  useDevice,
  valueAndGrad,
} from "@heddle/tensor";
import { assert, assertEquals, assertLess } from "@std/assert";
import type { Device } from "../../../tensor/device/runtime.ts";
import { planOf } from "../../../tensor/kernel/plan.ts";
import { signatureOf } from "../../../tensor/kernel/program.ts";
import {
  type ReplayOptions,
  type ReplayPlan,
  replayPlanOf,
} from "../../../tensor/kernel/replay_plan.ts";
import { nodeOf } from "../../../tensor/tensor.ts";
import { seeded } from "../../seeded.ts";
import { randomGraph } from "../random_graph.ts";
import { openReference } from "../reference_backend.ts";

const LIMITS = { maxBuffers: 32, minRows: 8 };

/** Plans results, each of which may replace a tensor. */
function plan(
  roots: readonly (readonly [value: Tensor, replaced?: Tensor])[],
  options: Partial<ReplayOptions> & { maxBuffers?: number } = {},
): ReplayPlan {
  const signature = signatureOf(roots.map(([value]) => nodeOf(value)));
  const slots = signature.sources.map(({ storage }) => storage);
  const replaces = roots.map(([, replaced]) => {
    const slot = replaced ? slots.indexOf(nodeOf(replaced).storage) : -1;
    return slot < 0 ? undefined : slot;
  });
  const { maxBuffers = LIMITS.maxBuffers } = options;
  const plan = planOf(signature, { ...LIMITS, maxBuffers });
  return replayPlanOf(plan, { replaces, ...options })!;
}

/** Names the memory of a buffer. */
function memoryOf({ places }: ReplayPlan, number: number): string {
  const place = places[number]!;
  switch (place.kind) {
    case "source":
      return `source ${place.slot}`;
    case "block":
      return `block ${place.block}`;
    default:
      return `result ${number}`;
  }
}

/**
 * Follows whose values lie where: each step must find what it reads, and what
 * it overwrites must be nobody's any more.
 */
function checkPlan(replay: ReplayPlan, of: string): void {
  const { steps, blocks, places, sizes, roots, copies } = replay;
  const written = new Set(
    steps.flatMap(({ kernel, buffers }) =>
      buffers.filter((_, slot) => kernel.buffers[slot]!.output)
    ),
  );
  const holder = new Map<string, number>();
  const read = (number: number) => {
    const memory = memoryOf(replay, number);
    if (!holder.has(memory) && !written.has(number)) holder.set(memory, number);
    assertEquals(
      holder.get(memory),
      number,
      `${of}: ${memory} was overwritten`,
    );
  };
  for (const { kernel, buffers } of steps) {
    const slots = kernel.buffers;
    buffers.forEach((number, slot) => {
      assert(sizes[number]! >= slots[slot]!.size, of);
      if (!slots[slot]!.output) read(number);
    });
    const memories = buffers.map((number) => memoryOf(replay, number));
    buffers.forEach((number, slot) => {
      const { output, overwrites } = slots[slot]!;
      if (!output) return;
      memories.forEach((memory, other) => {
        if (other === slot || memory !== memories[slot]) return;
        assertEquals(other, overwrites, `${of}: ${memory} is named twice`);
      });
      holder.set(memories[slot]!, number);
    });
  }
  for (const { from, to } of copies) {
    read(from);
    holder.set(memoryOf(replay, to), to);
  }
  roots.forEach((number) => {
    assert(places[number]!.kind !== "block", `${of}: a result in a block`);
    read(number);
  });
  places.forEach((place, number) => {
    if (place.kind !== "block") return;
    assert(blocks[place.block]! >= sizes[number]!, `${of}: too small a block`);
  });
}

/** The device is only there for values that are computed already. */
function withDevice(test: (device: Device) => void): () => void {
  return () => {
    using device = openReference();
    useDevice(device);
    using _scope = new Scope();
    test(device);
  };
}

Deno.test(
  "replayPlanOf() overwrites nothing that is still read",
  withDevice(() => {
    let saved = 0;
    for (let seed = 1; seed <= 120; seed++) {
      const random = seeded(seed);
      const results = randomGraph({
        seed,
        whole: true,
        gradients: seed % 2 === 0,
        length: 4 + seed % 12,
      });
      const sources = signatureOf(results.map(nodeOf)).sources;
      const free = sources.map((_, slot) => slot);
      const replaces = results.map(({ size, dtype }) => {
        const at = free.findIndex((slot) =>
          sources[slot]!.dtype === dtype &&
          sources[slot]!.shape.reduce((a, b) => a * b, 1) === size
        );
        return at < 0 || random.next() < 0.3
          ? undefined
          : free.splice(at, 1)[0];
      });
      for (const maxBuffers of [32, 8]) {
        const made = plan(results.map((x) => [x]), { replaces, maxBuffers });
        checkPlan(made, `seed ${seed}, ${maxBuffers} buffers`);
        const apart = plan(results.map((x) => [x]), {
          replaces,
          maxBuffers,
          inPlace: false,
        });
        checkPlan(apart, `seed ${seed}, not in place`);
        const elements = ({ blocks }: ReplayPlan) =>
          blocks.reduce((a, b) => a + b, 0);
        saved += elements(apart) - elements(made);
      }
    }
    assert(saved > 0);
  }),
);

Deno.test(
  "replayPlanOf() puts new values where the old ones lie, if it can",
  withDevice(() => {
    const kindsOf = (...roots: [Tensor, Tensor?][]) => {
      const made = plan(roots);
      checkPlan(made, "");
      return made.roots.map((number) => made.places[number]!.kind);
    };
    const a = tensor([[1, 2], [3, 4]]);
    const b = tensor([[5, 6], [7, 8]]);
    assertEquals(kindsOf([a.mul(2), a]), ["source"]);
    assertEquals(kindsOf([a.mul(2).add(a), a]), ["source"]);
    assertEquals(kindsOf([a.mul(b), a], [b.add(1), b]), ["source", "source"]);
    // Other elements of it are still wanted.
    assertEquals(kindsOf([a.flip([0]), a]), ["result"]);
    assertEquals(kindsOf([a.matmul(b), a]), ["result"]);
    // Each is wanted by the other: one has to wait.
    assertEquals(
      kindsOf([b.flip([0]), a], [a.flip([0]), b]),
      ["source", "result"],
    );
    // What it was is a result.
    assertEquals(kindsOf([a.mul(2), a], [a]), ["result", "result"]);
    // One value for two: the second is a copy.
    const sum = a.add(b);
    assertEquals(kindsOf([sum, a], [sum, b]), ["source", "result"]);
    assertEquals(kindsOf([sum], [sum, b]), ["result", "result"]);
  }),
);

Deno.test(
  "replayPlanOf() lets values that are not needed at once share memory",
  withDevice(() => {
    let x = tensor(new Float32Array(100));
    for (let at = 0; at < 10; at++) x = x.cumsum(0).add(1);
    const { blocks } = plan([[x]]);
    assert(blocks.length <= 2, `${blocks}`);
  }),
);

Deno.test(
  "replayPlanOf() computes again no sooner than it is needed",
  withDevice(() => {
    const weights = Array.from(
      { length: 12 },
      (_, at) => seeded(at).values([8, 8]).tensor(),
    );
    const block = (from: number) => (x: Tensor) => {
      for (let at = from; at < from + 3; at++) {
        x = x.matmul(weights[at]!).mul(0.1).exp().sub(1);
      }
      return x;
    };
    const total = (wrap: (f: (x: Tensor) => Tensor) => typeof f) => {
      const both = valueAndGrad((x) => {
        for (let at = 0; at < 12; at += 3) x = wrap(block(at))(x);
        return x.sum();
      })(seeded(1).values([64, 8]).tensor());
      const made = plan([[both.value], [both.grads[0]!]]);
      checkPlan(made, "blocks");
      return made.blocks.reduce((a, b) => a + b);
    };
    assertLess(total((f) => checkpoint(f)) / total((f) => f), 0.75);
  }),
);
