import { download } from "@heddle/data";
import { assertEquals, assertRejects } from "@std/assert";
import { TempFolder } from "./places.ts";

const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

function serve(
  handler: (request: Request) => Response | Promise<Response>,
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port: 0, onListen: () => {} }, handler);
}

function abc(server: Deno.HttpServer<Deno.NetAddr>) {
  const urls = [`http://localhost:${server.addr.port}/abc`];
  return { name: "abc", bytes: 3, sha256: ABC, urls };
}

Deno.test("download() leaves nothing behind when the content is wrong", async () => {
  const wrong: [string, string][] = [
    ["ab", "expected 3 bytes: got 2"],
    ["abcd", "expected 3 bytes: got more"],
    ["abd", `expected SHA-256 ${ABC}: got`],
  ];
  for (const [body, message] of wrong) {
    using folder = new TempFolder();
    await using server = serve(() => new Response(body));
    const error = await assertRejects(
      () => download(abc(server), `${folder.path}/abc`),
      AggregateError,
      message,
    );
    assertEquals(error.errors.length, 1);
    assertEquals(folder.list(), []);
  }
});

Deno.test("download() keeps an earlier file when it fails", async () => {
  using folder = new TempFolder();
  await using server = serve(() => new Response("no", { status: 500 }));
  const path = `${folder.path}/abc`;
  await Deno.writeTextFile(path, "old");
  await assertRejects(() => download(abc(server), path), AggregateError);
  assertEquals(await Deno.readTextFile(path), "old");
});

Deno.test("download() stops reading behind the length it knows", async () => {
  using folder = new TempFolder();
  let sent = 0;
  await using server = serve(() =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull(controller) {
          sent += 65536;
          controller.enqueue(new Uint8Array(65536));
        },
      }),
    )
  );
  await assertRejects(
    () => download(abc(server), `${folder.path}/abc`),
    AggregateError,
    "got more",
  );
  // Without an end the server would go on for ever; a few buffers are normal.
  assertEquals(sent < 64 * 2 ** 20, true);
});

Deno.test("download() gives up on a server that says nothing", async () => {
  using folder = new TempFolder();
  const { promise, resolve } = Promise.withResolvers<Response>();
  {
    await using server = serve(() => promise);
    await assertRejects(
      () => download(abc(server), `${folder.path}/abc`, { waitMs: 50 }),
      AggregateError,
      "no answer for 50 ms",
    );
    resolve(new Response("late"));
  }
  assertEquals(folder.list(), []);
});

Deno.test("download() gives up on a server that stops half-way", async () => {
  using folder = new TempFolder();
  const stop = Promise.withResolvers<void>();
  await using server = serve(() =>
    new Response(
      new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode("ab"));
          await stop.promise;
          controller.close();
        },
      }),
    )
  );
  await assertRejects(
    () => download(abc(server), `${folder.path}/abc`, { waitMs: 100 }),
    AggregateError,
    "no answer for 100 ms",
  );
  stop.resolve();
  assertEquals(folder.list(), []);
});

Deno.test("download() ends with the reason of its signal", async () => {
  using folder = new TempFolder();
  await using server = serve(() => new Response("abc"));
  const reason = new Error("stopped");
  const got = await assertRejects(
    () =>
      download(abc(server), `${folder.path}/abc`, {
        signal: AbortSignal.abort(reason),
      }),
  );
  assertEquals(got, reason);
  assertEquals(folder.list(), []);
});

Deno.test("download() says in one part why a server cannot be reached", async () => {
  using folder = new TempFolder();
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  const url = `http://127.0.0.1:${port}/abc`;
  const error = await assertRejects(
    () =>
      download(
        { name: "abc", bytes: 3, sha256: ABC, urls: [url] },
        `${folder.path}/abc`,
      ),
    AggregateError,
  );
  assertEquals(error.message.split(url).length, 2);
});
