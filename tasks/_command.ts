/**
 * Commands and their options, declared as data: one table gives the types of
 * the values, the checks, the messages and the help text.
 *
 * @module
 */
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

/** What is wrong with a value, or undefined. */
export function problem(
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
