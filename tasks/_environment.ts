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
