/**
 * PyTorch in a process of its own, where Debian's `python3-torch` is installed.
 *
 * @module
 */

import type { Input } from "./_peers.ts";
import { write } from "./_results.ts";
import { say } from "./_say.ts";

/** Where Debian has the interpreter that sees its packages. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = new URL("./pytorch_peer.py", import.meta.url);

/** What the script answers; a read is followed by `sizes` float32 numbers. */
interface Answer {
  readonly error?: string;
  readonly about?: string;
  readonly seconds?: number;
  readonly sizes?: readonly number[];
}

/** Work that the script knows by name. */
export interface TorchWork {
  readonly name: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A PyTorch process: one question, then its answer. */
export class PyTorch {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #rest: Uint8Array<ArrayBufferLike> = new Uint8Array();
  #works = 0;

  constructor(child: Deno.ChildProcess) {
    this.#writer = child.stdin.getWriter();
    this.#reader = child.stdout.getReader();
    // It ends when its input does; nothing has to wait for that.
    child.unref();
  }

  /** Sends the inputs of some work over, and gives its number. */
  async prepare(work: TorchWork, inputs: readonly Input[]): Promise<number> {
    const id = this.#works++;
    const parts = inputs.map(({ shape, values }) => ({
      shape,
      dtype: values instanceof Int32Array ? "int32" : "float32",
    }));
    const { name, options = {} } = work;
    await this.#send({ do: "prepare", id, name, options, inputs: parts });
    for (const { values } of inputs) {
      await this.#writer.write(
        new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      );
    }
    await this.#answer();
    return id;
  }

  /** Does the work once; gives the milliseconds that the script measured. */
  async run(id: number): Promise<number> {
    await this.#send({ do: "run", id });
    return (await this.#answer()).seconds! * 1e3;
  }

  /** Does the work once; gives its results. */
  async read(id: number): Promise<Float32Array[]> {
    await this.#send({ do: "read", id });
    const { sizes } = await this.#answer();
    const results: Float32Array[] = [];
    for (const size of sizes!) {
      const bytes = await this.#take(size * 4);
      results.push(new Float32Array(bytes.slice().buffer));
    }
    return results;
  }

  /** What it is. */
  async about(): Promise<string> {
    await this.#send({
      do: "about",
      threads: navigator.hardwareConcurrency,
    });
    return (await this.#answer()).about!;
  }

  async #send(question: unknown): Promise<void> {
    const line = `${JSON.stringify(question)}\n`;
    await this.#writer.write(new TextEncoder().encode(line));
  }

  async #answer(): Promise<Answer> {
    let end: number;
    while ((end = this.#rest.indexOf(0x0a)) < 0) await this.#more();
    const line = new TextDecoder().decode(await this.#take(end + 1));
    const answer = JSON.parse(line) as Answer;
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  async #take(length: number): Promise<Uint8Array> {
    while (this.#rest.length < length) await this.#more();
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#reader.read();
    if (done) throw new Error("PyTorch ended");
    const joined = new Uint8Array(this.#rest.length + value.length);
    joined.set(this.#rest);
    joined.set(value, this.#rest.length);
    this.#rest = joined;
  }
}

let opened: Promise<PyTorch | undefined> | undefined;

/** Starts PyTorch; undefined, and a line, where it is not installed. */
export function openPyTorch(): Promise<PyTorch | undefined> {
  return opened ??= open();
}

async function open(): Promise<PyTorch | undefined> {
  try {
    const child = new Deno.Command(PYTHON, {
      // Without -B it would leave a folder of compiled modules.
      args: ["-B", SCRIPT.pathname],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const torch = new PyTorch(child);
    const about = `pytorch, wasm: ${await torch.about()}`;
    say(about);
    write([{ about }]);
    return torch;
  } catch {
    say("pytorch, wasm: left out: python3-torch is not installed");
    return undefined;
  }
}
