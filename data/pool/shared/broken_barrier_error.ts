/**
 * A barrier was aborted, reset or given up by one of those who waited, so that
 * the others need not wait for it.
 */
export class BrokenBarrierError extends Error {
  /** `BrokenBarrierError`. */
  override readonly name: string = "BrokenBarrierError";
}
