import { createHash } from "node:crypto";
import { join } from "@std/path";
import { cacheFolder } from "./cache_folder.ts";
import { DataNotFoundError } from "./data_not_found_error.ts";
import { download, type RemoteFile } from "./download.ts";
import type { LoadOptions } from "./load_options.ts";

/** A data set as a group of files that belong together. */
export interface FileGroup {
  /** Its loader's name; also its folder in the cache. */
  readonly dataset: string;
  readonly files: readonly Omit<RemoteFile, "urls">[];
  readonly mirrors: readonly string[];
  /**
   * The file names that a user's folder may hold instead, one list per layout.
   * A layout counts only where all its files are there, so that files of two
   * data sets never mix.
   */
  readonly layouts: readonly (readonly string[])[];
}

/** Files with their content, and what to call the place they come from. */
export interface Located {
  readonly files: readonly { path: string; bytes: Uint8Array }[];
  readonly source: string;
}

/** Finds a data set: the user's folder, the cache, a download. */
export async function locate(
  group: FileGroup,
  options: LoadOptions,
): Promise<Located> {
  const tried: string[] = [];
  const { folder } = options;
  if (folder !== undefined) {
    const found = await fromFolder(group, folder, tried);
    if (found !== undefined) return found;
  }
  const cache = options.cache === undefined ? cacheFolder() : options.cache;
  if (cache === null) {
    tried.push("the cache: no folder for it is set");
  }
  const place = cache === null ? null : join(cache, group.dataset);
  return await fromCacheOrServer(group, place, options, tried);
}

async function fromFolder(
  group: FileGroup,
  folder: string,
  tried: string[],
): Promise<Located | undefined> {
  let missing = "";
  for (const names of group.layouts) {
    const paths = names.map((name) => join(folder, name));
    const present = await Promise.all(paths.map(isFile));
    const absent = names[present.indexOf(false)];
    if (absent !== undefined) {
      missing ||= absent;
      continue;
    }
    const files = [];
    for (const path of paths) {
      files.push({ path, bytes: await Deno.readFile(path) });
    }
    return { files, source: folder };
  }
  tried.push(`${folder}: it has no ${missing}`);
  return undefined;
}

async function fromCacheOrServer(
  group: FileGroup,
  place: string | null,
  options: LoadOptions,
  tried: string[],
): Promise<Located> {
  const files = [];
  let server: string | undefined;
  for (const file of group.files) {
    if (place === null) break;
    const path = join(place, file.name);
    let bytes = await readVerified(path, file, tried);
    if (bytes === undefined) {
      if (options.download === false) {
        tried.push("no download: it is switched off");
        break;
      }
      server = await fetchFile(group, file, path, options, tried);
      if (server === undefined) break;
      bytes = await Deno.readFile(path);
    }
    files.push({ path, bytes });
  }
  if (files.length < group.files.length || place === null) {
    throw new DataNotFoundError(
      group.dataset,
      tried,
      `give a folder that has ${
        group.layouts[0]!.join(", ")
      }, set a cache folder ` +
        `(HEDDLE_CACHE) that has them, or let it download (--allow-net)`,
    );
  }
  return { files, source: server ?? place };
}

/** A cached file, or undefined where it is missing or not what it should be. */
async function readVerified(
  path: string,
  file: Omit<RemoteFile, "urls">,
  tried: string[],
): Promise<Uint8Array | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (error) {
    tried.push(
      error instanceof Deno.errors.NotFound
        ? `${path}: no such file`
        : `${path}: ${(error as Error).message}`,
    );
    return undefined;
  }
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 === file.sha256) return bytes;
  tried.push(`${path}: its SHA-256 is ${sha256}, not ${file.sha256}`);
  return undefined;
}

/** The mirror that gave the file, or undefined where none did. */
async function fetchFile(
  group: FileGroup,
  file: Omit<RemoteFile, "urls">,
  path: string,
  options: LoadOptions,
  tried: string[],
): Promise<string | undefined> {
  const mirrors = options.mirrors ?? group.mirrors;
  const urls = mirrors.map((mirror) =>
    `${mirror.replace(/\/$/, "")}/${file.name}`
  );
  try {
    return await download({ ...file, urls }, path, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    const failures = error instanceof AggregateError ? error.errors : [error];
    tried.push(...failures.map((failure) => (failure as Error).message));
    return undefined;
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}
