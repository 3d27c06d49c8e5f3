import { fail, quote } from "./error.ts";

/**
 * Parses a JSON object in which no key comes twice: `JSON.parse` would take
 * the last one and hide the others.
 */
export function parseStrictJson(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail(`the header is not JSON: ${(error as Error).message}`);
  }
  if (!isRecord(value)) fail(`the header is no object: got ${quote(value)}`);
  const twice = repeatedKey(text);
  if (twice !== undefined) fail(`the header has a key twice: ${quote(twice)}`);
  return value;
}

/** Whether a value of JSON is an object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The first key that an object has twice, in text known to be JSON. */
function repeatedKey(text: string): string | undefined {
  // Keys so far of the objects that are open; null for an array.
  const open: (Set<string> | null)[] = [];
  let expectsKey = false;
  for (let at = 0; at < text.length; at++) {
    const mark = text[at];
    if (mark === '"') {
      const end = endOfText(text, at);
      const keys = open.at(-1);
      if (expectsKey && keys) {
        const key: string = JSON.parse(text.slice(at, end));
        if (keys.has(key)) return key;
        keys.add(key);
      }
      expectsKey = false;
      at = end - 1;
    } else if (mark === "{") {
      open.push(new Set());
      expectsKey = true;
    } else if (mark === "[") {
      open.push(null);
      expectsKey = false;
    } else if (mark === "}" || mark === "]") {
      open.pop();
      expectsKey = false;
    } else if (mark === ",") {
      expectsKey = open.at(-1) !== null;
    }
  }
  return undefined;
}

/** The position behind the text that begins with the quote at `begin`. */
function endOfText(text: string, begin: number): number {
  let at = begin + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}
