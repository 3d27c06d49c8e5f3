import type { TaskRecord } from "./_task.ts";

/**
 * The chain of tasks, each of which needs the one before, that took longest: no
 * number of workers would be faster than it.
 */
export function criticalPath(records: readonly TaskRecord[]): TaskRecord[] {
  const took = new Float64Array(records.length);
  const before = new Int32Array(records.length).fill(-1);
  let last = -1;
  // Tasks come after what they need.
  for (const { id, needs, worker, startedAt, endedAt } of records) {
    for (const need of needs) {
      if (before[id]! < 0 || took[need]! > took[before[id]!]!) {
        before[id] = need;
      }
    }
    const own = worker === undefined ? 0 : endedAt! - startedAt!;
    took[id] = own + (before[id]! < 0 ? 0 : took[before[id]!]!);
    if (last < 0 || took[id]! > took[last]!) last = id;
  }
  const path: TaskRecord[] = [];
  for (let id = last; id >= 0; id = before[id]!) path.push(records[id]!);
  path.reverse();
  return path.filter(({ worker }) => worker !== undefined);
}
