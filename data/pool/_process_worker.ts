/**
 * Where a worker process begins: this thread passes frames on to the one that
 * works. So it sees the end of its input, which is the end of the pool's
 * process, even while the other is in a long loop, and then cuts chunks too.
 *
 * @module
 */

import { writeSync } from "node:fs";
import { cut } from "./_board.ts";
import { fromFrame, splitFrames, toFrame } from "./_frames.ts";
import type { CutMessage } from "./_messages.ts";
import { openThread } from "./_thread.ts";

/** The pipe to the pool: what functions print goes its usual way. */
const OUTPUT = 3;

if (import.meta.main) {
  const send = (frame: Uint8Array) => {
    for (let at = 0; at < frame.length;) {
      at += writeSync(OUTPUT, frame, at, frame.length - at);
    }
  };
  const thread = openThread<Uint8Array, Uint8Array>(true, send);
  const receive = splitFrames((frame, kind) => {
    if (kind === "worker") return thread.post(frame, [frame.buffer]);
    const id = fromFrame(frame) as number;
    const message: CutMessage = {
      type: "cut",
      id,
      from: cut(thread.board, id),
    };
    send(toFrame(message));
  });
  thread.ended.then(() => Deno.exit(0));
  for await (const bytes of Deno.stdin.readable) receive(bytes);
  Deno.exit(0);
}
