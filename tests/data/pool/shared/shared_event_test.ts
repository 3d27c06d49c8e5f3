import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { SharedArray, SharedEvent } from "@heddle/data/pool";
import { start, until } from "./threads.ts";

Deno.test("SharedEvent lets all go on, also when it is cleared at once", async () => {
  const event = new SharedEvent();
  const ready = new SharedArray("int32", 1);
  const threads = [true, false, true, false].map((blocking) =>
    start("waitFor", event, ready, blocking)
  );
  await until(() => ready.get(0) === 4);
  await new Promise((resolve) => setTimeout(resolve, 60)); // they sleep
  assertEquals(event.isSet, false);
  event.set();
  event.clear();
  await Promise.all(threads.map((thread) => thread.result));
  for (const thread of threads) thread.terminate();
  assertEquals(event.isSet, false);
});

Deno.test("SharedEvent that is set lets everybody pass, until it is cleared", async () => {
  const event = new SharedEvent();
  event.clear();
  event.set();
  event.set();
  assert(SharedEvent.from(structuredClone(event)).isSet);
  event.waitSync({ timeoutMs: 0 });
  await event.wait({ timeoutMs: 0 });
  event.clear();
  event.clear();
  assertThrows(() => event.waitSync({ timeoutMs: 5 }), DOMException, "5 ms");
  await assertRejects(() => event.wait({ timeoutMs: 5 }), DOMException);
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  assertEquals(await assertRejects(() => event.wait({ signal })), reason);
});
