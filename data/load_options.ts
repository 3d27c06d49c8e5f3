import type { DownloadOptions } from "./download.ts";

/** Where a loader looks for a data set, in the order of these fields. */
export interface LoadOptions extends DownloadOptions {
  /**
   * A folder with the files, as a user gives with `--data`. Its content is
   * taken as it is; only the format is checked.
   *
   * @default none
   */
  readonly folder?: string | undefined;
  /**
   * The folder that keeps downloads; `null` for none. Its files must have the
   * right checksum.
   *
   * @default what `cacheFolder()` gives
   */
  readonly cache?: string | null | undefined;
  /**
   * Whether to download what is in neither folder.
   *
   * @default true
   */
  readonly download?: boolean | undefined;
  /**
   * Addresses of folders to download from.
   *
   * @default the public ones
   */
  readonly mirrors?: readonly string[] | undefined;
}
