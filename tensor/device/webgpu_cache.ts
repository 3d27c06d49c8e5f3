/**
 * Bounded maps.
 *
 * @module
 */

/**
 * Makes place in a map that is full: the older half goes, which is cheaper
 * than to note each use.
 */
export function forgetOldest(map: Map<string, unknown>, most: number): void {
  if (map.size < most) return;
  let left = most / 2;
  for (const key of map.keys()) {
    if (left-- <= 0) return;
    map.delete(key);
  }
}
