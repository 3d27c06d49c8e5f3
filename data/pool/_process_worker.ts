/**
 * Where a worker process begins: this thread passes frames on to the one that
 * works. So it sees the end of its input, which is the end of the pool's
 * process, even while the other is in a long loop.
 *
 * @module
 */

import { writeSync } from "node:fs";
import { splitFrames } from "./_frames.ts";
import { openThread } from "./_thread.ts";

/** The pipe to the pool: what functions print goes its usual way. */
const OUTPUT = 3;

if (import.meta.main) {
  const thread = openThread<Uint8Array, Uint8Array>(true, (frame) => {
    for (let at = 0; at < frame.length;) {
      at += writeSync(OUTPUT, frame, at, frame.length - at);
    }
  });
  const receive = splitFrames((frame) => thread.post(frame, [frame.buffer]));
  thread.ended.then(() => Deno.exit(0));
  for await (const bytes of Deno.stdin.readable) receive(bytes);
  Deno.exit(0);
}
