/** A new folder that goes when it falls out of scope. */
export class TempFolder implements Disposable {
  /** Its path. */
  readonly path: string = Deno.makeTempDirSync();

  /** The names of what is in it and below, sorted. */
  list(folder: string = this.path): string[] {
    return [...Deno.readDirSync(folder)].flatMap((entry) =>
      entry.isDirectory
        ? this.list(`${folder}/${entry.name}`)
        : [`${folder}/${entry.name}`.slice(this.path.length + 1)]
    ).sort();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** The folder of real data sets beside the checkout, or undefined. */
export function realData(name: string): string | undefined {
  const url = new URL(`../../../shared/data/${name}`, import.meta.url);
  try {
    return Deno.statSync(url).isDirectory ? url.pathname : undefined;
  } catch {
    return undefined;
  }
}
