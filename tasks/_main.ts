/**
 * What a task script does around its work: help, exit codes, errors in words.
 *
 * @module
 */
import { formatHelp } from "./_help.ts";
import {
  type Command,
  type OptionTable,
  type OptionValues,
  UsageError,
} from "./_command.ts";
import { parseOptions, wantsHelp } from "./_options.ts";
import { environment, terminalColumns, writeText } from "./_process.ts";

/** Where a script's output and its end go; tests give their own. */
export interface MainHost {
  readonly args: readonly string[];
  writeOut(text: string): void;
  writeError(text: string): void;
  exit(code: number): void;
  /** Whether errors are shown with their stack. */
  readonly debug: boolean;
  /** Width of the terminal, for the help. */
  readonly columns: number;
}

/** A script's result: nothing, or the exit code that it ends with. */
export type MainResult = number | void;

/**
 * Runs a script and ends the process: code 0 when it is done, 2 for a
 * {@linkcode UsageError}, 1 for any other error. Errors are printed as one
 * message; `HEDDLE_DEBUG=1` adds the stack.
 *
 * The process ends even if workers or timers are left.
 *
 * @param main The script; a number that it returns is the exit code.
 * @param host Replaces parts of the process.
 */
export async function runMain(
  main: () => MainResult | Promise<MainResult>,
  host: Partial<MainHost> = {},
): Promise<void> {
  const { writeError, exit, debug } = { ...processHost(), ...host };
  let code = 0;
  try {
    code = (await main()) ?? 0;
  } catch (error) {
    code = error instanceof UsageError ? 2 : 1;
    writeError(errorText(error, debug));
  }
  exit(code);
}

/**
 * Runs a command: prints its help if that is asked for, else reads its options
 * and calls `main` with them; ends the process as {@linkcode runMain} does.
 *
 * @param command The declaration.
 * @param main The script. `withDefaults` reads the options again, with other
 *   defaults for those not given: the settings of a run that is resumed.
 * @param host Replaces parts of the process.
 */
export function runCommand<T extends OptionTable>(
  command: Command<T>,
  main: (
    options: OptionValues<T>,
    withDefaults: (defaults: Readonly<Record<string, unknown>>) => OptionValues<
      T
    >,
  ) => MainResult | Promise<MainResult>,
  host: Partial<MainHost> = {},
): Promise<void> {
  const { args, columns, writeOut } = { ...processHost(), ...host };
  return runMain(() => {
    if (wantsHelp(args)) return writeOut(formatHelp(command, columns));
    return main(
      parseOptions(command, args),
      (defaults) => parseOptions(command, args, defaults),
    );
  }, host);
}

/** The message of an error and of its causes, and a hint if it has one. */
export function errorText(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return `error: ${String(error)}\n`;
  if (error instanceof UsageError) {
    const hint = error.hint ? `${error.hint}\n` : "";
    return `error: ${error.message}\n${hint}`;
  }
  const lines: string[] = [];
  const seen = new Set<unknown>();
  let prefix = "error: ";
  for (
    let cause: unknown = error;
    cause !== undefined && cause !== null && !seen.has(cause);
    cause = cause instanceof Error ? cause.cause : undefined
  ) {
    seen.add(cause);
    const message = cause instanceof Error
      ? cause.message || cause.name
      : String(cause);
    lines.push(prefix + message);
    if (debug && cause instanceof Error && cause.stack) {
      lines.push(cause.stack);
    }
    prefix = "  because: ";
  }
  if (!debug) lines.push("  (HEDDLE_DEBUG=1 shows where)");
  return lines.join("\n") + "\n";
}

function processHost(): MainHost {
  return {
    args: Deno.args,
    writeOut: (text) => writeText(Deno.stdout, text),
    writeError: (text) => writeText(Deno.stderr, text),
    exit: (code) => Deno.exit(code),
    debug: !["", "0", undefined].includes(environment("HEDDLE_DEBUG")),
    columns: Deno.stdout.isTerminal() ? terminalColumns() ?? 80 : 80,
  };
}
