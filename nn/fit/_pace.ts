/** Milliseconds that a pace looks back. */
const WINDOW_MS = 5000;
/** Milliseconds between the marks that it looks back to. */
const MARK_MS = 250;

/** How fast steps go, over a window that slides along. */
export class Pace {
  readonly #marks: { readonly at: number; readonly steps: number }[] = [];

  /** Begins behind some steps. */
  constructor(steps: number, now: number = performance.now()) {
    this.#marks.push({ at: now, steps });
  }

  /**
   * Counts.
   *
   * @param steps Steps done in all.
   * @returns Steps a second, or undefined while it is too early to tell.
   */
  mark(steps: number, now: number = performance.now()): number | undefined {
    const marks = this.#marks;
    if (now - marks.at(-1)!.at >= MARK_MS) marks.push({ at: now, steps });
    while (marks.length > 1 && now - marks[1]!.at >= WINDOW_MS) marks.shift();
    const [first] = marks;
    const ms = now - first!.at;
    return ms < MARK_MS ? undefined : 1000 * (steps - first!.steps) / ms;
  }
}
