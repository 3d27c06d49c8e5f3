/** A point of a drawing: x to the right, y down. */
export type Point = readonly [number, number];

/** One movement of the pen. */
export interface Stroke {
  readonly points: readonly Point[];
  /** "curve" passes smoothly through the points; "loop" also closes. */
  readonly kind: "line" | "curve" | "loop";
}

/** The stroke as a chain of short straight pieces. */
export function flatten(stroke: Stroke, pieces: number): Point[] {
  const { points, kind } = stroke;
  if (kind === "line") return [...points];
  const count = points.length;
  const at = (index: number): Point =>
    kind === "loop"
      ? points[(index + count) % count]!
      : points[Math.min(Math.max(index, 0), count - 1)]!;
  const spans = kind === "loop" ? count : count - 1;
  const chain: Point[] = [at(0)];
  for (let span = 0; span < spans; span++) {
    const around = [
      at(span - 1),
      at(span),
      at(span + 1),
      at(span + 2),
    ] as const;
    for (let piece = 1; piece <= pieces; piece++) {
      chain.push(catmullRom(around, piece / pieces));
    }
  }
  return chain;
}

/**
 * The curve through the middle two of four points: Catmull and Rom 1974, the
 * uniform form with tension 1/2.
 */
function catmullRom(
  [p0, p1, p2, p3]: readonly [Point, Point, Point, Point],
  t: number,
): Point {
  const blend = (axis: 0 | 1) =>
    p1[axis] + 0.5 * t * (p2[axis] - p0[axis] +
        t * (2 * p0[axis] - 5 * p1[axis] + 4 * p2[axis] - p3[axis] +
            t * (3 * (p1[axis] - p2[axis]) + p3[axis] - p0[axis])));
  return [blend(0), blend(1)];
}

/**
 * Draws a chain with a round pen onto `ink`, 0 to 1, in pixels; the rim is
 * antialiased over one pixel, and overlaps do not get darker.
 *
 * @param ink `[size, size]`, row-major.
 * @param radius Of the pen at each point of the chain.
 */
export function drawChain(
  ink: Float32Array,
  size: number,
  chain: readonly Point[],
  radius: (fraction: number) => number,
): void {
  for (let index = 1; index < chain.length; index++) {
    const [fromX, fromY] = chain[index - 1]!;
    const [toX, toY] = chain[index]!;
    const pen = radius(index / chain.length);
    const reach = pen + 1;
    const deltaX = toX - fromX, deltaY = toY - fromY;
    const lengthSquared = deltaX * deltaX + deltaY * deltaY;
    const left = clip(Math.min(fromX, toX) - reach, size);
    const right = clip(Math.max(fromX, toX) + reach, size);
    const top = clip(Math.min(fromY, toY) - reach, size);
    const bottom = clip(Math.max(fromY, toY) + reach, size);
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const along = (x - fromX) * deltaX + (y - fromY) * deltaY;
        const fraction = lengthSquared === 0
          ? 0
          : Math.min(Math.max(along / lengthSquared, 0), 1);
        const awayX = x - fromX - fraction * deltaX;
        const awayY = y - fromY - fraction * deltaY;
        // Math.hypot, which guards against overflow, takes ten times as long.
        const distance = Math.sqrt(awayX * awayX + awayY * awayY);
        const covered = Math.min(Math.max(pen + 0.5 - distance, 0), 1);
        const pixel = y * size + x;
        if (covered > ink[pixel]!) ink[pixel] = covered;
      }
    }
  }
}

function clip(value: number, size: number): number {
  return Math.min(Math.max(Math.round(value), 0), size - 1);
}
