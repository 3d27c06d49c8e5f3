/// <reference lib="deno.worker" />
// First form: one call a message.
self.onmessage = async ({ data: { id, moduleUrl, exportName, args } }) => {
  try {
    const f = (await import(moduleUrl))[exportName];
    self.postMessage({ id, value: await f(...args) });
  } catch (error) {
    self.postMessage({ id, error });
  }
};
