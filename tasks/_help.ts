/**
 * The text that `--help` prints.
 *
 * @module
 */
import {
  type Command,
  flagOf,
  type Option,
  type OptionTable,
  placeholder,
  rangeText,
} from "./_command.ts";

/** The flags stand in a column at most this wide, longer ones on a line. */
const MAX_FLAG_COLUMN = 28;

/**
 * Lays out a command's help: summary, usage, options by group, examples.
 *
 * @param command The declaration.
 * @param columns The width of the terminal; used from 40 to 100.
 * @returns Lines with a newline at the end.
 */
export function formatHelp<T extends OptionTable>(
  command: Command<T>,
  columns = 80,
): string {
  const width = Math.min(Math.max(columns, 40), 100);
  const groups = new Map<string, [string, string][]>();
  for (const [name, option] of Object.entries(command.options)) {
    const group = option.group ?? "Options";
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group)!.push([flagText(name, option), describe(option)]);
  }
  const rest = groups.has("Options") ? "Options" : "Help";
  if (!groups.has(rest)) groups.set(rest, []);
  groups.get(rest)!.push(["-h, --help", "Show this help and exit"]);

  const flags = [...groups.values()].flat().map(([flag]) => flag.length);
  const column = Math.min(Math.max(...flags), MAX_FLAG_COLUMN) + 4;
  const lines = command.summary.split("\n\n").flatMap(
    (paragraph) => [...wrap(paragraph.replace(/\s+/g, " "), width), ""],
  );
  lines.push(`Usage: ${command.name} [options]`);
  for (const [group, options] of groups) {
    lines.push("", `${group}:`);
    for (const [flag, help] of options) {
      const head = `  ${flag}`;
      const beside = head.length + 2 <= column;
      if (!beside) lines.push(head);
      for (const [i, row] of wrap(help, width - column).entries()) {
        lines.push((beside && i === 0 ? head : "").padEnd(column) + row);
      }
    }
  }
  for (const [i, { args, help }] of (command.examples ?? []).entries()) {
    lines.push(...(i === 0 ? ["", "Examples:"] : []));
    lines.push(`  ${`${command.name} ${args}`.trimEnd()}`);
    lines.push(...wrap(help, width - 6).map((row) => `      ${row}`));
  }
  return lines.join("\n") + "\n";
}

/** `--epochs N`, or `--no-auxiliary` for a switch that is on. */
function flagText(name: string, option: Option): string {
  const flag = flagOf(name);
  if (option.type !== "boolean") return `${flag} ${placeholder(option)}`;
  return option.default ? `--no-${flag.slice(2)}` : flag;
}

/** The help line with the range and the default. */
function describe(option: Option): string {
  const notes: string[] = [];
  if (option.type === "int" || option.type === "number") {
    const range = rangeText(option);
    if (range) notes.push(range);
  }
  if (option.type !== "boolean") {
    const value = option.defaultText ?? option.default;
    if (value !== undefined) notes.push(`default ${value}`);
    else if (option.required) notes.push("required");
  } else if (option.defaultText !== undefined) {
    notes.push(`default ${option.defaultText}`);
  }
  return notes.length > 0
    ? `${option.help} (${notes.join("; ")})`
    : option.help;
}

/** Breaks a paragraph at spaces into lines of at most `width` characters. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line ? `${line} ${word}` : word;
    }
  }
  lines.push(line);
  return lines;
}
