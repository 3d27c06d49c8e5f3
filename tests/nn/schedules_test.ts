import {
  CosineAnnealingLR,
  type Schedule,
  type Scheduled,
  StepLR,
  WarmupCosineLR,
  WarmupLinearLR,
} from "@heddle/nn";
import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { SCHEDULES } from "./fixtures.ts";

function twoGroups(): Scheduled & { readonly rates: number[] } {
  const groups = [{ learningRate: 0.5 }, { learningRate: 0.003 }];
  return {
    groups,
    get rates() {
      return groups.map(({ learningRate }) => learningRate);
    },
  };
}

/** The schedules of `make_fixtures.py`, made the same way. */
const MAKE: Readonly<Record<string, (optimizer: Scheduled) => Schedule>> = {
  "step": (o) => new StepLR(o, { stepSize: 3, gamma: 0.9 }),
  "step by default": (o) => new StepLR(o, { stepSize: 7 }),
  "cosine annealing": (o) => new CosineAnnealingLR(o, { halfPeriod: 9 }),
  "cosine annealing to a minimum": (o) =>
    new CosineAnnealingLR(o, { halfPeriod: 24, minimum: 0.001 }),
  "linear": (o) => new WarmupLinearLR(o, { warmupSteps: 4, totalSteps: 20 }),
  "cosine": (o) => new WarmupCosineLR(o, { warmupSteps: 4, totalSteps: 24 }),
};

for (const { name, rates } of SCHEDULES) {
  Deno.test(`Schedule gives PyTorch's rates: ${name}`, () => {
    const optimizer = twoGroups();
    const schedule = MAKE[name]!(optimizer);
    for (const [step, expected] of rates.entries()) {
      expected.forEach((rate, at) =>
        // PyTorch multiplies on and on; ours comes from the step alone.
        assertAlmostEquals(
          optimizer.rates[at]!,
          rate,
          1e-12 * rate + 1e-16,
          `group ${at}, step ${step}`,
        )
      );
      schedule.step();
    }
  });

  Deno.test(`restore() goes to where a schedule was: ${name}`, () => {
    const [one, other] = [twoGroups(), twoGroups()];
    const first = MAKE[name]!(one);
    for (let step = 0; step < 6; step++) first.step();
    // Rates that were changed since: the state has the first ones.
    other.groups[0]!.learningRate = 77;
    const second = MAKE[name]!(other);
    second.restore(JSON.parse(JSON.stringify(first.state())));
    assertEquals(other.rates, one.rates);
    assertEquals(second.steps, 6);
    first.step();
    second.step();
    assertEquals(other.rates, one.rates);
  });
}

Deno.test("WarmupCosineLR falls to the minimum and stays there", () => {
  const optimizer = { groups: [{ learningRate: 1 }] };
  const schedule = new WarmupCosineLR(optimizer, {
    totalSteps: 2,
    minimum: 0.25,
  });
  const seen: number[] = [];
  for (let step = 0; step < 5; step++) {
    seen.push(optimizer.groups[0]!.learningRate);
    schedule.step();
  }
  assertEquals(seen, [1, 0.625, 0.25, 0.25, 0.25]);
});

Deno.test("WarmupLinearLR may be warm-up alone", () => {
  const optimizer = { groups: [{ learningRate: 4 }] };
  const schedule = new WarmupLinearLR(optimizer, {
    warmupSteps: 2,
    totalSteps: 2,
    minimum: 1,
  });
  const seen: number[] = [];
  for (let step = 0; step < 4; step++) {
    seen.push(optimizer.groups[0]!.learningRate);
    schedule.step();
  }
  assertEquals(seen, [0, 2, 4, 1]);
});

Deno.test("Schedule refuses options out of range and states of others", () => {
  const optimizer = twoGroups();
  assertThrows(
    () => new StepLR(optimizer, { stepSize: 0 }),
    RangeError,
    "StepLR: stepSize must be a whole number from 1: got 0",
  );
  assertThrows(
    () => new WarmupLinearLR(optimizer, { warmupSteps: 3, totalSteps: 2 }),
    RangeError,
    "warm-up is longer than the whole: got 3 of 2 steps",
  );
  assertThrows(
    () => new CosineAnnealingLR(optimizer, { halfPeriod: 2, minimum: -1 }),
    RangeError,
    "CosineAnnealingLR: minimum must be 0 or more: got -1",
  );
  const schedule = new StepLR(optimizer, { stepSize: 1 });
  for (
    const state of [
      { step: 1, baseRates: [1] },
      { step: -1, baseRates: [1, 2] },
      { step: 1, baseRates: [1, NaN] },
    ]
  ) {
    assertThrows(
      () => schedule.restore(state),
      RangeError,
      "StepLR.restore: the state does not fit 2 groups",
    );
  }
  assertEquals(schedule.steps, 0);
});
