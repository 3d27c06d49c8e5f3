import { assert, assertEquals, assertThrows } from "@std/assert";
import { formatHelp } from "../../tasks/_help.ts";
import { nearest } from "../../tasks/_nearest.ts";
import { defineCommand, UsageError } from "../../tasks/_command.ts";
import { parseOptions, wantsHelp } from "../../tasks/_options.ts";
import { completeSettings } from "../../tasks/_settings.ts";

const COMMAND = defineCommand({
  name: "deno task train",
  summary: "Trains a network.\n\nSecond paragraph.",
  options: {
    pairs: { type: "int", default: 1000, min: 1, help: "Training pairs" },
    alpha: { type: "number", default: 0.5, min: 0, max: 1, help: "Share" },
    shift: { type: "number", help: "Any number" },
    learningRate: { type: "number", default: 1e-3, above: 0, help: "Rate" },
    dropoutRate: { type: "number", default: 0, min: 0, below: 1, help: "Rate" },
    preset: {
      type: "enum",
      choices: ["fast", "original"],
      default: "fast",
      help: "Settings",
    },
    out: { type: "string", placeholder: "DIR", help: "Results go there" },
    weightSharing: { type: "boolean", help: "Share the weights" },
    auxiliary: {
      type: "boolean",
      default: true,
      group: "Losses",
      help: "Leave out the auxiliary losses",
    },
  },
  examples: [{ args: "--pairs 10", help: "A short run" }],
});

function messageOf(...args: string[]): string {
  return assertThrows(() => parseOptions(COMMAND, args), UsageError).message;
}

Deno.test("parseOptions() gives the defaults and undefined where there is none", () => {
  assertEquals(parseOptions(COMMAND, []), {
    pairs: 1000,
    alpha: 0.5,
    shift: undefined,
    learningRate: 1e-3,
    dropoutRate: 0,
    preset: "fast",
    out: undefined,
    weightSharing: false,
    auxiliary: true,
  });
});

Deno.test("parseOptions() infers the types of the values from the declaration", () => {
  const options = parseOptions(COMMAND, []);
  const pairs: number = options.pairs;
  const shift: number | undefined = options.shift;
  const preset: "fast" | "original" = options.preset;
  const out: string | undefined = options.out;
  const sharing: boolean = options.weightSharing;
  // @ts-expect-error: no default, so it may be undefined
  const certain: string = options.out;
  // @ts-expect-error: not declared
  options.nothing;
  assertEquals([pairs, shift, preset, out, sharing, certain], [
    1000,
    undefined,
    "fast",
    undefined,
    false,
    undefined as unknown as string,
  ]);
});

Deno.test("parseOptions() reads values after a space and after an equals sign", () => {
  for (
    const args of [
      ["--pairs", "25", "--alpha", "1e-1", "--out", "a b"],
      ["--pairs=25", "--alpha=.1", "--out=a b"],
    ]
  ) {
    const { pairs, alpha, out } = parseOptions(COMMAND, args);
    assertEquals({ pairs, alpha, out }, { pairs: 25, alpha: 0.1, out: "a b" });
  }
});

Deno.test("parseOptions() reads negative numbers after a space", () => {
  assertEquals(parseOptions(COMMAND, ["--shift", "-2.5"]).shift, -2.5);
  assertEquals(parseOptions(COMMAND, ["--shift=-1e3"]).shift, -1000);
});

Deno.test("parseOptions() keeps text that looks like a number as text", () => {
  assertEquals(parseOptions(COMMAND, ["--out", "007"]).out, "007");
  assertEquals(parseOptions(COMMAND, ["--out", "-5"]).out, "-5");
});

Deno.test("parseOptions() turns switches on and off, and the last one wins", () => {
  const values = (...args: string[]) => {
    const { weightSharing, auxiliary } = parseOptions(COMMAND, args);
    return [weightSharing, auxiliary];
  };
  assertEquals(values("--weight-sharing", "--no-auxiliary"), [true, false]);
  assertEquals(values("--weight-sharing=false", "--auxiliary"), [false, true]);
  assertEquals(values("--no-auxiliary", "--auxiliary"), [false, true]);
  assertEquals(values("--weight-sharing", "--no-weight-sharing"), [
    false,
    true,
  ]);
});

Deno.test("parseOptions() names the option that is given twice", () => {
  for (
    const twice of [["--pairs=1", "--pairs=2"], [
      "--pairs",
      "1",
      "--pairs",
      "2",
    ]]
  ) {
    assertEquals(messageOf(...twice), "--pairs: given twice: got 1 and 2");
  }
  assertEquals(
    messageOf("--out", "a", "--out", "a"),
    "--out: given twice: got a and a",
  );
});

Deno.test("parseOptions() suggests the options that a word begins", () => {
  assertEquals(
    messageOf("--weight"),
    "--weight: unknown option: did you mean --weight-sharing?",
  );
  assertEquals(
    messageOf("--no-aux"),
    "--no-aux: unknown option: did you mean --no-auxiliary?",
  );
});

Deno.test("parseOptions() names unknown options and suggests the nearest", () => {
  assertEquals(
    messageOf("--pair", "3"),
    "--pair: unknown option: did you mean --pairs?",
  );
  assertEquals(
    messageOf("--no-auxilary"),
    "--no-auxilary: unknown option: did you mean --no-auxiliary?",
  );
  assertEquals(
    messageOf("--weightSharing"),
    "--weightSharing: unknown option: did you mean --weight-sharing?",
  );
  assertEquals(
    messageOf("--zzzzzz=1"),
    "--zzzzzz: unknown option: see --help for the options",
  );
  assertEquals(
    messageOf("-pairs", "3"),
    "-pairs: unknown option: did you mean --pairs?",
  );
  assertEquals(
    messageOf("--__proto__=1"),
    "--__proto__: unknown option: see --help for the options",
  );
  assertEquals(
    messageOf("--no-pairs"),
    "--no-pairs: unknown option: did you mean --pairs?",
  );
});

Deno.test("parseOptions() names the option whose value is missing", () => {
  assertEquals(
    messageOf("--pairs"),
    "--pairs: its value is missing: give it as --pairs=N",
  );
  assertEquals(
    messageOf("--out", "--pairs", "3"),
    "--out: its value is missing: give it as --out=DIR",
  );
  assertEquals(
    messageOf("--out="),
    "--out: its value is missing: give it as --out=DIR",
  );
  assertEquals(
    messageOf("--out", ""),
    "--out: its value is missing: give it as --out=DIR",
  );
});

Deno.test("parseOptions() refuses values of a wrong type", () => {
  assertEquals(
    messageOf("--pairs", "12x"),
    '--pairs: must be a whole number: got "12x"',
  );
  assertEquals(
    messageOf("--pairs", "2.5"),
    "--pairs: must be a whole number: got 2.5",
  );
  assertEquals(
    messageOf("--pairs", "1e300"),
    "--pairs: must be a whole number: got 1e+300",
  );
  assertEquals(
    messageOf("--alpha", "0x1"),
    '--alpha: must be a number: got "0x1"',
  );
  assertEquals(
    messageOf("--alpha", "Infinity"),
    '--alpha: must be a number: got "Infinity"',
  );
  assertEquals(
    messageOf("--shift", "1e999"),
    "--shift: must be a number: got Infinity",
  );
  assertEquals(
    messageOf("--preset", "orginal"),
    '--preset: must be one of fast, original: got "orginal": ' +
      "did you mean original?",
  );
  assertEquals(
    messageOf("--weight-sharing=yes"),
    '--weight-sharing: takes no value: got "yes": ' +
      "give --weight-sharing or --no-weight-sharing",
  );
  assertEquals(
    messageOf("--no-auxiliary=true"),
    '--no-auxiliary: takes no value: got "true": ' +
      "give --auxiliary or --no-auxiliary",
  );
});

Deno.test("parseOptions() refuses values out of range at both ends", () => {
  assertEquals(parseOptions(COMMAND, ["--alpha=0"]).alpha, 0);
  assertEquals(parseOptions(COMMAND, ["--alpha=1"]).alpha, 1);
  assertEquals(
    messageOf("--alpha", "1.01"),
    "--alpha: must be from 0 to 1: got 1.01",
  );
  assertEquals(
    messageOf("--alpha", "-0.01"),
    "--alpha: must be from 0 to 1: got -0.01",
  );
  assertEquals(
    messageOf("--pairs", "0"),
    "--pairs: must be at least 1: got 0",
  );
  assertEquals(
    messageOf("--learning-rate", "0"),
    "--learning-rate: must be above 0: got 0",
  );
  assertEquals(
    messageOf("--dropout-rate", "1"),
    "--dropout-rate: must be at least 0 and below 1: got 1",
  );
});

Deno.test("parseOptions() refuses positional arguments, also after --", () => {
  const message =
    'unexpected argument "extra": every setting is an option, as --name value';
  assertEquals(messageOf("extra"), message);
  assertEquals(messageOf("--pairs", "3", "--", "extra"), message);
  assertEquals(messageOf("--weight-sharing", "extra"), message);
});

Deno.test("parseOptions() names a required option that is missing", () => {
  const command = defineCommand({
    name: "x",
    summary: "",
    options: { data: { type: "string", required: true, help: "" } },
  });
  const data: string = parseOptions(command, ["--data", "d"]).data;
  assertEquals(data, "d");
  const error = assertThrows(() => parseOptions(command, []), UsageError);
  assertEquals(error.message, "--data: missing: give it as --data TEXT");
  assertEquals(error.hint, "Try x --help");
});

Deno.test("wantsHelp() sees --help and -h before --", () => {
  assert(wantsHelp(["--pairs", "3", "--help"]));
  assert(wantsHelp(["-h"]));
  assert(!wantsHelp(["--", "--help"]));
  assert(!wantsHelp([]));
});

Deno.test("completeSettings() fills defaults and checks as the command line does", () => {
  const { options } = COMMAND;
  const settings = completeSettings("train", options, {
    pairs: 3,
    out: undefined,
  });
  assertEquals(settings.pairs, 3);
  assertEquals(settings.alpha, 0.5);
  assertEquals(settings.auxiliary, true);
  assertThrows(
    () => completeSettings("train", options, { pairs: 0 }),
    RangeError,
    "train: pairs must be at least 1: got 0",
  );
  assertThrows(
    () => completeSettings("train", options, { alpha: NaN }),
    RangeError,
    "train: alpha must be a number: got NaN",
  );
  assertThrows(
    () => completeSettings("train", options, { pairs: "3" as never }),
    TypeError,
    "train: pairs must be a number: got string",
  );
  assertThrows(
    () => completeSettings("train", options, { pair: 3 } as never),
    TypeError,
    "train: unknown setting pair: did you mean pairs?",
  );
});

Deno.test("formatHelp() aligns flags, ranges and defaults by group", () => {
  assertEquals(
    formatHelp(COMMAND, 72),
    `Trains a network.

Second paragraph.

Usage: deno task train [options]

Options:
  --pairs N               Training pairs (at least 1; default 1000)
  --alpha X               Share (from 0 to 1; default 0.5)
  --shift X               Any number
  --learning-rate X       Rate (above 0; default 0.001)
  --dropout-rate X        Rate (at least 0 and below 1; default 0)
  --preset fast|original  Settings (default fast)
  --out DIR               Results go there
  --weight-sharing        Share the weights
  -h, --help              Show this help and exit

Losses:
  --no-auxiliary          Leave out the auxiliary losses

Examples:
  deno task train --pairs 10
      A short run
`,
  );
});

Deno.test("formatHelp() wraps to the width and puts long flags on their own line", () => {
  const help = formatHelp(
    defineCommand({
      name: "x",
      summary: "word ".repeat(40).trim(),
      options: {
        aVeryLongNameOfAnOptionIndeed: {
          type: "string",
          default: "d",
          help: "help ".repeat(30).trim(),
        },
      },
    }),
    50,
  );
  for (const line of help.split("\n")) assert(line.length <= 50, line);
  assert(help.includes("  --a-very-long-name-of-an-option-indeed TEXT\n"));
});

Deno.test("nearest() counts swapped neighbours as one edit and leaves far words", () => {
  assertEquals(nearest("epcohs", ["pairs", "epochs"]), "epochs");
  assertEquals(nearest("batch", ["alpha", "seed"]), undefined);
  assertEquals(nearest("x", ["y"]), undefined);
  assertEquals(nearest("a", []), undefined);
});

Deno.test("parseOptions() puts what was given before other defaults", () => {
  const values = parseOptions(COMMAND, ["--pairs=3", "--no-weight-sharing"], {
    pairs: 500,
    alpha: 0.25,
    weightSharing: true,
    auxiliary: false,
    gone: 1,
  });
  assertEquals(values, {
    ...parseOptions(COMMAND, []),
    pairs: 3,
    alpha: 0.25,
    weightSharing: false,
    auxiliary: false,
  });
});
