/**
 * What a lock costs when nobody else wants it: an acquisition and a release.
 * With others, see `contended_locks.ts`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { Lock, RLock, Semaphore, SharedValue } from "@heddle/data/pool";

const TIMES = 1000;
const lock = new Lock();
const rlock = new RLock();
const semaphore = new Semaphore(1);
const value = new SharedValue("int32");
const group = `lock and release ${TIMES} times`;

Deno.bench("Lock.acquireSync", { group, baseline: true }, () => {
  for (let i = 0; i < TIMES; i++) lock.acquireSync().release();
});

Deno.bench("Lock.acquireSync with using", { group }, () => {
  for (let i = 0; i < TIMES; i++) {
    using _held = lock.acquireSync();
  }
});

Deno.bench("Lock.tryAcquire", { group }, () => {
  for (let i = 0; i < TIMES; i++) lock.tryAcquire()!.release();
});

Deno.bench("RLock.acquireSync", { group }, () => {
  for (let i = 0; i < TIMES; i++) rlock.acquireSync().release();
});

Deno.bench("Semaphore.acquireSync", { group }, () => {
  for (let i = 0; i < TIMES; i++) semaphore.acquireSync().release();
});

Deno.bench("SharedValue.add, without a lock", { group }, () => {
  const before = value.value;
  for (let i = 0; i < TIMES; i++) value.add(1);
  assertEquals(value.value, before + TIMES | 0);
});

Deno.bench("await Lock.acquire", { group }, async () => {
  for (let i = 0; i < TIMES; i++) (await lock.acquire()).release();
});
