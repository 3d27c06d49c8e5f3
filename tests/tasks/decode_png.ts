import { inflateSync } from "node:zlib";

/** A PNG file's pixels, row by row, as a decoder sees them. */
export interface Decoded {
  readonly width: number;
  readonly height: number;
  /** 1 for grey, 4 for RGBA. */
  readonly channels: number;
  readonly pixels: Uint8Array;
}

/** Decodes an 8 bit PNG file, grey or RGB(A), without interlace. */
export function decodePng(file: Uint8Array): Decoded {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const data: Uint8Array[] = [];
  let [width, height, channels] = [0, 0, 0];
  for (let at = 8; at < file.length;) {
    const length = view.getUint32(at);
    const type = new TextDecoder().decode(file.subarray(at + 4, at + 8));
    if (type === "IHDR") {
      width = view.getUint32(at + 8);
      height = view.getUint32(at + 12);
      channels = [1, 0, 3, 0, 2, 0, 4][file[at + 17]!]!;
    }
    if (type === "IDAT") data.push(file.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  const rows = inflateSync(new Uint8Array(data.flatMap((part) => [...part])));
  const stride = width * channels;
  const pixels = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (stride + 1)]!;
    for (let x = 0; x < stride; x++) {
      const at = y * stride + x;
      const left = x >= channels ? pixels[at - channels]! : 0;
      const up = y > 0 ? pixels[at - stride]! : 0;
      const corner = y > 0 && x >= channels
        ? pixels[at - stride - channels]!
        : 0;
      const guess = left + up - corner;
      const [a, b, c] = [left, up, corner].map((v) => Math.abs(guess - v));
      const paeth = a! <= b! && a! <= c! ? left : b! <= c! ? up : corner;
      const predicted = [0, left, up, (left + up) >> 1, paeth][filter]!;
      pixels[at] = rows[y * (stride + 1) + 1 + x]! + predicted;
    }
  }
  return { width, height, channels, pixels };
}
