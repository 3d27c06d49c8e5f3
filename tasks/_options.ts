/**
 * Command-line options declared as data: one table gives the types of the
 * values, the checks, the messages and the help text.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { nearest } from "./_nearest.ts";

/** What every option may say about itself. */
interface OptionBase {
  /** What giving the option does, one sentence without a full stop. */
  readonly help: string;
  /** The heading that it stands under in the help. @default "Options" */
  readonly group?: string;
  /** The placeholder of the value in the help. @default by type */
  readonly placeholder?: string;
  /** Shown as the default, where the value cannot say it. */
  readonly defaultText?: string;
}

/** A number; `int` allows whole numbers up to 2⁵³ - 1 only. */
export interface NumberOption extends OptionBase {
  readonly type: "number" | "int";
  readonly default?: number;
  readonly required?: boolean;
  /** The least value allowed. */
  readonly min?: number;
  /** The largest value allowed. */
  readonly max?: number;
  /** The value must be larger. */
  readonly above?: number;
  /** The value must be smaller. */
  readonly below?: number;
}

/** Any text that is not empty, such as a path. */
export interface StringOption extends OptionBase {
  readonly type: "string";
  readonly default?: string;
  readonly required?: boolean;
}

/** One of a few words. */
export interface EnumOption extends OptionBase {
  readonly type: "enum";
  readonly choices: readonly string[];
  readonly default?: string;
  readonly required?: boolean;
}

/**
 * A switch, `--name` or `--no-name`. Where the default is true the help shows
 * `--no-name`, and `help` says what that does.
 */
export interface BooleanOption extends OptionBase {
  readonly type: "boolean";
  /** @default false */
  readonly default?: boolean;
}

/** One option of a command. */
export type Option = NumberOption | StringOption | EnumOption | BooleanOption;

/** Options by their camelCase name: `weightSharing` is `--weight-sharing`. */
export type OptionTable = Readonly<Record<string, Option>>;

/** The type of one option's value where there is one. */
type Given<O extends Option> = O extends BooleanOption ? boolean
  : O extends NumberOption ? number
  : O extends EnumOption ? O["choices"][number]
  : string;

/** The type of one option's value; undefined if it has no default. */
export type OptionValue<O extends Option> = O extends
  { type: "boolean" } | { default: number | string } | { required: true }
  ? Given<O>
  : Given<O> | undefined;

/** The values of a table of options, by name. */
export type OptionValues<T extends OptionTable> = {
  readonly [K in keyof T]: OptionValue<T[K]>;
};

/** A command: how it is called, what it does and its options. */
export interface Command<T extends OptionTable = OptionTable> {
  /** How it is called, as `deno task siamese`. */
  readonly name: string;
  /** What it does, in one or more paragraphs. */
  readonly summary: string;
  readonly options: T;
  /** Calls worth showing, each with what it does. */
  readonly examples?: readonly {
    readonly args: string;
    readonly help: string;
  }[];
}

/** The command was called in a wrong way; its message names the option. */
export class UsageError extends Error {
  override name = "UsageError";
  /** How to see the options, if the command is known. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** `weightSharing` as `--weight-sharing`. */
export function flagOf(name: string): string {
  return "--" +
    name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Keeps the literal types of a declaration, so that values are typed. */
export function defineCommand<const T extends OptionTable>(
  command: Command<T>,
): Command<T> {
  return command;
}

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
 * either way. The last of several equal options wins.
 *
 * @param command The declaration.
 * @param args As in `Deno.args`.
 * @param defaults Come before the declared defaults, such as the settings of
 *   a run that is resumed; names that are not declared are passed over.
 * @returns A value for each option declared.
 * @throws {UsageError} For unknown options, positional arguments, and values
 *   that are missing, of a wrong type or out of range.
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
  const unknown: string[] = [];
  const parsed = parseArgs(prepare(args, table, fail), {
    boolean: booleans,
    negatable: booleans,
    string: ["_", ...flags.filter((flag) => !booleans.includes(flag))],
    unknown: (arg, key) => {
      if (key === undefined) return true;
      unknown.push(arg.replace(/=.*/s, ""));
      return false;
    },
  }) as Record<string, unknown> & { _: unknown[] };

  for (const flag of unknown) {
    const known = booleans.map((name) => `no-${name}`).concat(flags, "help");
    const word = flag.replace(/^-+/, "");
    const near = nearest(word, known) ??
      nearest(word.replace(/^no-/, ""), known);
    fail(
      `${flag}: unknown option: ` +
        (near ? `did you mean --${near}?` : "see --help for the options"),
    );
  }

  const values: Record<string, unknown> = {};
  for (const [flag, [name, option]] of table) {
    const text = Object.hasOwn(parsed, flag) ? parsed[flag] : undefined;
    if (option.type === "boolean") {
      const given = args.some((arg) =>
        arg === `--${flag}` || arg === `--no-${flag}` ||
        arg.startsWith(`--${flag}=`)
      );
      values[name] = given ? text : defaults[name] ?? option.default ?? false;
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

/** The placeholder of an option's value. */
export function placeholder(option: Option): string {
  if (option.placeholder !== undefined) return option.placeholder;
  return option.type === "string"
    ? "TEXT"
    : option.type === "enum"
    ? option.choices.join("|")
    : option.type === "int"
    ? "N"
    : "X";
}

/** The allowed numbers in words, as `at least 1`; undefined if any. */
export function rangeText(option: NumberOption): string | undefined {
  const { min, max, above, below } = option;
  if (min !== undefined && max !== undefined) return `from ${min} to ${max}`;
  const parts = [
    min === undefined ? undefined : `at least ${min}`,
    above === undefined ? undefined : `above ${above}`,
    max === undefined ? undefined : `at most ${max}`,
    below === undefined ? undefined : `below ${below}`,
  ].filter((part) => part !== undefined);
  return parts.length > 0 ? parts.join(" and ") : undefined;
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

/** What is wrong with a value, or undefined. */
function problem(
  option: Option,
  value: string | number | boolean,
): string | undefined {
  const got = `got ${JSON.stringify(value)}`;
  switch (option.type) {
    case "boolean":
    case "string":
      return undefined;
    case "enum": {
      if (option.choices.includes(String(value))) return undefined;
      const near = nearest(String(value), option.choices);
      return `must be one of ${option.choices.join(", ")}: ${got}` +
        (near ? `: did you mean ${near}?` : "");
    }
    case "int":
    case "number": {
      if (typeof value !== "number" || !Number.isFinite(value)) {
        const kind = option.type === "int" ? "a whole number" : "a number";
        return `must be ${kind}: got ${
          typeof value === "number" ? value : JSON.stringify(value)
        }`;
      }
      if (option.type === "int" && !Number.isSafeInteger(value)) {
        return `must be a whole number: ${got}`;
      }
      const fits = value >= (option.min ?? -Infinity) &&
        value <= (option.max ?? Infinity) &&
        value > (option.above ?? -Infinity) &&
        value < (option.below ?? Infinity);
      return fits ? undefined : `must be ${rangeText(option)}: ${got}`;
    }
    default:
      return option satisfies never;
  }
}
