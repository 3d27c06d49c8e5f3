import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type MainHost, runCommand, runMain } from "../../tasks/_main.ts";
import { defineCommand, UsageError } from "../../tasks/_command.ts";

function host(args: string[] = [], debug = false) {
  const seen = { out: "", error: "", codes: [] as number[] };
  const fake: MainHost = {
    args,
    writeOut: (text) => void (seen.out += text),
    writeError: (text) => void (seen.error += text),
    exit: (code) => void seen.codes.push(code),
    debug,
    columns: 80,
  };
  return { fake, seen };
}

Deno.test("runMain() ends with 0, or with the code that main returns", async () => {
  const { fake, seen } = host();
  await runMain(() => {}, fake);
  await runMain(() => Promise.resolve(3), fake);
  assertEquals(seen, { out: "", error: "", codes: [0, 3] });
});

Deno.test("runMain() ends with 2 for wrong usage and prints the hint", async () => {
  const { fake, seen } = host();
  await runMain(() => {
    throw new UsageError("--pairs: wrong", "Try x --help");
  }, fake);
  assertEquals(seen.codes, [2]);
  assertEquals(seen.error, "error: --pairs: wrong\nTry x --help\n");
});

Deno.test("runMain() ends with 1 for other errors, with causes and without a stack", async () => {
  const { fake, seen } = host();
  await runMain(() => {
    throw new Error("run: failed", { cause: new Error("disk full") });
  }, fake);
  assertEquals(seen.codes, [1]);
  assertEquals(
    seen.error,
    "error: run: failed\n  because: disk full\n  (HEDDLE_DEBUG=1 shows where)\n",
  );
});

Deno.test("runMain() shows the stack when debugging", async () => {
  const { fake, seen } = host([], true);
  await runMain(() => Promise.reject(new RangeError("bad")), fake);
  assertStringIncludes(seen.error, "error: bad\nRangeError: bad\n    at ");
});

Deno.test("runMain() prints thrown values and circular causes", async () => {
  const { fake, seen } = host();
  await runMain(() => {
    throw "text";
  }, fake);
  const error = new Error("loop");
  error.cause = error;
  await runMain(() => {
    throw error;
  }, fake);
  assertEquals(seen.codes, [1, 1]);
  assert(seen.error.startsWith("error: text\nerror: loop\n"));
});

Deno.test("runCommand() prints the help or calls main with the options", async () => {
  const command = defineCommand({
    name: "x",
    summary: "Does x.",
    options: { n: { type: "int", default: 1, help: "Count" } },
  });
  const got: number[] = [];
  const main = ({ n }: { readonly n: number }) => void got.push(n);

  const help = host(["--n", "bad", "--help"]);
  await runCommand(command, main, help.fake);
  assertStringIncludes(help.seen.out, "Usage: x [options]");
  assertEquals(help.seen.codes, [0]);

  const run = host(["--n", "5"]);
  await runCommand(command, main, run.fake);
  assertEquals([got, run.seen.codes], [[5], [0]]);

  const wrong = host(["--m", "5"]);
  await runCommand(command, main, wrong.fake);
  assertEquals([got, wrong.seen.codes], [[5], [2]]);
});

Deno.test("runMain() ends a process that still has timers", async () => {
  const url = new URL("../../tasks/_main.ts", import.meta.url).href;
  const code = `import { runMain } from ${JSON.stringify(url)};
    setInterval(() => {}, 1000);
    await runMain(() => { throw new Error("stop"); });`;
  const { code: status, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    stdin: "null",
  }).output();
  assertEquals(status, 1);
  assertStringIncludes(new TextDecoder().decode(stderr), "error: stop\n");
});
