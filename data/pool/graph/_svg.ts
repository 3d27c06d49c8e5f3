/** Colours that differ in hue, and in lightness as well. */
const COLOURS = [
  "#3b76c4",
  "#e08a2e",
  "#4f9d69",
  "#b65aa6",
  "#8a7a3c",
  "#c9534f",
  "#43a5a8",
  "#7566c9",
];

/** The colour of a worker. */
export function colourOf(
  worker: string | undefined,
  workers: ReadonlyMap<string, string>,
): string {
  if (worker === undefined) return "var(--faint)";
  return COLOURS[[...workers.keys()].indexOf(worker) % COLOURS.length]!;
}

/** Attributes of an element. */
export function attributes(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${escapeText(value)}"`).join(" ");
}

/** Text that is no markup. */
export function escapeText(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text.replace(/[&<>"]/g, (character) => entities[character]!);
}

/** Text of so many characters at most: the middle goes, numbers stay. */
export function shorten(text: string, length: number): string {
  if (text.length <= length) return text;
  const tail = Math.floor(length / 3);
  return `${text.slice(0, length - tail - 1)}…${text.slice(-tail)}`;
}
