// What CI runs: `deno task ok`. Each step is one deno command; its output is
// shown where it fails. The last line is the count of tests, alone:
// `N passed, N failed`, with `, N skipped` where some did not run.

interface Step {
  readonly name: string;
  readonly args: readonly string[];
  /** The folder it runs in. @default "." */
  readonly folder?: string;
}

interface Outcome {
  readonly step: Step;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A step that takes longer is stopped: something hangs. */
const LIMIT_MINUTES = 13;

const ROOT = new URL("..", import.meta.url);
const MODULES = ["tensor", "nn", "losses", "attention", "data", "tasks", "."];

function print(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    at += Deno.stdout.writeSync(bytes.subarray(at));
  }
}

/** The entry points of every package, as its `deno.json` names them. */
function entries(): string[] {
  return MODULES.flatMap((folder) => {
    const url = new URL(`${folder}/deno.json`, ROOT);
    const { exports } = JSON.parse(Deno.readTextFileSync(url)) as {
      exports: string | Record<string, string>;
    };
    const files = typeof exports === "string"
      ? [exports]
      : Object.values(exports);
    return files.map((file) => `${folder}/${file}`);
  });
}

function steps(): Step[] {
  return [
    { name: "fmt", args: ["fmt", "--check"] },
    { name: "lint", args: ["lint"] },
    { name: "check", args: ["check", "--doc"] },
    { name: "doc", args: ["doc", "--lint", ...entries()] },
    { name: "test", args: ["task", "test"] },
    ...MODULES.map((folder) => ({
      name: `publish ${folder}`,
      args: ["publish", "--dry-run", "--allow-dirty"],
      folder,
    })),
  ];
}

async function run(step: Step): Promise<Outcome> {
  const start = performance.now();
  const signal = AbortSignal.timeout(LIMIT_MINUTES * 60_000);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...step.args],
    cwd: new URL(`${step.folder ?? "."}/`, ROOT),
    // No colour codes between the words that countTests() looks for.
    env: { NO_COLOR: "1" },
    stdin: "null",
    signal,
  }).output();
  const text = new TextDecoder();
  const stopped = signal.aborted
    ? `\nstopped: it ran longer than ${LIMIT_MINUTES} minutes`
    : "";
  return {
    step,
    ok: success,
    seconds: (performance.now() - start) / 1000,
    output: `${text.decode(stdout)}\n${text.decode(stderr)}${stopped}`,
  };
}

/**
 * The counts that `deno test` ends with. A run that did not come that far (it
 * does not compile, or the process died) counts the tests that had ended, and
 * one failure.
 */
function countTests(output: string): Counts {
  const summary = output.match(/^(?:ok|FAILED) \| .*$/gm)?.at(-1);
  if (summary !== undefined) {
    const count = (what: string) =>
      Number(summary.match(new RegExp(`(\\d+) ${what}`))?.[1] ?? 0);
    return {
      passed: count("passed"),
      failed: count("failed"),
      skipped: count("ignored"),
    };
  }
  const ended = (how: string) =>
    output.match(new RegExp(`^\\S.* \\.\\.\\. ${how} \\(`, "gm"))?.length ?? 0;
  return {
    passed: ended("ok"),
    failed: ended("FAILED") + 1,
    skipped: ended("ignored"),
  };
}

/** Runs every step, also after one failed, and says what happened. */
async function main(): Promise<boolean> {
  const outcomes: Outcome[] = [];
  for (const step of steps()) {
    print(`${step.name.padEnd(18)} `);
    const outcome = await run(step);
    outcomes.push(outcome);
    print(
      `${outcome.ok ? "ok" : "FAILED"} (${outcome.seconds.toFixed(1)} s)\n`,
    );
    if (!outcome.ok) print(`\n${outcome.output.trimEnd()}\n\n`);
  }
  const tests = outcomes.find(({ step }) => step.name === "test");
  const { passed, failed, skipped } = countTests(tests?.output ?? "");
  const wrong = outcomes.filter(({ ok }) => !ok).map(({ step }) => step.name);
  const seconds = outcomes.reduce((sum, outcome) => sum + outcome.seconds, 0);
  print(
    wrong.length === 0
      ? `all ${outcomes.length} steps passed`
      : `${wrong.length} of ${outcomes.length} steps failed: ${
        wrong.join(", ")
      }`,
  );
  print(` (${seconds.toFixed(0)} s)\n`);
  print(`${passed} passed, ${failed} failed`);
  print(skipped > 0 ? `, ${skipped} skipped\n` : "\n");
  return wrong.length === 0 && failed === 0;
}

if (import.meta.main && !await main()) Deno.exit(1);
