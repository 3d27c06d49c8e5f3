/**
 * No place has the files of a data set.
 *
 * A task catches it to use a generated stand-in, and says so.
 */
export class DataNotFoundError extends Error {
  /** The data set, as its loader is called. */
  readonly dataset: string;
  /** Each place that was looked at and what was wrong there, in order. */
  readonly tried: readonly string[];

  /**
   * Names the data set and the places.
   *
   * @param dataset The data set, as its loader is called.
   * @param tried Each place and what was wrong there, in order.
   * @param fix What the user can do.
   */
  constructor(dataset: string, tried: readonly string[], fix: string) {
    super(
      `${dataset}: the data was not found: tried ${tried.join("; ")}: ${fix}`,
    );
    this.name = "DataNotFoundError";
    this.dataset = dataset;
    this.tried = [...tried];
  }
}
