import { basename, dirname, join } from "@std/path";

/** Ends the names of files that are still being written. */
const UNFINISHED = ".heddle-part";

/**
 * Writes a file so that a reader, a crash or a power cut finds the old content
 * or the new one, never a part: it is written beside, flushed to the disk and
 * renamed.
 *
 * @param path The file; its folder must exist.
 * @param content Text (as UTF-8) or bytes.
 * @throws {Error} If it cannot be written, in words and with the cause.
 */
export async function atomicWrite(
  path: string,
  content: string | Uint8Array,
): Promise<void> {
  const bytes = typeof content === "string"
    ? new TextEncoder().encode(content)
    : content;
  const name = `.${basename(path)}.${crypto.randomUUID()}${UNFINISHED}`;
  const beside = join(dirname(path), name);
  try {
    const file = await Deno.open(beside, { write: true, createNew: true });
    try {
      for (let done = 0; done < bytes.length;) {
        done += await file.write(bytes.subarray(done));
      }
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(beside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await Deno.remove(beside).catch(() => {});
    throw new Error(`writing ${path}: ${fileProblem(error)}`, { cause: error });
  }
}

/** Removes what runs that were killed while writing left in a folder. */
export async function removeUnfinished(folder: string): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile && entry.name.endsWith(UNFINISHED)) {
      await Deno.remove(join(folder, entry.name)).catch(() => {});
    }
  }
}

/** Why a file could not be written or read, for people. */
export function fileProblem(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  switch ((error as { code?: string }).code) {
    case "ENOSPC":
    case "EDQUOT":
      return "the disk is full";
    case "EROFS":
      return "the file system is read-only";
    case "EACCES":
    case "EPERM":
      return "no permission";
    case "ENOTDIR":
    case "EEXIST":
      return "a file is in the way";
    case "EISDIR":
      return "a folder is in the way";
    default:
      return error.message;
  }
}

/** Makes a rename last through a power cut, where folders can be flushed. */
async function syncFolder(path: string): Promise<void> {
  try {
    using folder = await Deno.open(path);
    await folder.sync();
  } catch {
    // Windows cannot open folders; the file itself is safe already.
  }
}
