import type { RemoteReference } from "../remote.ts";
import { type FailurePath, TaskFailedError } from "./task_failed_error.ts";

/** How far a task is. */
export type TaskState = "waiting" | "running" | "done" | "failed" | "cancelled";

/** What is known of a task after it ended as well: nothing of its result. */
export interface TaskRecord {
  readonly id: number;
  /** The function's name; of several tasks with a number. */
  readonly name: string;
  /** What the task does, without a number. */
  readonly group: string;
  /** The tasks whose results it takes. */
  readonly needs: readonly number[];
  state: TaskState;
  /** Milliseconds since 1970, where it ran; of the last try. */
  startedAt: number | undefined;
  endedAt: number | undefined;
  /** Where it ran. */
  worker: string | undefined;
  /** How often it was begun. */
  tries: number;
}

/** What a task runs. */
export interface TaskCall {
  readonly f: RemoteReference;
  readonly args: readonly unknown[];
  readonly retries: number;
}

/** What a task tells its graph. */
export interface TaskOwner {
  /** All that it needs is there. */
  onReady(task: Task): void;
  /** It ended, one way or the other. */
  onEnded(task: Task): void;
}

/** One call on its way. */
export class Task {
  readonly record: TaskRecord;
  /** Its result; rejects with a {@linkcode TaskFailedError}. */
  readonly ended: Promise<unknown>;
  /** Gone once it ended: so are the results that only it needed. */
  call: TaskCall | undefined;
  /** Ends the call where it runs. */
  readonly controller: AbortController = new AbortController();
  readonly #owner: TaskOwner;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  #missing: number;
  #value: unknown;
  #failure: { readonly path: FailurePath; readonly cause: unknown } | undefined;
  /** Those that wait for it. */
  #dependants: Task[] = [];

  constructor(
    owner: TaskOwner,
    record: TaskRecord,
    call: TaskCall | undefined,
    needs: readonly Task[],
  ) {
    this.#owner = owner;
    this.record = record;
    this.call = call;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    // A failure that nobody asks for stays silent.
    promise.catch(() => {});
    this.ended = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#missing = needs.filter((need) => !need.isOver).length;
    const failed = needs.find((need) => need.#failure !== undefined);
    if (failed) {
      const { path, cause } = failed.#failure!;
      this.#fail(failed.state as "failed" | "cancelled", cause, path);
      return;
    }
    for (const need of needs) if (!need.isOver) need.#dependants.push(this);
  }

  get state(): TaskState {
    return this.record.state;
  }

  get isOver(): boolean {
    return this.state !== "waiting" && this.state !== "running";
  }

  /** Nothing is missing to run it. */
  get isReady(): boolean {
    return this.state === "waiting" && this.#missing === 0;
  }

  /** Its result; it must be there. */
  get value(): unknown {
    return this.#value;
  }

  done(value: unknown): void {
    if (this.isOver) return;
    this.#value = value;
    this.#end("done");
    this.#resolve(value);
    for (const dependant of this.#leave()) {
      if (--dependant.#missing === 0 && dependant.isReady) {
        this.#owner.onReady(dependant);
      }
    }
  }

  failed(cause: unknown): void {
    this.#fail("failed", cause, undefined);
  }

  cancel(reason: unknown): boolean {
    if (this.isOver) return false;
    this.#fail("cancelled", reason, undefined);
    this.controller.abort(reason);
    return true;
  }

  /** Fails, and with it all that need it: in a loop, since chains are long. */
  #fail(
    state: "failed" | "cancelled",
    cause: unknown,
    way: FailurePath | undefined,
  ): void {
    const line: [Task, FailurePath | undefined][] = [[this, way]];
    for (const [task, before] of line) {
      if (task.isOver) continue;
      const { name } = task.record;
      const path: FailurePath = {
        name,
        before,
        origin: before?.origin ?? name,
        length: (before?.length ?? 0) + 1,
      };
      task.#failure = { path, cause };
      task.#end(state);
      task.#reject(new TaskFailedError(path, cause));
      for (const dependant of task.#leave()) line.push([dependant, path]);
    }
  }

  #end(state: TaskState): void {
    this.record.state = state;
    this.call = undefined;
    this.#owner.onEnded(this);
  }

  #leave(): Task[] {
    const dependants = this.#dependants;
    this.#dependants = [];
    return dependants;
  }
}
