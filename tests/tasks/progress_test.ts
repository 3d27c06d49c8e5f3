import { assert, assertEquals } from "@std/assert";
import {
  drawBar,
  formatDuration,
  formatMetric,
  formatRatio,
  formatTable,
  formatTime,
} from "../../tasks/_format.ts";
import { Progress, type ProgressOptions } from "../../tasks/_progress.ts";

/** A terminal or a file to write to, and a clock set by hand. */
function bench(
  options: Partial<ProgressOptions> & { columns?: number; terminal?: boolean },
) {
  const { columns = 120, terminal = true, ...rest } = options;
  const state = { now: 5000, text: "", writes: 0, columns };
  const progress = new Progress({
    epochs: 4,
    stepsPerEpoch: 10,
    clock: () => state.now,
    writer: {
      isTerminal: terminal,
      unicode: true,
      columns: () => state.columns,
      write: (text) => {
        state.text += text;
        state.writes++;
      },
    },
    ...rest,
  });
  return { state, progress };
}

/** The lines as a terminal would show them after redrawing. */
function onScreen(text: string): string[] {
  return text.split("\n").map((line) =>
    line.split("\r").at(-1)!.replace("\x1b[K", "")
  );
}

Deno.test("Progress shows epoch, bar, metrics, rate and time left on a terminal", () => {
  const { state, progress } = bench({});
  state.now += 2000;
  progress.update(2, 10, { loss: 0.43219, accuracy: 0.931 });
  assertEquals(
    state.text,
    "\repoch 2/4  ━━━━━━━━━━━━┄┄┄┄┄┄┄┄┄┄┄┄  50%  loss 0.4322  " +
      "accuracy 93.1%  10.0 steps/s  0:02 left\x1b[K",
  );
});

Deno.test("Progress counts parts of another name, without steps", () => {
  const { state, progress } = bench({
    epochName: "part",
    showSteps: false,
    stepsPerEpoch: 1000,
  });
  state.now += 2000;
  progress.update(2, 1000, { "": "a pool" });
  assertEquals(
    state.text,
    "\rpart 2/4  ━━━━━━━━━━━━┄┄┄┄┄┄┄┄┄┄┄┄  50%  a pool  0:02 left\x1b[K",
  );
});

Deno.test("Progress redraws ten times a second at most and finishes with the last state", () => {
  const { state, progress } = bench({ epochs: 1, stepsPerEpoch: 1000 });
  for (let step = 1; step <= 1000; step++) {
    state.now += 1;
    progress.update(1, step, { loss: 1 });
  }
  assert(state.writes <= 11, `${state.writes} writes`);
  progress.finish();
  progress.finish();
  progress.update(1, 1000);
  const [line, rest] = onScreen(state.text);
  assertEquals(
    line,
    "epoch 1/1  ━━━━━━━━━━━━━━━━━━━━━━━━ 100%  step 1000/1000  " +
      "loss 1.000  1000 steps/s  in 0:01",
  );
  assertEquals(rest, "");
});

Deno.test("Progress fits every width and follows a terminal that changes", () => {
  const { state, progress } = bench({ label: "round 3/10" });
  let epoch = 0;
  for (let columns = 160; columns >= 1; columns--) {
    state.columns = columns;
    state.now += 200;
    state.text = "";
    progress.update(1 + (epoch++ & 1), 5, { loss: 0.5, accuracy: 0.5 });
    const [line] = onScreen(state.text);
    assert(line!.length <= Math.max(columns - 1, 1), `${columns}: ${line}`);
    if (columns >= 45) assert(line!.includes("loss 0.5000"), line);
    if (columns >= 12) assert(line!.includes("epoch"), line);
  }
});

Deno.test("Progress gives up the rate, the time and the label before the loss", () => {
  const at = (columns: number) => {
    const { state, progress } = bench({ label: "round 3/10", columns });
    state.now += 1000;
    progress.update(1, 5, { loss: 0.5, accuracy: 0.25 });
    return onScreen(state.text)[0];
  };
  assertEquals(
    at(100),
    "round 3/10  epoch 1/4  ━━┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  12%  loss 0.5000  " +
      "accuracy 25.0%  5.00 steps/s  0:07 left",
  );
  assertEquals(at(40), "epoch 1/4  loss 0.5000  accuracy 25.0%");
  assertEquals(at(30), "epoch 1/4  loss 0.5000");
  assertEquals(at(15), "epoch 1/4");
  assertEquals(at(6), "epoch");
});

Deno.test("Progress prints plain lines without control characters where there is no terminal", () => {
  const { state, progress } = bench({ terminal: false, label: "both" });
  state.now += 1500;
  progress.update(1, 10, { loss: 0.7, accuracy: 0.5 });
  state.now += 1500;
  progress.update(2, 10, { loss: 0.6 });
  progress.finish();
  assertEquals(
    state.text,
    "both  epoch 1/4  step 10/10  loss 0.7000  accuracy 50.0%  " +
      "6.67 steps/s  0:05 left\n" +
      "both  epoch 2/4  step 10/10  loss 0.6000  accuracy 50.0%  " +
      "6.67 steps/s  0:03 left\n",
  );
});

Deno.test("Progress prints one plain line a second for quick epochs, and the last one", () => {
  const { state, progress } = bench({ terminal: false, epochs: 100 });
  for (let epoch = 1; epoch <= 100; epoch++) {
    state.now += 50;
    progress.update(epoch, 10, { loss: epoch });
  }
  progress.finish();
  const lines = state.text.trimEnd().split("\n");
  assertEquals(lines.length, 6);
  assert(lines[0]!.startsWith("epoch 1/100"), lines[0]);
  assert(lines.at(-1)!.startsWith("epoch 100/100"), lines.at(-1));
});

Deno.test("Progress prints a plain line every ten seconds inside a long epoch", () => {
  const { state, progress } = bench({ terminal: false, stepsPerEpoch: 100 });
  for (let step = 1; step < 60; step++) {
    state.now += 1000;
    progress.update(1, step);
  }
  // At 9 s (the clock starts one second early), 19, 29, 39, 49 and 59 s.
  assertEquals(state.text.match(/\n/g)!.length, 6);
});

Deno.test("Progress of a resumed run counts the rate from where it began", () => {
  const { state, progress } = bench({ epochsDone: 3, terminal: false });
  state.now += 1000;
  progress.update(4, 5);
  state.now += 1000;
  progress.update(4, 10);
  assertEquals(
    state.text,
    "epoch 4/4  step 10/10  5.00 steps/s  in 0:02\n",
  );
});

Deno.test("Progress keeps messages apart from its line", () => {
  const { state, progress } = bench({});
  progress.log("before");
  state.now += 1000;
  progress.update(1, 1, { loss: 1 });
  progress.log("saved");
  const lines = onScreen(state.text);
  assertEquals(lines.slice(0, 2), ["before", "saved"]);
  assert(lines[2]!.startsWith("epoch 1/4"));
  assertEquals(lines.length, 3);
});

Deno.test("Progress that was never updated writes nothing", () => {
  for (const terminal of [true, false]) {
    const { state, progress } = bench({ terminal });
    progress.finish();
    assertEquals(state.text, "");
  }
});

Deno.test("drawBar() fills in half characters and stays in its width", () => {
  assertEquals(drawBar(0, 4, true), "┄┄┄┄");
  assertEquals(drawBar(0.375, 4, true), "━╸┄┄");
  assertEquals(drawBar(1, 4, true), "━━━━");
  assertEquals(drawBar(0.5, 4, false), "##..");
  for (const share of [-1, 0.01, 0.99, 2, NaN]) {
    assertEquals(drawBar(share, 7, true).length, 7);
  }
});

Deno.test("formatMetric() shows shares in percent and numbers in four digits", () => {
  assertEquals(formatMetric("accuracy", 0.9484), "94.8%");
  assertEquals(formatMetric("testAccuracy", 1), "100.0%");
  assertEquals(formatMetric("loss", 0.000123), "1.23e-4");
  assertEquals(formatMetric("loss", 0), "0.000");
  assertEquals(formatMetric("loss", 12345.6), "12346");
  assertEquals(formatMetric("loss", NaN), "NaN");
  assertEquals(formatMetric("phase", "warm-up"), "warm-up");
});

Deno.test("formatTime() counts minutes and hours", () => {
  assertEquals(formatTime(0), "0:00");
  assertEquals(formatTime(59_600), "1:00");
  assertEquals(formatTime(3_723_000), "1:02:03");
  assertEquals(formatTime(360_000_000), "100:00:00");
});

Deno.test("Progress says no rate and no time left before it can know them", () => {
  const { state, progress } = bench({ terminal: false, stepsPerEpoch: 1 });
  state.now += 0.1;
  progress.update(1, 1, { loss: 0.5 });
  assertEquals(state.text, "epoch 1/4  step 1/1  loss 0.5000\n");
  state.text = "";
  state.now += 1000;
  progress.update(2, 1);
  assertEquals(
    state.text,
    "epoch 2/4  step 1/1  loss 0.5000  2.00 steps/s  0:01 left\n",
  );
});

Deno.test("formatTable() aligns words on the left and numbers on the right", () => {
  assertEquals(
    formatTable([["way", "ms"], ["loop", "10.5"], ["a", "7"]], [0]),
    ["way     ms", "loop  10.5", "a        7"],
  );
});

Deno.test("formatDuration() and formatRatio() have three digits", () => {
  assertEquals(
    [0.0123, 0.5, 1, 12.34, 999, 1234, 250_000].map(formatDuration),
    ["12.3 µs", "500 µs", "1.00 ms", "12.3 ms", "999 ms", "1.23 s", "250 s"],
  );
  assertEquals([0.51234, 1, 20.44, 1530].map(formatRatio), [
    "0.512x",
    "1.00x",
    "20.4x",
    "1530x",
  ]);
});
