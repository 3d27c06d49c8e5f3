/**
 * The folder that a run writes its results to.
 *
 * @module
 */
import { parse } from "@std/csv/parse";
import { stringify } from "@std/csv/stringify";
import { join } from "@std/path";
import { atomicWrite, fileProblem, removeUnfinished } from "./_atomic_write.ts";
import { flagOf, UsageError } from "./_command.ts";

/** What `run.json` says: which run the folder belongs to. */
export interface RunRecord {
  readonly task: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** When it was first begun, ISO 8601. */
  readonly started: string;
}

/** Which folder is wanted, for which run. */
export interface RunFolderOptions {
  /** The value of `--out`. */
  readonly path: string;
  readonly task: string;
  /** Every setting that the result depends on; JSON values. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Whether to go on with the run that is there. @default false */
  readonly resume?: boolean;
  /** Settings that a resumed run may change, such as `epochs`. */
  readonly mayDiffer?: readonly string[];
}

/** One line of `history.csv`. */
export type HistoryRow = Readonly<
  Record<string, number | string | boolean | null | undefined>
>;

const RUN_FILE = "run.json";
const RESULT_FILE = "result.json";
const HISTORY_FILE = "history.csv";

/**
 * A folder with `run.json` and what the run leaves: `result.json`,
 * `history.csv`, checkpoints, reports. Each file is written whole or not at
 * all.
 *
 * @example One run
 * ```ts ignore
 * const folder = await RunFolder.open({ path: out, task, settings, resume });
 * const from = resume ? await folder.latestCheckpoint() : undefined;
 * // … train, and after each epoch:
 * await folder.writeHistory(rows);
 * // at the end:
 * await folder.writeResult({ task, seconds });
 * ```
 */
export class RunFolder {
  readonly path: string;
  /** What `run.json` says now. */
  readonly record: RunRecord;

  private constructor(path: string, record: RunRecord) {
    this.path = path;
    this.record = record;
  }

  /**
   * Makes or reopens the folder and shows that it can be written to.
   *
   * @throws {UsageError} If it holds an earlier run and `resume` is false, if
   *   it holds none and `resume` is true, if the earlier run had other
   *   settings, or if no folder can be there.
   * @throws {Error} If it cannot be written to.
   */
  static async open(options: RunFolderOptions): Promise<RunFolder> {
    const { path, task, settings, resume = false, mayDiffer = [] } = options;
    let started = new Date().toISOString();
    if (resume) {
      const earlier = await readRunRecord(path, task);
      checkSameSettings(path, earlier.settings, settings, mayDiffer);
      started = earlier.started;
    } else if (await holdsRun(path)) {
      throw new UsageError(
        `--out: ${path} holds an earlier run: go on with it by --resume, ` +
          "or choose another folder",
      );
    }
    try {
      await Deno.mkdir(path, { recursive: true });
    } catch (error) {
      throw new UsageError(
        `--out: the folder ${path} cannot be made: ${fileProblem(error)}: ` +
          "choose another folder",
      );
    }
    const folder = new RunFolder(path, { task, settings, started });
    await folder.writeJson(RUN_FILE, folder.record);
    await removeUnfinished(path);
    return folder;
  }

  /** The path of a file in the folder. */
  file(name: string): string {
    return join(this.path, name);
  }

  /** Writes text or bytes. */
  write(name: string, content: string | Uint8Array): Promise<void> {
    return atomicWrite(this.file(name), content);
  }

  /** Writes JSON, indented; typed arrays as arrays, NaN as null. */
  writeJson(name: string, value: unknown): Promise<void> {
    const text = JSON.stringify(
      value,
      (_, part) =>
        ArrayBuffer.isView(part) && !(part instanceof DataView)
          ? Array.from(part as unknown as ArrayLike<unknown>)
          : part,
      2,
    );
    return this.write(name, `${text}\n`);
  }

  /** Writes `result.json`, which also says that the run is complete. */
  writeResult(result: Readonly<Record<string, unknown>>): Promise<void> {
    return this.writeJson(RESULT_FILE, result);
  }

  /** Whether the run in the folder has come to its end. */
  isComplete(): Promise<boolean> {
    return exists(this.file(RESULT_FILE));
  }

  /**
   * Writes all of `history.csv`.
   *
   * @param rows One per epoch or step; the columns are those of all rows, in
   *   the order in which they come up.
   */
  writeHistory(rows: readonly HistoryRow[]): Promise<void> {
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const text = columns.length > 0 ? stringify(rows, { columns }) : "";
    return this.write(HISTORY_FILE, text);
  }

  /**
   * The rows of `history.csv`, numbers as numbers and empty cells as null; no
   * rows if there is no such file.
   */
  async readHistory(): Promise<HistoryRow[]> {
    const text = await readIfThere(this.file(HISTORY_FILE));
    if (!text?.trim()) return [];
    return parse(text, { skipFirstRow: true }).map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, cell]) => [name, readCell(cell)]),
      )
    );
  }

  /**
   * The newest checkpoint, to resume from.
   *
   * @param pattern Which files are checkpoints.
   * @returns Its path, or undefined if the run was stopped before the first.
   */
  async latestCheckpoint(
    pattern: RegExp = /^checkpoint.*\.safetensors$/,
  ): Promise<string | undefined> {
    let latest: string | undefined;
    let latestTime = -Infinity;
    for await (const { name, isFile } of Deno.readDir(this.path)) {
      if (!isFile || !pattern.test(name)) continue;
      const time = (await Deno.stat(this.file(name))).mtime?.getTime() ?? 0;
      const later = time > latestTime ||
        (time === latestTime && latest !== undefined && name > latest);
      if (later) [latest, latestTime] = [name, time];
    }
    return latest === undefined ? undefined : this.file(latest);
  }
}

/**
 * What the run in a folder was called with, to resume it.
 *
 * @param path The value of `--out`.
 * @param task The task that wants to resume it.
 * @returns The record.
 * @throws {UsageError} If there is no run of that task.
 */
export async function readRunRecord(
  path: string,
  task: string,
): Promise<RunRecord> {
  const text = await readIfThere(join(path, RUN_FILE));
  if (text === undefined) {
    throw new UsageError(
      `--resume: ${path} holds no run to go on with: leave --resume out, ` +
        "or give the folder of the run as --out",
    );
  }
  const record = readRecord(text);
  if (!record) {
    throw new Error(`--resume: ${join(path, RUN_FILE)} is damaged`);
  }
  if (record.task !== task) {
    throw new UsageError(
      `--resume: ${path} holds a run of ${record.task}, not of ${task}`,
    );
  }
  return record;
}

/**
 * The first folder `base-1`, `base-2`, … that does not exist yet, as a default
 * for `--out`.
 */
export async function unusedFolder(base: string): Promise<string> {
  for (let number = 1;; number++) {
    const path = `${base}-${number}`;
    if (!await exists(path)) return path;
  }
}

/** Whether any file that a run leaves is in a folder. */
async function holdsRun(path: string): Promise<boolean> {
  try {
    for await (const { name } of Deno.readDir(path)) {
      const own = name === RUN_FILE || name === RESULT_FILE ||
        name === HISTORY_FILE || name.endsWith(".safetensors");
      if (own) return true;
    }
  } catch (error) {
    // A file in place of the folder is reported when the folder is made.
    if (
      !(error instanceof Deno.errors.NotFound) &&
      !(error instanceof Deno.errors.NotADirectory)
    ) {
      throw new Error(`reading ${path}: ${fileProblem(error)}`, {
        cause: error,
      });
    }
  }
  return false;
}

function checkSameSettings(
  path: string,
  earlier: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
  mayDiffer: readonly string[],
): void {
  for (const name of new Set([...Object.keys(earlier), ...Object.keys(now)])) {
    const before = JSON.stringify(earlier[name]);
    const after = JSON.stringify(now[name]);
    if (before === after || mayDiffer.includes(name)) continue;
    throw new UsageError(
      `${flagOf(name)}: the run in ${path} has ${before ?? "none"}: ` +
        `got ${after ?? "none"}: resume with the same, or choose another ` +
        "folder",
    );
  }
}

function readRecord(text: string): RunRecord | undefined {
  try {
    const { task, settings, started } = JSON.parse(text);
    return typeof task === "string" && typeof started === "string" &&
        typeof settings === "object" && settings !== null
      ? { task, settings, started }
      : undefined;
  } catch {
    return undefined;
  }
}

function readCell(cell: string): number | string | null {
  if (cell === "") return null;
  return cell === "NaN" || (cell.trim() !== "" && !Number.isNaN(Number(cell)))
    ? Number(cell)
    : cell;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (
      error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory
    ) return undefined;
    throw new Error(`reading ${path}: ${fileProblem(error)}`, { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
