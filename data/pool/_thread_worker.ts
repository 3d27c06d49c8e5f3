/**
 * Where a worker thread begins.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import type { ToWorker } from "./_messages.ts";
import { serve } from "./_serve.ts";

self.onmessage = ({ data }: MessageEvent<MessagePort>) => {
  self.onmessage = null; // the rest goes through the port
  const receive = serve((message, transfer) =>
    data.postMessage(message, transfer)
  );
  data.onmessage = ({ data }: MessageEvent<ToWorker>) => receive(data);
};
