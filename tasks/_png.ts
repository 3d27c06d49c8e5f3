/**
 * PNG files: charts by way of resvg, and small grey images.
 *
 * @module
 */
import { crc32, deflateSync } from "node:zlib";
import type { Chart } from "./_svg.ts";

/**
 * Draws a chart as a PNG file, with the Inter typeface inside.
 *
 * Needs `--allow-read` for the rasterizer and the typeface, which lie in
 * Deno's cache.
 *
 * @param chart The chart.
 * @param scale Pixels of the PNG to one of the chart. @default 2
 * @returns The file's bytes.
 */
export async function svgToPng(
  chart: Chart,
  scale = 2,
): Promise<Uint8Array<ArrayBuffer>> {
  const { Resvg, fonts } = await loadResvg();
  const resvg = new Resvg(chart.svg, {
    background: "#fff",
    fitTo: { mode: "zoom", value: scale },
    font: {
      fontBuffers: fonts,
      defaultFontFamily: "Inter",
      sansSerifFamily: "Inter",
    },
  });
  try {
    const image = resvg.render();
    try {
      return new Uint8Array(image.asPng());
    } finally {
      image.free();
    }
  } finally {
    resvg.free();
  }
}

type Resvg = typeof import("@resvg/resvg-wasm");
let loading:
  | Promise<{ Resvg: Resvg["Resvg"]; fonts: Uint8Array[] }>
  | undefined;

/** Starts the rasterizer once: a second `initWasm` would throw. */
function loadResvg(): NonNullable<typeof loading> {
  loading ??= (async () => {
    const [{ initWasm, Resvg }] = await Promise.all([
      import("@resvg/resvg-wasm"),
      // Only files of a package that is imported can be resolved.
      import("inter-ui/package.json", { with: { type: "json" } }),
    ]);
    const [wasm, ...fonts] = await Promise.all([
      import.meta.resolve("@resvg/resvg-wasm/index_bg.wasm"),
      import.meta.resolve("inter-ui/web/Inter-Regular.woff2"),
      import.meta.resolve("inter-ui/web/Inter-SemiBold.woff2"),
    ].map((url) => Deno.readFile(new URL(url))));
    await initWasm(wasm!);
    return { Resvg, fonts };
  })();
  return loading;
}

/** An image of grey values, row by row. */
export interface GrayImage {
  readonly pixels: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
  /** The value that is white. @default 255 */
  readonly white?: number;
}

/**
 * A grey image as a PNG file; values beyond black (0) and white are clamped.
 *
 * @param image The image.
 * @returns The file's bytes, eight bits a pixel.
 * @throws {RangeError} If there are not as many pixels as the size says.
 */
export function grayPng(image: GrayImage): Uint8Array<ArrayBuffer> {
  const { pixels, width, height, white = 255 } = image;
  const fits = Number.isInteger(width) && Number.isInteger(height) &&
    width > 0 && height > 0 && pixels.length === width * height;
  if (!fits) {
    throw new RangeError(
      `grayPng: ${width} x ${height} must be the number of pixels: got ` +
        `${pixels.length}`,
    );
  }
  // Each row begins with its filter: 0, none.
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const level = Math.round(pixels[i]! / white * 255);
      rows[y * (width + 1) + 1 + x] = Math.min(Math.max(level, 0), 255);
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 8; // bits; the zeros after it: grey, deflate, filters, no interlace
  const parts = [
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", new Uint8Array()),
  ];
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** Length, type, content and checksum of the last two. */
function chunk(type: string, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(content, 8);
  view.setUint32(
    content.length + 8,
    crc32(bytes.subarray(4, content.length + 8)),
  );
  return bytes;
}
