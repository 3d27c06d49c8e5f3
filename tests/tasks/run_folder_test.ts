import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { join } from "@std/path";
import {
  atomicWrite,
  fileProblem,
  removeUnfinished,
} from "../../tasks/_atomic_write.ts";
import { UsageError } from "../../tasks/_command.ts";
import {
  readRunRecord,
  RunFolder,
  unusedFolder,
} from "../../tasks/_run_folder.ts";

const SETTINGS = { epochs: 20, channels: 24, data: undefined };

/** Calls `test` with a folder that is removed afterwards. */
async function inFolder(test: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "heddle-test-" });
  try {
    await test(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

function namesIn(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

function open(
  path: string,
  options: Partial<Parameters<typeof RunFolder.open>[0]> = {},
): Promise<RunFolder> {
  return RunFolder.open({
    path,
    task: "train",
    settings: SETTINGS,
    ...options,
  });
}

Deno.test("RunFolder makes nested folders and records the run", () =>
  inFolder(async (root) => {
    const path = join(root, "a", "b");
    const folder = await open(path);
    assertEquals(namesIn(path), ["run.json"]);
    const record = JSON.parse(await Deno.readTextFile(join(path, "run.json")));
    assertEquals(record, {
      task: "train",
      settings: { epochs: 20, channels: 24 },
      started: folder.record.started,
    });
    assertEquals(await folder.isComplete(), false);
  }));

Deno.test("RunFolder accepts a folder with other files and keeps them", () =>
  inFolder(async (root) => {
    await Deno.writeTextFile(join(root, "notes.txt"), "mine");
    await open(root);
    assertEquals(namesIn(root), ["notes.txt", "run.json"]);
  }));

Deno.test("RunFolder refuses a folder with an earlier run and names the two ways on", () =>
  inFolder(async (root) => {
    for (const name of ["result.json", "history.csv", "model.safetensors"]) {
      const path = join(root, name.replace(".", "-"));
      await Deno.mkdir(path);
      await Deno.writeTextFile(join(path, name), "");
      const error = await assertRejects(() => open(path), UsageError);
      assertEquals(
        error.message,
        `--out: ${path} holds an earlier run: go on with it by --resume, ` +
          "or choose another folder",
      );
      assertEquals(namesIn(path), [name]);
    }
    const path = join(root, "twice");
    await open(path);
    await assertRejects(() => open(path), UsageError, "--resume");
  }));

Deno.test("RunFolder resumes a run with the same settings and those that may differ", () =>
  inFolder(async (root) => {
    const first = await open(root);
    const again = await open(root, {
      resume: true,
      settings: { ...SETTINGS, epochs: 40 },
      mayDiffer: ["epochs"],
    });
    assertEquals(again.record.started, first.record.started);
    assertEquals((await readRunRecord(root, "train")).settings.epochs, 40);
    const error = await assertRejects(
      () =>
        open(root, { resume: true, settings: { epochs: 40, channels: 32 } }),
      UsageError,
    );
    assertEquals(
      error.message,
      `--channels: the run in ${root} has 24: got 32: resume with the same, ` +
        "or choose another folder",
    );
  }));

Deno.test("RunFolder has nothing to resume in an empty folder, or of another task", () =>
  inFolder(async (root) => {
    for (const path of [root, join(root, "none")]) {
      await assertRejects(
        () => open(path, { resume: true }),
        UsageError,
        "holds no run to go on with",
      );
    }
    await open(root, { task: "tweet" });
    await assertRejects(
      () => open(root, { resume: true }),
      UsageError,
      "holds a run of tweet, not of train",
    );
    await Deno.writeTextFile(join(root, "run.json"), '{"task":');
    await assertRejects(
      () => open(root, { resume: true }),
      Error,
      "run.json is damaged",
    );
  }));

Deno.test("RunFolder says that a file is in the way", () =>
  inFolder(async (root) => {
    const file = join(root, "file");
    await Deno.writeTextFile(file, "");
    for (const path of [file, join(file, "below")]) {
      const error = await assertRejects(() => open(path), UsageError);
      assertEquals(
        error.message,
        `--out: the folder ${path} cannot be made: a file is in the way: ` +
          "choose another folder",
      );
    }
  }));

Deno.test("RunFolder writes results as JSON with typed arrays and NaN", () =>
  inFolder(async (root) => {
    const folder = await open(root);
    await folder.writeResult({
      task: "train",
      values: new Float32Array([0.5, 1]),
      lost: NaN,
    });
    assertEquals(await folder.isComplete(), true);
    assertEquals(
      await Deno.readTextFile(join(root, "result.json")),
      '{\n  "task": "train",\n  "values": [\n    0.5,\n    1\n  ],\n' +
        '  "lost": null\n}\n',
    );
  }));

Deno.test("RunFolder reads back the history that it wrote", () =>
  inFolder(async (root) => {
    const folder = await open(root);
    assertEquals(await folder.readHistory(), []);
    await folder.writeHistory([]);
    assertEquals(await folder.readHistory(), []);
    await folder.writeHistory([
      { epoch: 1, loss: 0.25, note: 'a, "b"\nc' },
      { epoch: 2, loss: NaN, testAccuracy: 0.9, note: "" },
    ]);
    assertEquals(
      await Deno.readTextFile(join(root, "history.csv")),
      'epoch,loss,note,testAccuracy\r\n1,0.25,"a, ""b""\nc",\r\n2,NaN,,0.9\r\n',
    );
    assertEquals(await folder.readHistory(), [
      { epoch: 1, loss: 0.25, note: 'a, "b"\nc', testAccuracy: null },
      { epoch: 2, loss: NaN, note: null, testAccuracy: 0.9 },
    ]);
  }));

Deno.test("RunFolder finds the newest checkpoint, by name where times are equal", () =>
  inFolder(async (root) => {
    const folder = await open(root);
    assertEquals(await folder.latestCheckpoint(), undefined);
    const times = { "checkpoint-1": 30, "checkpoint-2": 10, "model": 90 };
    for (const [name, seconds] of Object.entries(times)) {
      await folder.write(`${name}.safetensors`, "");
      await Deno.utime(folder.file(`${name}.safetensors`), seconds, seconds);
    }
    const at = async () => (await folder.latestCheckpoint())?.slice(-13);
    assertEquals(await at(), "1.safetensors");
    await Deno.utime(folder.file("checkpoint-2.safetensors"), 30, 30);
    assertEquals(await at(), "2.safetensors");
  }));

Deno.test("unusedFolder() counts up to a name that is free", () =>
  inFolder(async (root) => {
    const base = join(root, "runs", "train");
    assertEquals(await unusedFolder(base), `${base}-1`);
    await Deno.mkdir(`${base}-1`, { recursive: true });
    assertEquals(await unusedFolder(base), `${base}-2`);
  }));

Deno.test("atomicWrite() replaces a file and leaves nothing beside it", () =>
  inFolder(async (root) => {
    const path = join(root, "file");
    await atomicWrite(path, "first, which is longer");
    await atomicWrite(path, new Uint8Array([104, 105]));
    assertEquals(await Deno.readTextFile(path), "hi");
    assertEquals(namesIn(root), ["file"]);
  }));

Deno.test("atomicWrite() leaves the old content and no part when it fails", () =>
  inFolder(async (root) => {
    const path = join(root, "folder");
    await Deno.mkdir(join(path, "inner"), { recursive: true });
    const error = await assertRejects(() => atomicWrite(path, "x"), Error);
    assertStringIncludes(error.message, `writing ${path}: `);
    assertStringIncludes(error.message, "is in the way");
    assert(error.cause instanceof Error);
    assertEquals(namesIn(root), ["folder"]);
  }));

Deno.test("removeUnfinished() removes what a killed writer left", () =>
  inFolder(async (root) => {
    await Deno.writeTextFile(join(root, ".model.1.heddle-part"), "half");
    await Deno.writeTextFile(join(root, "model"), "whole");
    await removeUnfinished(root);
    assertEquals(namesIn(root), ["model"]);
  }));

Deno.test("fileProblem() says in words what went wrong", () => {
  const withCode = (code: string) => Object.assign(new Error("raw"), { code });
  assertEquals(fileProblem(withCode("ENOSPC")), "the disk is full");
  assertEquals(fileProblem(withCode("EACCES")), "no permission");
  assertEquals(fileProblem(withCode("EROFS")), "the file system is read-only");
  assertEquals(fileProblem(withCode("EOTHER")), "raw");
  assertEquals(fileProblem("text"), "text");
});
