/**
 * Numba in a process of its own, where Debian's `python3-numba` is installed.
 *
 * @module
 */

import { write } from "./_results.ts";
import { say } from "./_say.ts";

/** Where Debian has the interpreter that sees its packages. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = new URL("./numba_peer.py", import.meta.url);

/** What the script answers. */
interface Answer {
  readonly about?: string;
  readonly result?: readonly number[];
  readonly seconds?: number;
}

/** Work that the script knows by name, with its arguments. */
export interface NumbaWork {
  readonly name: string;
  readonly [argument: string]: unknown;
}

/** A Numba process: one question, then its answer. */
export class Numba {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #rest = "";
  #works = 0;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#writer = child.stdin.getWriter();
    this.#reader = child.stdout.getReader();
  }

  /** Compiles some work and does it; gives its number and its result. */
  async prepare(
    work: NumbaWork,
  ): Promise<{ id: number; result: readonly number[] }> {
    const { result } = await this.#ask({ do: "prepare", ...work });
    return { id: this.#works++, result: result! };
  }

  /** Does the work once; gives the milliseconds that the script measured. */
  async run(id: number): Promise<number> {
    return (await this.#ask({ do: "run", id })).seconds! * 1e3;
  }

  /** What it is. */
  async about(): Promise<string> {
    return (await this.#ask({ do: "about" })).about!;
  }

  async #ask(question: unknown): Promise<Answer> {
    this.#child.ref();
    try {
      return await this.#answer(question);
    } finally {
      // It ends when its input does; nothing has to wait for that.
      this.#child.unref();
    }
  }

  async #answer(question: unknown): Promise<Answer> {
    const line = `${JSON.stringify(question)}\n`;
    await this.#writer.write(new TextEncoder().encode(line));
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("Numba ended");
      this.#rest += this.#decoder.decode(value, { stream: true });
    }
    const end = this.#rest.indexOf("\n");
    const answer = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return JSON.parse(answer) as Answer;
  }
}

/** Starts Numba; undefined, and a line, where it is not installed. */
export async function openNumba(): Promise<Numba | undefined> {
  try {
    const child = new Deno.Command(PYTHON, {
      // Without -B it would leave a folder of compiled modules.
      args: ["-B", SCRIPT.pathname],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const numba = new Numba(child);
    const about = await numba.about();
    say(about);
    write([{ about }]);
    return numba;
  } catch {
    say("numba: left out: python3-numba is not installed");
    return undefined;
  }
}
