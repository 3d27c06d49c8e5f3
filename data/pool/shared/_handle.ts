import { membershipIn, ownMembership } from "./_threads.ts";

/** The memory of an object that threads share: what a message carries of it. */
export interface SharedHandle<Kind extends string = string> {
  /** The name of its class. */
  readonly kind: Kind;
  /** Its own memory. */
  readonly words: Int32Array;
  /** Which threads are alive. */
  readonly threads: Int32Array;
}

/** What the structured clone of a shared object still is. */
export interface SharedClone<Kind extends string = string> {
  /** Its memory. */
  readonly handle: SharedHandle<Kind>;
}

/** Memory of a new object, a cache line before each word that is waited for. */
export function makeHandle<Kind extends string>(
  kind: Kind,
  words: number,
): SharedHandle<Kind> {
  const buffer = new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT);
  const { threads } = ownMembership();
  return { kind, words: new Int32Array(buffer), threads };
}

/**
 * The handle that a constructor was given, instead of what a new object needs.
 *
 * @throws {TypeError} If it is none of this kind.
 */
export function checkHandle<Handle extends { readonly kind: string }>(
  kind: Handle["kind"],
  handle: Handle,
): Handle {
  if ((handle as Partial<Handle> | null)?.kind === kind) return handle;
  throw new TypeError(
    `${kind}: expected numbers for a new one, or the handle of another: got ` +
      `${typeof handle === "object" ? "an object" : typeof handle}`,
  );
}

/** This thread's number in the table that an object refers to. */
export function threadIdFor(handle: SharedHandle): number {
  return membershipIn(handle.threads).id;
}

/** The handle in what arrived from another thread. */
export function handleOf<Handle extends { readonly kind: string }>(
  kind: Handle["kind"],
  clone: { readonly handle: Handle },
): Handle {
  const handle = (clone as Partial<typeof clone> | null | undefined)?.handle;
  if (handle?.kind === kind) return handle;
  throw new TypeError(
    `${kind}.from: expected what arrived of a ${kind}: got ${
      handle?.kind ?? (clone === null ? "null" : typeof clone)
    }`,
  );
}
