import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { Random } from "@heddle/tensor/jit";
import { pi, type PiResult, PiStopped } from "@heddle/tasks";
import { converge } from "../../tasks/_pi_convergence.ts";
import {
  CHUNK,
  chunksOf,
  countChunk,
  countChunkCompiled,
  countInside,
} from "../../tasks/_pi_count.ts";
import { measure } from "../../tasks/_pi_measure.ts";
import { piReport } from "../../tasks/_pi_report.ts";
import { resultLines, wayLines } from "../../tasks/_pi_table.ts";
import { race } from "../../tasks/_pi_race.ts";

const quiet = () => Promise.resolve();

/** Five standard deviations of an estimate of π. */
function bound(points: number): number {
  return 5 * Math.sqrt(Math.PI * (4 - Math.PI) / points);
}

function countOf(result: PiResult, name: string): number {
  return result.ways.find((way) => way.name === name)!.inside;
}

Deno.test("countInside() counts the points inside the quarter circle", () => {
  const random = new Random(3);
  let want = 0;
  for (let i = 0; i < 1000; i++) {
    const [x, y] = [random.next(), random.next()];
    want += Number(Math.hypot(x, y) < 1);
  }
  assertEquals(countInside(1000, new Random(3)), want);
});

Deno.test("chunksOf() has all points once", () => {
  for (const points of [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]) {
    const chunks = [...chunksOf(5, points)];
    assertEquals(chunks.map(({ index }) => index), [...chunks.keys()]);
    assertEquals(chunks.reduce((sum, chunk) => sum + chunk.points, 0), points);
    assert(chunks.every((chunk) => chunk.points > 0 && chunk.seed === 5));
  }
});

Deno.test("countChunkCompiled() counts what countChunk() does, by stream", () => {
  const counts = [0, 1].map((index) => {
    const chunk = { seed: 1, index, points: 1000 };
    assertEquals(countChunkCompiled(chunk), countChunk(chunk));
    return countChunk(chunk).inside;
  });
  assert(counts[0] !== counts[1]);
});

Deno.test("pi() comes near π in every way, on every device there is", async () => {
  const points = 250_000;
  const messages: string[] = [];
  const result = await pi({ points, workers: 2, seed: 4 }, {
    onMessage: (text) => messages.push(text),
  });
  const { ways, devices, kernels, files, cosines } = result;
  const names = Object.keys(devices);
  const hasGpu = names.includes("webgpu");
  assertEquals(
    hasGpu,
    !messages.some((text) => text.startsWith("webgpu is left out: openDevice")),
  );
  if (Deno.env.get("REQUIRE_GPU") === "1") assert(hasGpu);
  assertEquals(ways.map(({ name }) => name), [
    "plain loop",
    "with Math.random()",
    "jit",
    "jit, parallel range",
    ...names.flatMap(() => ["eager tensors", "compiled tensors"]),
    "pool, plain loop",
    "pool, jit",
  ]);
  for (const { name, estimate, error, inside, ms, ratio, ...way } of ways) {
    assertEquals(way.points, points);
    assertEquals(estimate, 4 * inside / points);
    assertEquals(error, estimate - Math.PI);
    assert(Math.abs(error) < bound(points), `${name}: ${error}`);
    assertEquals(ratio, ways[0]!.ms / ms);
    assert(ms > 0 && way.firstMs > 0);
  }
  // The same points, whoever counts them.
  for (const name of ["jit", "pool, plain loop", "pool, jit"]) {
    assertEquals(countOf(result, name), countOf(result, "plain loop"));
  }
  for (const device of names) {
    const [eager, compiled] = ways.filter(({ where }) =>
      where === device || where === `${device}, 2 threads`
    ).filter(({ name }) => name.endsWith("tensors"));
    assertEquals(eager!.inside, compiled!.inside);
  }
  assertEquals(kernels.length, names.length);
  // A kernel that counts and one that adds; no room for 100,000 points.
  for (const { text } of kernels) {
    assertMatch(text, /^100,000 points: 2 kernels, .* \d\.\d\d kB\n/);
  }
  assertEquals([files.files, files.rows], [50, 50_000]);
  assert(Math.abs(files.estimate - Math.PI) < bound(files.rows));
  assertEquals(cosines.items, 1000);
  assert(cosines.inCaller >= 0 && cosines.inCaller < 1);

  const lines = [...wayLines(result), ...resultLines(result)].join("\n");
  assertStringIncludes(lines, "plain loop           JavaScript");
  assertStringIncludes(lines, `${result.race.lost.toLocaleString("en")} lost`);
  const page = await piReport(result);
  assertEquals(page.match(/<svg [^>]*class="chart"/g)!.length, 5);
  const texts = new Set(kernels.map(({ text }) => text));
  assertEquals(page.match(/<pre>/g)!.length, texts.size);
  assertEquals(/NaN|undefined|Infinity/.exec(page), null);
});

Deno.test("pi() goes on without a GPU, and says so", async () => {
  const found = navigator.gpu.requestAdapter;
  const messages: string[] = [];
  const names: string[] = [];
  const stop = { requested: false };
  try {
    navigator.gpu.requestAdapter = () => Promise.resolve(null);
    const run = pi({ points: 1, device: "webgpu", workers: 1 }, {
      stop,
      onMessage: (text) => messages.push(text),
      onStep: ({ name, share }) => {
        if (share === 0) names.push(name);
        stop.requested = name.startsWith("pool");
      },
    });
    await assertRejects(() => run, PiStopped);
  } finally {
    navigator.gpu.requestAdapter = found;
  }
  assertEquals(names, [
    "plain loop, JavaScript",
    "with Math.random(), JavaScript",
    "jit, wasm, 1 thread",
    "jit, parallel range, wasm, 1 thread",
    "pool, plain loop, 1 worker",
  ]);
  assertEquals(messages.length, 1);
  assertStringIncludes(
    messages[0]!,
    "webgpu is left out: openDevice: no WebGPU adapter",
  );
});

Deno.test("race() loses increments without the lock and none with it", async () => {
  const { workers, increments, lost, lostWithLock } = await race(3, quiet);
  assertEquals([workers, increments, lostWithLock], [3, 1_000_002, 0]);
  assert(lost > 0 && lost < increments, `${lost}`);
});

Deno.test("measure() stops a way whose time is over", async () => {
  let closed = 0;
  const found = await measure({
    name: "endless",
    where: "here",
    first: 7,
    open: () => ({
      async *parts(points) {
        for (let left = points; left > 0; left--) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          yield { points: 1, inside: 1 };
        }
      },
      close: () => void closed++,
    }),
  }, { points: 1e9, seed: 0, limitMs: 10, onPart: quiet });
  assert(found.points >= 1 && found.points <= 10, `${found.points}`);
  assertEquals(found.inside, found.points);
  assertEquals(closed, 1);
});

Deno.test("converge() follows the error that theory says", async () => {
  const { points, one, many, sequences } = await converge(100_000, 1, quiet);
  assertEquals(points.slice(0, 4), [10, 20, 50, 100]);
  assertEquals(points.at(-1), 100_000);
  assertEquals(
    one[0],
    Math.abs(0.4 * countInside(10, new Random(1).split(0)) - Math.PI),
  );
  many.forEach((error, i) => {
    const ratio = error / Math.sqrt(Math.PI * (4 - Math.PI) / points[i]!);
    // A root mean square of 32 deviates by an eighth.
    assert(Math.abs(ratio - 1) < 5 / Math.sqrt(2 * sequences), `${ratio}`);
  });
});

Deno.test("pi() refuses settings that are wrong", async () => {
  const wrong = [
    [{ points: 0 }, RangeError, "pi: points must be from 1 to 1000000000000"],
    [{ points: 1.5 }, RangeError, "pi: points must be a whole number: got 1.5"],
    [{ workers: 0 }, RangeError, "pi: workers must be from 1 to 256: got 0"],
    [{ limit: 0 }, RangeError, "pi: limit must be above 0: got 0"],
    [
      { device: "foo" as "wasm" },
      RangeError,
      "device must be one of all, wasm",
    ],
    [{ point: 1 } as object, TypeError, "unknown setting point: did you mean"],
  ] as const;
  for (const [settings, kind, message] of wrong) {
    await assertRejects(() => pi(settings), kind, message);
  }
});

Deno.test("pi() stops when asked to, and ends its workers", async () => {
  for (const when of ["compiled", "pool, jit"]) {
    const stop = { requested: false };
    await assertRejects(
      () =>
        pi({ points: 400_000, device: "wasm", workers: 2 }, {
          stop,
          onStep: ({ name }) => {
            if (name.startsWith(when)) stop.requested = true;
          },
        }),
      PiStopped,
    );
  }
});

const ROOT = new URL("../../", import.meta.url);

/** The task's arguments as `deno.json` has them, permissions and all. */
async function commandWords(): Promise<string[]> {
  const text = await Deno.readTextFile(new URL("deno.json", ROOT));
  return JSON.parse(text).tasks.pi.command.split(" ").slice(1);
}

Deno.test("deno task pi prints its table and writes a report", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const out = `${folder}/run`;
    const args = ["--points=1e5", "--device=wasm", "--out", out];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...await commandWords(), ...args],
      cwd: ROOT,
      stdin: "null",
    }).output();
    const [printed, said] = [stdout, stderr].map((bytes) =>
      new TextDecoder().decode(bytes)
    );
    assertEquals(code, 0, said);
    assertMatch(printed!, /^way {2}.*\nplain loop {2}.* 1\.00x {2}3\.1/);
    assertStringIncludes(printed!, "1,000,000 increments of one counter by");
    assert(printed!.endsWith(`report: ${out}/report.html\n`));
    assertMatch(said!, /^wasm: WebAssembly.*\npart 1\//);
    const { ways } = JSON.parse(await Deno.readTextFile(`${out}/result.json`));
    assertEquals(ways.length, 8);
    const page = await Deno.readTextFile(`${out}/report.html`);
    assertStringIncludes(page, "<h1>Monte Carlo π, every way</h1>");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "deno task pi asks for no permission, and ends at Ctrl-C",
  // Prompts and Ctrl-C need a terminal, which Linux's script gives.
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const args = ["--points=1e12", "--limit=0.05", `--out=${folder}/run`];
      const words = [Deno.execPath(), ...await commandWords(), ...args];
      await using child = new Deno.Command("script", {
        args: [
          "--quiet",
          "--return",
          "--command",
          // Else a shell that heard Ctrl-C too ends with a code of its own.
          `exec ${words.join(" ")}`,
          "/dev/null",
        ],
        cwd: ROOT,
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const reader = child.stdout.pipeThrough(new TextDecoderStream())
        .getReader();
      let seen = "";
      const read = async () => {
        const { value, done } = await reader.read();
        seen += value ?? "";
        assert(!seen.includes("Allow?"), seen);
        return !done;
      };
      while (!seen.includes("pool, jit") && await read());
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("\x03"));
      while (await read());
      await writer.close();
      assertEquals((await child.status).code, 1, seen);
      assertStringIncludes(seen, "stopping …");
      assert(seen.endsWith("stopped\r\n"), seen);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
