import { describe } from "./remote.ts";

/** Names of options: the compiler sees to it that none is missing. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/**
 * Refuses what is no option: without types, a misspelt one does nothing.
 *
 * @throws {TypeError} If they are no object, or have another name.
 */
export function checkOptions<Options extends object>(
  operation: string,
  options: Options,
  names: OptionNames<Options>,
): void {
  const all = () => Object.keys(names).join(", ");
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `${operation}: the options are not an object: got ` +
        `${describe(options)}: pass them as { ${all()} }`,
    );
  }
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(names, name)) continue;
    throw new TypeError(
      `${operation}: no such option: got ${name}: use ${all()}`,
    );
  }
}
