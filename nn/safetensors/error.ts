/** A file that is damaged, hostile, or holds what cannot be read. */
export class SafetensorsError extends Error {
  /** The name of the class. */
  override readonly name: string = "SafetensorsError";
}

/** Throws, in the form `readSafetensors: what is wrong`. */
export function fail(problem: string): never {
  throw new SafetensorsError(`readSafetensors: ${problem}`);
}

/** Text from a file, cut and quoted for a message. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
