/**
 * Reads the options of a command.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import {
  type Command,
  flagOf,
  type Option,
  type OptionTable,
  type OptionValues,
  placeholder,
  problem,
  UsageError,
} from "./_command.ts";
import { nearest } from "./_nearest.ts";

/** Whether `--help` or `-h` stands among the arguments. */
export function wantsHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  return options.includes("--help") || options.includes("-h");
}

/**
 * Reads a command's arguments.
 *
 * `--name value` and `--name=value` mean the same; negative numbers may follow
 * either way. Of a switch that is given several times the last one wins.
 *
 * @param command The declaration.
 * @param args As in `Deno.args`.
 * @param defaults Come before the declared defaults, such as the settings of
 *   a run that is resumed; names that are not declared are passed over.
 * @returns A value for each option declared.
 * @throws {UsageError} For unknown options, positional arguments, and values
 *   that are missing, given twice, of a wrong type or out of range.
 *
 * @example Values have the declared types
 * ```ts ignore
 * const { epochs, out } = parseOptions(
 *   defineCommand({
 *     name: "deno task train",
 *     summary: "Trains.",
 *     options: {
 *       epochs: { type: "int", default: 20, min: 1, help: "passes" },
 *       out: { type: "string", help: "where the results go" },
 *     },
 *   }),
 *   ["--epochs", "3"],
 * );
 * // epochs: number, 3; out: string | undefined
 * ```
 */
export function parseOptions<T extends OptionTable>(
  command: Command<T>,
  args: readonly string[],
  defaults: Readonly<Record<string, unknown>> = {},
): OptionValues<T> {
  const fail = (message: string): never => {
    throw new UsageError(message, `Try ${command.name} --help`);
  };
  const table = new Map<string, [string, Option]>(
    Object.entries(command.options).map(
      (entry) => [flagOf(entry[0]).slice(2), entry],
    ),
  );
  const flags = [...table.keys()];
  const booleans = flags.filter((f) => table.get(f)![1].type === "boolean");
  const withValues = flags.filter((flag) => !booleans.includes(flag));
  const unknown: string[] = [];
  const parsed = parseArgs(prepare(args, table, fail), {
    boolean: booleans,
    negatable: booleans,
    string: ["_", ...withValues],
    collect: withValues,
    unknown: (arg, key) => {
      if (key === undefined) return true;
      unknown.push(arg.replace(/=.*/s, ""));
      return false;
    },
  }) as Record<string, unknown> & { _: unknown[] };

  for (const flag of unknown) {
    const known = booleans.map((name) => `no-${name}`).concat(flags, "help");
    const word = flag.replace(/^-+/, "");
    const begun = known.filter((name) => name.startsWith(word));
    const near = begun.length > 0
      ? begun.join(" or --")
      : nearest(word, known) ?? nearest(word.replace(/^no-/, ""), known);
    fail(
      `${flag}: unknown option: ` +
        (near ? `did you mean --${near}?` : "see --help for the options"),
    );
  }

  const values: Record<string, unknown> = {};
  for (const [flag, [name, option]] of table) {
    const given = Object.hasOwn(parsed, flag) ? parsed[flag] : undefined;
    const texts = Array.isArray(given) ? given as readonly unknown[] : [given];
    if (texts.length > 1) {
      fail(`--${flag}: given twice: got ${texts.map(String).join(" and ")}`);
    }
    const [text] = texts;
    if (option.type === "boolean") {
      const isGiven = args.some((arg) =>
        arg === `--${flag}` || arg === `--no-${flag}` ||
        arg.startsWith(`--${flag}=`)
      );
      values[name] = isGiven ? text : defaults[name] ?? option.default ?? false;
    } else if (text === undefined) {
      values[name] = defaults[name] ?? option.default;
      if (option.required && values[name] === undefined) {
        fail(`--${flag}: missing: give it as --${flag} ${placeholder(option)}`);
      }
    } else if (text === "") {
      fail(
        `--${flag}: its value is missing: give it as --${flag}=${
          placeholder(option)
        }`,
      );
    } else {
      const value = readValue(option, String(text));
      const wrong = problem(option, value);
      if (wrong) fail(`--${flag}: ${wrong}`);
      values[name] = value;
    }
  }
  if (parsed._.length > 0) {
    fail(
      `unexpected argument ${
        JSON.stringify(parsed._[0])
      }: every setting is an option, as --name value`,
    );
  }
  return values as OptionValues<T>;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * The arguments as `parseArgs` takes them: a negative number after its option
 * would be read as flags, and switches with a value are read loosely.
 */
function prepare(
  args: readonly string[],
  table: ReadonlyMap<string, readonly [string, Option]>,
  fail: (message: string) => never,
): string[] {
  const prepared: string[] = [];
  const end = args.indexOf("--");
  const last = end < 0 ? args.length : end;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const match = i < last && /^--(no-)?([^=]+)(?:=(.*))?$/s.exec(arg);
    if (match) {
      const [, no, flag, value] = match;
      const boolean = table.get(flag!)?.[1].type === "boolean";
      if (boolean && value !== undefined) {
        if (no || (value !== "true" && value !== "false")) {
          fail(
            `--${no ?? ""}${flag}: takes no value: got ${
              JSON.stringify(value)
            }: give --${flag} or --no-${flag}`,
          );
        }
      }
      const next = args[i + 1];
      if (
        value === undefined && !boolean && i + 1 < last &&
        table.has(arg.slice(2)) && NUMBER.test(next!)
      ) {
        prepared.push(`${arg}=${next}`);
        i++;
        continue;
      }
    }
    prepared.push(arg);
  }
  return prepared;
}

/** The text as the option's type, still to be checked. */
function readValue(option: Option, text: string): string | number {
  const numeric = option.type === "int" || option.type === "number";
  return numeric && NUMBER.test(text) ? Number(text) : text;
}
