import type { Executor } from "../executor.ts";
import { movedParts } from "../moved.ts";
import { TaskError } from "../task_error.ts";
import { withResults } from "./_arguments.ts";
import { RUN_TASK } from "./_run_task.ts";
import type { Task, TaskOwner } from "./_task.ts";

/** Calls on their way for each worker: one runs, one waits. */
const AHEAD = 2;
/** Cheap ones travel together: as many as take so long, */
const AHEAD_MS = 5;
/** but no more than this. */
const MOST_AHEAD = 64;

/** Gives tasks to an executor as soon as what they need is there. */
export class Scheduler implements TaskOwner {
  readonly #executor: Executor;
  /** Tasks that use results: they come first, so that those are released. */
  readonly #later: Queue<Task> = new Queue();
  readonly #first: Queue<Task> = new Queue();
  #running = 0;
  /** What a task took lately. */
  #averageMs = AHEAD_MS;
  readonly #onEnded: (task: Task) => void;

  constructor(executor: Executor, onEnded: (task: Task) => void) {
    this.#executor = executor;
    this.#onEnded = onEnded;
  }

  onReady(task: Task): void {
    (task.record.needs.length > 0 ? this.#later : this.#first).push(task);
    this.#pump();
  }

  onEnded(task: Task): void {
    this.#onEnded(task);
  }

  #pump(): void {
    const ahead = Math.ceil(AHEAD_MS / Math.max(this.#averageMs, 1e-3));
    const most = this.#executor.size *
      Math.max(AHEAD, Math.min(MOST_AHEAD, ahead));
    while (this.#running < most) {
      const task = this.#later.shift() ?? this.#first.shift();
      if (task === undefined) return;
      if (task.isReady) this.#run(task); // not cancelled meanwhile
    }
  }

  async #run(task: Task): Promise<void> {
    this.#running++;
    const { record } = task;
    const { f, args, retries } = task.call!;
    let again = record.tries < retries;
    try {
      const values = args.map(withResults);
      const parts = movedParts(values, 0, values.length, false);
      if (parts.length > 0) again = false; // what moved is not here any more
      const call = [...values, f.moduleUrl, f.exportName];
      record.state = "running";
      record.tries++;
      record.startedAt = performance.timeOrigin + performance.now();
      const run = await this.#executor.apply(RUN_TASK, call, {
        signal: task.controller.signal,
        index: record.id,
        name: record.name,
      });
      record.startedAt = run.startedAt;
      record.endedAt = run.endedAt;
      record.worker = run.worker;
      this.#averageMs += (run.endedAt - run.startedAt - this.#averageMs) / 8;
      task.done(run.value);
    } catch (error) {
      record.endedAt = performance.timeOrigin + performance.now();
      if (task.isOver) {
        // Cancelled: this is how the executor says so.
      } else if (again) {
        record.state = "waiting";
        this.onReady(task);
      } else task.failed(error instanceof TaskError ? error.cause : error);
    } finally {
      this.#running--;
      this.#pump();
    }
  }
}

/** First in, first out. */
class Queue<Item> {
  #items: (Item | undefined)[] = [];
  #head = 0;

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
