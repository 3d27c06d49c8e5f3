import { createHash } from "node:crypto";
import { writeAll, writeAtomically } from "./_atomic_file.ts";

/** How far a download has come. */
export interface DownloadProgress {
  /** The file's name. */
  readonly file: string;
  /** Bytes that have come. */
  readonly receivedBytes: number;
  /** Bytes of the whole file. */
  readonly totalBytes: number;
}

/** A file that can be fetched, and how to know it. */
export interface RemoteFile {
  /** Its name in folders. */
  readonly name: string;
  /** Its length. */
  readonly bytes: number;
  /** SHA-256 of its content, in lower-case hexadecimal digits. */
  readonly sha256: string;
  /** Where it lies, best first. */
  readonly urls: readonly string[];
}

/** How {@linkcode download} fetches. */
export interface DownloadOptions {
  /** Called for each piece that comes; nothing is printed otherwise. */
  readonly progress?: ((progress: DownloadProgress) => void) | undefined;
  /** Ends the download early. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The longest wait for the answer of a server, and for each piece, in ms.
   *
   * @default 10000
   */
  readonly waitMs?: number | undefined;
}

/**
 * Fetches a file, checks it and puts it in its place.
 *
 * Its addresses are tried in order. It is written beside `path` and renamed
 * when its length and SHA-256 are right, so `path` never holds a part of it.
 *
 * @param file What to fetch.
 * @param path Where it goes; missing folders are made.
 * @param options Progress, a signal, the longest wait.
 * @returns The address that it came from.
 * @throws {AggregateError} If every address fails; `errors` has one per address.
 * @throws The signal's reason, if it is aborted.
 *
 * @example From a server on this machine
 * ```ts
 * import { download } from "@heddle/data";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve(
 *   { port: 0, onListen: () => {} },
 *   () => new Response("abc"),
 * );
 * const path = `${await Deno.makeTempDir()}/abc.txt`;
 * await download({
 *   name: "abc.txt",
 *   bytes: 3,
 *   sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
 *   urls: [`http://localhost:${server.addr.port}/abc.txt`],
 * }, path);
 * assertEquals(await Deno.readTextFile(path), "abc");
 * ```
 */
export async function download(
  file: RemoteFile,
  path: string,
  options: DownloadOptions = {},
): Promise<string> {
  const failures: Error[] = [];
  for (const url of file.urls) {
    try {
      await fetchTo(file, url, path, options);
      return url;
    } catch (error) {
      options.signal?.throwIfAborted();
      failures.push(
        new Error(`${url}: ${messageOf(error, url)}`, { cause: error }),
      );
    }
  }
  throw new AggregateError(
    failures,
    `download: ${file.name} could not be fetched: ` +
      failures.map((failure) => failure.message).join("; "),
  );
}

/** What went wrong: `fetch` hides the reason in its cause, behind the URL. */
function messageOf(error: unknown, url: string): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error.cause instanceof Error ? error.cause : error;
  return message.replace(`error sending request for url (${url}): `, "");
}

async function fetchTo(
  file: RemoteFile,
  url: string,
  path: string,
  options: DownloadOptions,
): Promise<void> {
  const patience = new Patience(options.waitMs ?? 10_000);
  const signal = AbortSignal.any(
    [patience.signal, ...(options.signal ? [options.signal] : [])],
  );
  const response = await patience.wait(() => fetch(url, { signal }));
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new Error(`the server answered ${response.status}`);
  }
  const reader = response.body.getReader();
  try {
    await writeAtomically(path, async (target) => {
      const hash = createHash("sha256");
      let receivedBytes = 0;
      while (true) {
        const { done, value } = await patience.wait(() => reader.read());
        if (done) break;
        receivedBytes += value.length;
        if (receivedBytes > file.bytes) break;
        hash.update(value);
        await writeAll(target, value);
        options.progress?.({
          file: file.name,
          receivedBytes,
          totalBytes: file.bytes,
        });
      }
      if (receivedBytes !== file.bytes) {
        const size = receivedBytes > file.bytes ? "more" : `${receivedBytes}`;
        throw new Error(`expected ${file.bytes} bytes: got ${size}`);
      }
      const got = hash.digest("hex");
      if (got !== file.sha256) {
        throw new Error(`expected SHA-256 ${file.sha256}: got ${got}`);
      }
    });
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Aborts a request that gives no sign of life for `waitMs`. */
class Patience {
  readonly #controller = new AbortController();
  readonly #waitMs: number;

  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async wait<Value>(step: () => Promise<Value>): Promise<Value> {
    const timer = setTimeout(() => {
      this.#controller.abort(
        new Error(`no answer for ${this.#waitMs} ms`),
      );
    }, this.#waitMs);
    try {
      return await step();
    } finally {
      clearTimeout(timer);
    }
  }
}
