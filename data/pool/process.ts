import { checkArguments } from "./_check_call.ts";
import { checkOptions, type OptionNames } from "./_check_options.ts";
import type { Host, StartHost } from "./_host.ts";
import type { FromWorker } from "./_messages.ts";
import { pack } from "./_pack.ts";
import { toFrame } from "./_frames.ts";
import { hostsFor } from "./_isolation.ts";
import { argumentsNotSendable, keepHere } from "./_not_sendable.ts";
import { fromWire, summary } from "./_wire_error.ts";
import { within } from "./_within.ts";
import { checkRemote, type RemoteReference } from "./remote.ts";
import { TaskError } from "./task_error.ts";
import { WorkerDiedError } from "./worker_died_error.ts";

/** How a {@linkcode Process} runs. */
export interface ProcessOptions {
  /**
   * Names it in errors.
   * @default `Process-1`, `Process-2` and so on
   */
  readonly name?: string;
  /**
   * A thread, or a process of the operating system: see
   * {@linkcode WorkerPoolOptions.isolation}.
   * @default "thread"
   */
  readonly isolation?: "thread" | "process";
  /**
   * See {@linkcode WorkerPoolOptions.permissions}.
   * @default none
   */
  readonly permissions?: readonly string[];
  /**
   * See {@linkcode WorkerPoolOptions.v8Flags}.
   * @default none
   */
  readonly v8Flags?: readonly string[];
}

const OPTIONS: OptionNames<ProcessOptions> = {
  name: true,
  isolation: true,
  permissions: true,
  v8Flags: true,
};

/** As a shell has it: 128 and the number of SIGTERM. */
const TERMINATED = 143;

let count = 0;

/**
 * One function in a worker of its own, which ends when the function returns.
 * What it returns is dropped: it speaks through shared memory, or files.
 *
 * @typeParam Args What the function takes.
 *
 * @example Start, wait, ask how it ended
 * ```ts
 * import { Process, remoteModule } from "@heddle/data/pool";
 * import { assertEquals } from "@std/assert";
 *
 * const counter = remoteModule<{ count(words: Int32Array): void }>(
 *   "data:text/javascript,export const count = (x) => { Atomics.add(x, 0, 3) }",
 * );
 * const words = new Int32Array(new SharedArrayBuffer(4));
 * const process = new Process(counter.count, [words]);
 * process.start();
 * await process.join();
 * assertEquals([process.exitCode, words[0]], [0, 3]);
 * ```
 */
export class Process<Args extends unknown[] = unknown[]>
  implements Disposable, AsyncDisposable {
  /** Names it in errors. */
  readonly name: string;
  readonly #f: RemoteReference<Args>;
  readonly #args: Args;
  readonly #startHost: StartHost;
  readonly #isolation: ProcessOptions["isolation"];
  #host: Host | undefined;
  #ended: Promise<void> | undefined;
  #exitCode: number | undefined;
  #error: TaskError | WorkerDiedError | Error | undefined;
  /** What will count when its host has ended. */
  #outcome: { readonly exitCode: number; readonly error?: Error } | undefined;

  /**
   * Prepares it; {@linkcode Process.start} starts it.
   *
   * @throws {TypeError} If `f` has no module to find it by, or an option is
   * none.
   * @throws {RangeError} If a flag is none.
   */
  constructor(
    f: RemoteReference<Args>,
    args: Args,
    options: ProcessOptions = {},
  ) {
    checkOptions("Process", options, OPTIONS);
    this.#f = checkRemote("Process", f);
    checkArguments("Process", args);
    this.#args = args;
    this.#startHost = hostsFor("Process", options);
    this.#isolation = options.isolation;
    keepHere(this, "call it where it was made");
    this.name = options.name ?? `Process-${++count}`;
  }

  /**
   * Starts it.
   *
   * @throws {Error} If it was started before.
   * @throws {TypeError} If an argument cannot be sent.
   */
  start(): void {
    if (this.#host) {
      throw new Error(`Process.start: ${this.name} was started before`);
    }
    const host = this.#host = this.#startHost((message) =>
      this.#onMessage(message)
    );
    this.#ended = host.ended.then(({ how, exitCode }) => {
      const { exitCode: code, error } = this.#outcome ??
        this.#died(how, exitCode, undefined);
      this.#exitCode = code;
      this.#error = error;
    });
    const { moduleUrl, exportName } = this.#f;
    const { values, transfer } = pack([this.#args], 0, 1, true);
    try {
      host.post({
        type: "start",
        initializer: undefined,
        sendEach: false,
      }, []);
      host.post({
        type: "chunk",
        id: 1,
        moduleUrl,
        exportName,
        spread: true,
        items: values,
        silent: true,
      }, transfer);
    } catch (cause) {
      this.terminate();
      const clone = this.#isolation === "process" ? toFrame : structuredClone;
      const error = argumentsNotSendable(this.#args, cause, clone, transfer);
      error.message = `Process.start: ${exportName}: ${error.message}`;
      throw error;
    }
  }

  /**
   * Waits until it has ended.
   *
   * @param timeoutMs How long at most.
   * @returns Whether it has ended.
   * @throws {Error} If it was not started.
   */
  async join(timeoutMs?: number): Promise<boolean> {
    if (!this.#ended) {
      throw new Error(`Process.join: ${this.name} was not started`);
    }
    const ended = this.#ended.then(() => true);
    return await within("Process.join", ended, timeoutMs, () => false);
  }

  /**
   * Ends it whatever it does; its exit code is 143 then. A thread in a long
   * synchronous loop runs on until the loop ends, though nothing hears of it.
   * One that was not started is not ended either.
   */
  terminate(): void {
    if (!this.#host) return;
    this.#outcome ??= { exitCode: TERMINATED };
    this.#host.terminate();
  }

  /** Whether it was started and has not ended. */
  isAlive(): boolean {
    return this.#host !== undefined && this.#exitCode === undefined;
  }

  /**
   * How it ended: 0 if the function returned, 1 if it threw, what it passed to
   * `Deno.exit()`, 128 and the number of a signal; undefined before.
   */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Why it ended otherwise than by returning or by being terminated. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Calls {@linkcode Process.terminate}. */
  [Symbol.dispose](): void {
    this.terminate();
  }

  /** Calls {@linkcode Process.terminate} and waits until it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.terminate();
    await this.#ended;
  }

  #onMessage(message: FromWorker): void {
    if (message.type === "ready" || message.type === "cut") return;
    this.#outcome ??= this.#outcomeOf(message);
    this.#host?.terminate();
  }

  #outcomeOf(
    message: Exclude<FromWorker, { type: "ready" | "cut" }>,
  ): { exitCode: number; error?: Error } {
    if (message.type === "results") return { exitCode: 0 };
    if (message.type === "dying") {
      const cause = message.error && fromWire(message.error);
      return this.#died(message.how, message.exitCode, cause);
    }
    const thrown = fromWire(message.error);
    if (message.type === "unusable" && thrown instanceof Error) {
      return { exitCode: 1, error: thrown };
    }
    const error = new TaskError(
      `${this.name}: ${this.#f.exportName}: ${summary(thrown)}`,
      0,
      thrown,
    );
    return { exitCode: 1, error };
  }

  #died(
    how: string,
    exitCode: number,
    cause: unknown,
  ): { exitCode: number; error?: Error } {
    if (exitCode === 0) return { exitCode };
    const error = new WorkerDiedError(
      `${this.name}: ${this.#f.exportName}: ended by ${how}`,
      { index: 0, attempts: 1, exitCode, cause },
    );
    return { exitCode, error };
  }
}
