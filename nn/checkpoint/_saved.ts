import type { GeneratorState } from "@heddle/tensor";
import { SafetensorsError } from "../safetensors/error.ts";
import { fromJson, toJson } from "./_json.ts";

/** The piece of metadata that makes a safetensors file a checkpoint. */
export const METADATA_KEY: string = "heddle.checkpoint";
const VERSION = 1;

/** What the metadata say, as JSON. */
export interface Saved {
  /** Of the default generator. */
  readonly random: GeneratorState;
  readonly parts: Readonly<Record<string, SavedPart>>;
  readonly state: unknown;
}

/** What is said of one part. */
export type SavedPart =
  | {
    readonly kind: "module";
    readonly generators: Readonly<Record<string, GeneratorState>>;
  }
  | {
    readonly kind: "optimizer";
    readonly learningRates: readonly number[];
    readonly steps: readonly number[];
  }
  | { readonly kind: "state"; readonly state: unknown };

/**
 * What the metadata say, as text.
 *
 * @throws {TypeError} If a state cannot be written as JSON.
 */
export function writeSaved(saved: Saved): string {
  const json = toJson("writeCheckpoint", "checkpoint", saved);
  return JSON.stringify({ version: VERSION, ...json as object });
}

/**
 * The way back from {@link writeSaved}.
 *
 * @throws {SafetensorsError} If there is no such text, or it says something
 * else.
 */
export function readSaved(json: string | undefined): Saved {
  let saved: unknown;
  try {
    saved = fromJson(JSON.parse(json ?? ""));
  } catch (error) {
    throw new SafetensorsError(
      "readCheckpoint: the file is no checkpoint: its metadata have no " +
        `${METADATA_KEY} that is JSON`,
      { cause: error },
    );
  }
  const { version, random, parts } = Object(saved) as
    & Partial<Saved>
    & { version?: unknown };
  if (version !== VERSION) {
    throw new SafetensorsError(
      `readCheckpoint: unknown version: got ${version}: this is version ` +
        `${VERSION}`,
    );
  }
  const known = isObject(parts) && Object.values(parts).every(isSavedPart);
  if (!known || !isGeneratorState(random)) {
    throw new SafetensorsError("readCheckpoint: the metadata are damaged");
  }
  return saved as Saved;
}

function isSavedPart(part: unknown): part is SavedPart {
  const record = Object(part) as Partial<Record<string, unknown>>;
  switch (record["kind"]) {
    case "module":
      return isObject(record["generators"]) &&
        Object.values(record["generators"]).every(isGeneratorState);
    case "optimizer":
      return Array.isArray(record["learningRates"]) &&
        Array.isArray(record["steps"]);
    default:
      return record["kind"] === "state";
  }
}

function isGeneratorState(state: unknown): state is GeneratorState {
  const { words, count } = Object(state) as Partial<GeneratorState>;
  return Array.isArray(words) && words.length === 2 &&
    words.every(Number.isSafeInteger) && Number.isSafeInteger(count);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
