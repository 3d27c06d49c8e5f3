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

/** Where a text may be. */
export interface LabelBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly class: string;
}

/**
 * One line of text that ends at the edge of its box, whatever the font, with an
 * ellipsis before its tail: there numbers tell names apart.
 */
export function label(box: LabelBox, head: string, tail: string): string {
  const { x, y, width } = box;
  return `<foreignObject ${
    attributes({
      class: box.class,
      x: x.toFixed(1),
      y: y.toFixed(1),
      width: width.toFixed(1),
      height: "18",
    })
  }><div><span>${escapeText(head)}</span>${
    escapeText(tail)
  }</div></foreignObject>`;
}

/** {@linkcode label}, for the name of a task. */
export function nameLabel(box: LabelBox, name: string): string {
  const tail = /-\d+$/.exec(name)?.[0] ?? "";
  return label(box, name.slice(0, name.length - tail.length), tail);
}
