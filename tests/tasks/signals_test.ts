import { assert, assertEquals } from "@std/assert";
import {
  type StopHost,
  StopRequest,
  yieldToEventLoop,
} from "../../tasks/_signals.ts";

function host() {
  const handlers = new Map<string, () => void>();
  const codes: number[] = [];
  const fake: StopHost = {
    listen: (signal, handler) => void handlers.set(signal, handler),
    unlisten: (signal) => void handlers.delete(signal),
    exit: (code) => void codes.push(code),
  };
  return { fake, handlers, codes };
}

/** Works without a pause. */
function work(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

Deno.test("StopRequest asks at the first signal and ends at the second", async () => {
  const { fake, handlers, codes } = host();
  const heard: string[] = [];
  const stop = new StopRequest({
    host: fake,
    onRequest: (signal) => void heard.push(signal),
  });
  assertEquals(stop.requested, false);
  handlers.get("SIGINT")!();
  assertEquals([stop.requested, stop.signal, codes], [true, "SIGINT", []]);
  assertEquals(await stop.promise, "SIGINT");
  handlers.get("SIGTERM")!();
  assertEquals([stop.signal, codes, heard], ["SIGINT", [143], ["SIGINT"]]);
});

Deno.test("StopRequest stops listening when it is disposed", () => {
  const { fake, handlers } = host();
  {
    using _stop = new StopRequest({ host: fake });
    assertEquals([...handlers.keys()], ["SIGINT", "SIGTERM"]);
  }
  assertEquals(handlers.size, 0);
});

Deno.test("StopRequest works where a signal does not exist", () => {
  const { fake, handlers } = host();
  const listen = fake.listen;
  fake.listen = (signal, handler) => {
    if (signal === "SIGTERM") throw new TypeError("not on Windows");
    listen(signal, handler);
  };
  using stop = new StopRequest({ host: fake });
  handlers.get("SIGINT")!();
  assert(stop.requested);
});

Deno.test("yieldToEventLoop() lets a timer fire inside a busy loop", async () => {
  let fired = false;
  setTimeout(() => fired = true, 1);
  let loops = 0;
  while (!fired && loops < 100) {
    work(5);
    await yieldToEventLoop(10);
    loops++;
  }
  assert(fired && loops < 10, `${loops} loops`);
});

Deno.test("yieldToEventLoop() gives no turn before its time", async () => {
  await yieldToEventLoop(0);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  for (let i = 0; i < 1000; i++) await yieldToEventLoop(10_000);
  clearInterval(timer);
  assertEquals(turns, 0);
});

Deno.test("yieldToEventLoop() lets a server answer a busy process", async () => {
  const url = new URL("../../tasks/_signals.ts", import.meta.url).href;
  const code = `import { yieldToEventLoop } from ${JSON.stringify(url)};
    const server = Deno.serve({ port: 0, onListen() {} }, () => new Response("x"));
    await Deno.stdout.write(new TextEncoder().encode(server.addr.port + "\\n"));
    for (const end = Date.now() + 8000; Date.now() < end;) {
      for (const t = Date.now() + 10; Date.now() < t;);
      await yieldToEventLoop();
    }`;
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let text = "";
  for await (const bytes of child.stdout) {
    text += new TextDecoder().decode(bytes);
    if (text.endsWith("\n")) break;
  }
  const begin = performance.now();
  const response = await fetch(`http://127.0.0.1:${text.trim()}/`);
  assertEquals(await response.text(), "x");
  // Some turns of 50 ms each, and not the whole loop.
  assert(performance.now() - begin < 4000);
});

Deno.test({
  name: "StopRequest lets a busy loop save within a second of SIGINT",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const url = new URL("../../tasks/_signals.ts", import.meta.url).href;
    const code = `import { StopRequest, yieldToEventLoop } from ${
      JSON.stringify(url)
    };
    using stop = new StopRequest();
    console.log("ready");
    for (const end = Date.now() + 8000; Date.now() < end && !stop.requested;) {
      for (const t = Date.now() + 10; Date.now() < t;);
      await yieldToEventLoop();
    }
    console.log(stop.signal);
    Deno.exit(3);`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", code],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    let text = "";
    let sent = 0;
    for await (const bytes of child.stdout) {
      text += new TextDecoder().decode(bytes);
      if (!sent && text.includes("ready\n")) {
        child.kill("SIGINT");
        sent = performance.now();
      }
    }
    assertEquals((await child.status).code, 3);
    assertEquals(text, "ready\nSIGINT\n");
    assert(performance.now() - sent < 1000);
  },
});
