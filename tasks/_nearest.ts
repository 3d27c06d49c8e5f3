/**
 * The word that a typing error most likely meant.
 *
 * Fewest edits (Damerau-Levenshtein, neighbouring letters may be swapped), at
 * most a third of the word's length and never fewer than two allowed.
 *
 * @param word What was typed.
 * @param candidates What could have been meant.
 * @returns The nearest candidate, or undefined if none is near.
 */
export function nearest(
  word: string,
  candidates: Iterable<string>,
): string | undefined {
  let best: string | undefined;
  let fewest = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const edits = editDistance(word, candidate);
    // A word of which nothing is left is not near.
    if (edits < fewest && edits < Math.max(word.length, candidate.length)) {
      fewest = edits;
      best = candidate;
    }
  }
  return best;
}

/** Edits from `a` to `b`: insert, delete, replace, swap neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      row[j] = Math.min(
        row[j - 1]! + 1,
        last[j]! + 1,
        last[j - 1]! + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(row[j]!, beforeLast[j - 2]! + 1);
      }
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
