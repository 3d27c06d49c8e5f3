import { spawn } from "node:child_process";
import type { Buffer } from "node:buffer";
import { constants } from "node:os";
import { stripVTControlCharacters } from "node:util";
import { fromFrame, splitFrames, toFrame } from "./_frames.ts";
import type { HostEnd, StartHost } from "./_host.ts";
import type { FromWorker } from "./_messages.ts";

/** How worker processes are started. */
export interface SubprocessOptions {
  /** Flags that give permissions. */
  readonly permissions: readonly string[];
  /** Flags of V8. */
  readonly v8Flags: readonly string[];
}

/** The pipe on which a process answers. */
const OUTPUT = 3;
/** How much of what it said on stderr goes into the error when it dies. */
const LAST_WORDS = 400;

/** Starts workers as processes of their own. */
export function subprocesses(options: SubprocessOptions): StartHost {
  const args = argumentsOf(options);
  return (onMessage) => {
    const child = spawn(Deno.execPath(), args, {
      env: environment(),
      stdio: ["pipe", "inherit", "pipe", "pipe"],
    });
    const { promise: ended, resolve } = Promise.withResolvers<HostEnd>();
    let lastWords = "";
    const decoder = new TextDecoder();
    child.stderr!.on("data", (bytes: Buffer) => {
      writeAll(bytes);
      lastWords = (lastWords + decoder.decode(bytes)).slice(-4 * LAST_WORDS);
    });
    const receive = splitFrames((frame) =>
      onMessage(fromFrame(frame) as FromWorker)
    );
    child.stdio[OUTPUT]!.on("data", receive);
    // A process that is gone cannot be written to: its exit says the rest.
    child.stdin!.on("error", () => {});
    child.on("error", (error) => resolve({ how: error.message, exitCode: 1 }));
    // After exit, and after the last bytes of all pipes.
    child.on("close", (code, signal) => {
      resolve({
        how: reason(code, signal, lastWords),
        exitCode: code ?? 128 + (signal ? constants.signals[signal] : 0),
      });
    });
    return {
      post: (message) => void child.stdin!.write(toFrame(message)),
      cut: (id) => void child.stdin!.write(toFrame(id, "host")),
      board: undefined, // what hosts the worker there sees it
      terminate: () => void child.kill("SIGKILL"),
      ended,
    };
  };
}

function argumentsOf({ permissions, v8Flags }: SubprocessOptions): string[] {
  const config = findConfig();
  return [
    "run",
    "--no-prompt",
    "--quiet",
    "--allow-read", // loading a module by its name reads it
    ...permissions,
    ...config === undefined ? [] : ["--config", config],
    ...v8Flags.length === 0 ? [] : [`--v8-flags=${v8Flags.join(",")}`],
    new URL("./_process_worker.ts", import.meta.url).href,
  ];
}

/** The configuration that this program has: it maps the names of modules. */
function findConfig(): string | undefined {
  try {
    for (
      let folder = new URL(".", Deno.mainModule);
      folder.protocol === "file:";
      folder = new URL("..", folder)
    ) {
      for (const name of ["deno.json", "deno.jsonc"]) {
        const url = new URL(name, folder);
        if (isFile(url)) return url.pathname;
      }
      if (folder.pathname === "/") return;
    }
  } catch { /* not to be read: the process looks by itself */ }
}

function isFile(url: URL): boolean {
  try {
    return Deno.statSync(url).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** As much of the environment as may be read; without it Deno finds its home. */
function environment(): Record<string, string> {
  const { state } = Deno.permissions.querySync({ name: "env" });
  return state === "granted" ? Deno.env.toObject() : {};
}

function writeAll(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    at += Deno.stderr.writeSync(bytes.subarray(at));
  }
}

function reason(
  code: number | null,
  signal: string | null,
  lastWords: string,
): string {
  const end = signal ? `the signal ${signal}` : `the exit code ${code}`;
  // Of the engine, or of Deno, which may not know a flag.
  const why = /Fatal JavaScript out of memory[^\n]*/.exec(lastWords)?.[0] ??
    /^error: (.*)/m.exec(stripVTControlCharacters(lastWords))?.[1];
  return why ? `${end} (${why})` : end;
}
