/**
 * Small things that scripts ask of their process.
 *
 * @module
 */

/**
 * An environment variable, without asking for the right to read it.
 *
 * @param name Its name.
 * @returns Its value, or undefined if it is not set or may not be read.
 */
export function environment(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/**
 * Writes all of a text; a full pipe takes only a part at a time.
 *
 * @param stream Such as `Deno.stdout`.
 * @param text What to write.
 */
export function writeText(
  stream: { writeSync(bytes: Uint8Array): number },
  text: string,
): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) {
    done += stream.writeSync(bytes.subarray(done));
  }
}

/** Width of the terminal, or undefined where there is none. */
export function terminalColumns(): number | undefined {
  try {
    return Deno.consoleSize().columns || undefined;
  } catch {
    return undefined;
  }
}
