/**
 * Writes a file with the header of another one and its rows over and over.
 *
 * @param bytes The least size.
 * @returns How often the rows are in it.
 */
export async function repeatRows(
  from: string,
  to: string,
  bytes: number,
): Promise<number> {
  const all = await Deno.readFile(from);
  const begin = all.indexOf(0x0a) + 1;
  const rows = all.at(-1) === 0x0a
    ? all.subarray(begin)
    : new Uint8Array([...all.subarray(begin), 0x0a]);
  using file = await Deno.open(to, { write: true, create: true });
  const writer = file.writable.getWriter();
  await writer.write(all.subarray(0, begin));
  const times = Math.max(1, Math.ceil((bytes - begin) / rows.length));
  for (let time = 0; time < times; time++) await writer.write(rows);
  await writer.close();
  return times;
}
