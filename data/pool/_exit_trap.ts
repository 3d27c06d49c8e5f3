/**
 * Calls `onExit` when code asks this thread to end: by `Deno.exit()`, which
 * `process.exit()` comes to as well, or by `close()`. Where `onExit` returns,
 * the thread ends as asked.
 *
 * @returns Takes the trap away.
 */
export function trapExit(
  onExit: (how: string, exitCode: number) => void,
): () => void {
  const scope = globalThis as { close?: () => void };
  const { exit } = Deno;
  const { close } = scope;
  Deno.exit = (code) => {
    const exitCode = code ?? Deno.exitCode;
    onExit(`Deno.exit(${exitCode})`, exitCode);
    exit(code);
    return neverGoOn();
  };
  if (close) {
    scope.close = () => {
      onExit("close()", 0);
      close.call(globalThis);
      neverGoOn();
    };
  }
  return () => {
    Deno.exit = exit;
    if (close) scope.close = close;
  };
}

/**
 * A thread that was asked to end does so at the next turn of a loop, not at
 * once: nothing that follows may run.
 */
function neverGoOn(): never {
  const until = performance.now() + 1000;
  while (performance.now() < until);
  throw new Error("the thread was asked to end and did not");
}
