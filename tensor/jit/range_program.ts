/**
 * The loop over a part of a range around a function, as a program of its own.
 *
 * @module
 */

import type { ArrayElement, ProgramIr } from "./ir.ts";
import { JitError } from "./jit_error.ts";
import type { JitNames } from "./lower.ts";
import type { Reduction } from "./parallel.ts";
import { representationOf } from "./representation.ts";
import type { ArgumentType } from "./signature.ts";
import { type ParsedFunction, parseText } from "./source.ts";
import { analyze } from "./specialization.ts";
import type { Value } from "./values.ts";

/** The loops, by what becomes of the results. */
const TEXTS: Readonly<Record<Reduction, (args: string) => string>> = {
  each: (args) =>
    `($start, $end${args}) => {
  for (let $i = $start; $i < $end; $i++) $body($i${args});
}`,
  map: (args) =>
    `($start, $end, $out${args}) => {
  for (let $i = $start; $i < $end; $i++) $out[$i] = Number($body($i${args}));
}`,
  sum: (args) =>
    `($start, $end${args}) => {
  let $total = 0;
  for (let $i = $start; $i < $end; $i++) $total += $body($i${args});
  return $total;
}`,
  min: (args) => extreme("min", args),
  max: (args) => extreme("max", args),
};

function extreme(name: "min" | "max", args: string): string {
  return `($start, $end${args}) => {
  let $best = ${name === "min" ? "Infinity" : "-Infinity"};
  for (let $i = $start; $i < $end; $i++) $best = Math.${name}($best, $body($i${args}));
  return $best;
}`;
}

const TAKEN = ["$start", "$end", "$out", "$i", "$body", "$total", "$best"];

function nameBeside(name: string): string {
  return TAKEN.includes(name) || name === "Math" ? `${name}_` : name;
}

/**
 * The program for a reduction.
 *
 * @param result What the function returns.
 * @returns It, and the elements that it writes for `map`.
 */
export function rangeProgram(
  body: ParsedFunction,
  outside: JitNames,
  types: readonly ArgumentType[],
  reduction: Reduction,
  result: Value | undefined,
): { program: ProgramIr; element: ArrayElement | undefined } {
  const { source, node } = body;
  if (!result && reduction !== "each") {
    throw new JitError(
      source,
      node.start,
      `the function returns nothing, and ${reduction} needs a number: ` +
        "return one, or call each",
    );
  }
  const isReduced = reduction !== "map" && reduction !== "each";
  if (isReduced && result?.kind === "boolean") {
    throw new JitError(
      source,
      node.start,
      `the function returns a boolean, and ${reduction} needs a number: ` +
        "return cond ? 1 : 0",
    );
  }
  // The names of the function itself, for messages about its arrays.
  const args = node.params.slice(1).map((param) =>
    `, ${nameBeside(param.type === "Identifier" ? param.name : "_")}`
  ).join("");
  const parsed = parseText(source.name, TEXTS[reduction](args));
  const held = result && representationOf(result);
  const element = reduction !== "map"
    ? undefined
    : held === "bool"
    ? "u8"
    : held;
  const program = analyze(
    parsed,
    outside,
    ["u31", "u31", ...element ? [`${element}[]` as const] : [], ...types],
    { name: "$body", body },
  );
  return { program, element };
}
