import { dirname } from "@std/path";

/**
 * Writes a file beside its place and renames it once it is whole: whoever reads
 * the path sees all of it or nothing, also when the process is killed.
 *
 * @param write Writes the content; a throw leaves the path as it was.
 */
export async function writeAtomically(
  path: string,
  write: (file: Deno.FsFile) => Promise<void>,
): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  const beside = `${path}.${crypto.randomUUID()}.part`;
  try {
    const file = await Deno.open(beside, { write: true, createNew: true });
    try {
      await write(file);
      // Without it a power loss can leave a renamed but empty file.
      await file.syncData();
    } finally {
      file.close();
    }
    await Deno.rename(beside, path);
  } catch (error) {
    await Deno.remove(beside).catch(() => {});
    throw error;
  }
}

/** Writes all of `bytes`: one call of `write` may take only a part. */
export async function writeAll(
  file: Deno.FsFile,
  bytes: Uint8Array,
): Promise<void> {
  let at = 0;
  while (at < bytes.length) at += await file.write(bytes.subarray(at));
}
