/** Whether this machine stores the highest byte first. */
export const BIG_ENDIAN: boolean =
  new Uint8Array(Uint16Array.of(1).buffer)[0] === 0;

/** Turns the bytes of each element around, in place. */
export function swapEnds(bytes: Uint8Array, elementBytes: number): void {
  for (let begin = 0; begin < bytes.length; begin += elementBytes) {
    let low = begin;
    let high = begin + elementBytes - 1;
    while (low < high) {
      const byte = bytes[low]!;
      bytes[low++] = bytes[high]!;
      bytes[high--] = byte;
    }
  }
}
