import type { Collating, loadItems, openDataset } from "./_load_items.ts";
import { Pool } from "./pool/pool.ts";
import type { DelayedCall } from "./pool/delayed.ts";
import type { RemoteReference } from "./pool/remote.ts";
import { TaskError } from "./pool/task_error.ts";

const moduleUrl = import.meta.resolve("./_load_items.ts");

const OPEN_DATASET: RemoteReference<Parameters<typeof openDataset>> = {
  moduleUrl,
  exportName: "openDataset",
};

const LOAD_ITEMS: RemoteReference<Parameters<typeof loadItems>> = {
  moduleUrl,
  exportName: "loadItems",
};

/** Workers that hold a data set each. */
export class LoaderWorkers implements Disposable {
  readonly #pool: Pool;

  constructor(workers: number, { f, args }: DelayedCall) {
    this.#pool = new Pool({
      workers,
      inCaller: false,
      initializer: {
        f: OPEN_DATASET as unknown as DelayedCall["f"],
        args: [f.moduleUrl, f.exportName, args],
      },
    });
  }

  /** Gets items in a worker. */
  async load(
    batch: number,
    indices: readonly number[],
    epoch: number,
    collating: Collating,
  ): Promise<unknown> {
    try {
      const args: Parameters<typeof loadItems> = [indices, epoch, collating];
      return await this.#pool.apply(LOAD_ITEMS, args, { index: batch });
    } catch (error) {
      const cause = error instanceof TaskError ? error.cause : error;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(
        /^item \d+: /.test(why)
          ? `DataLoader: ${why}`
          : `DataLoader: batch ${batch}, items ${indices.join(", ")}: ${why}`,
        { cause: error instanceof TaskError ? innermost(cause) : error },
      );
    }
  }

  [Symbol.dispose](): void {
    this.#pool.terminate();
  }
}

/** What the data set threw: beneath the error that names the item. */
function innermost(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined
    ? error.cause
    : error;
}
