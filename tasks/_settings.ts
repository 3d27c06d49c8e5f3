import {
  type OptionTable,
  type OptionValue,
  type OptionValues,
  problem,
} from "./_command.ts";
import { nearest } from "./_nearest.ts";

/**
 * Settings given in code, with the same defaults and checks as on the command
 * line.
 *
 * @param operation Named in the error.
 * @param options The declared options.
 * @param given Settings; those that are undefined get their default.
 * @returns A value for each option declared.
 * @throws {TypeError} For an unknown setting or a wrong type.
 * @throws {RangeError} For a value out of range.
 */
export function completeSettings<T extends OptionTable>(
  operation: string,
  options: T,
  given: { readonly [K in keyof T]?: OptionValue<T[K]> | undefined },
): OptionValues<T> {
  const settings = given as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(settings)) {
    if (Object.hasOwn(options, name)) continue;
    const near = nearest(name, Object.keys(options));
    throw new TypeError(
      `${operation}: unknown setting ${name}` +
        (near ? `: did you mean ${near}?` : ""),
    );
  }
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const value = settings[name] ??
      (option.type === "boolean" ? option.default ?? false : option.default);
    if (value === undefined) {
      if (option.type !== "boolean" && option.required) {
        throw new TypeError(`${operation}: ${name} is missing`);
      }
    } else {
      const type = option.type === "int"
        ? "number"
        : option.type === "enum"
        ? "string"
        : option.type;
      const got: string = typeof value;
      if (got !== type) {
        throw new TypeError(
          `${operation}: ${name} must be a ${type}: got ${got}`,
        );
      }
      const wrong = problem(option, value as string | number | boolean);
      if (wrong) throw new RangeError(`${operation}: ${name} ${wrong}`);
    }
    values[name] = value;
  }
  return values as OptionValues<T>;
}
