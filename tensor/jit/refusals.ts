/**
 * What messages say of what is not compiled: why, and what to write instead.
 *
 * @module
 */

const STRINGS = "strings are not compiled: use numbers";
const FUNCTIONS =
  "functions are not values: give it a name with const and call it";

/** By the kind of node, expressions and statements. */
const NODES: Readonly<Record<string, string>> = {
  ArrayExpression: "arrays are not made inside: pass a typed array",
  ArrowFunctionExpression: FUNCTIONS,
  AwaitExpression: "await is not compiled: await before the call",
  ChainExpression: "?. is not compiled: nothing can be missing: write . or [ ]",
  ClassDeclaration: "classes are not compiled: use functions",
  ClassExpression: "classes are not compiled: use functions",
  DebuggerStatement: "debugger is not compiled: call the function uncompiled",
  ForInStatement: "for-in is not compiled: count with a for loop",
  FunctionExpression: FUNCTIONS,
  ImportExpression:
    "import is not compiled: import outside and pass it in with",
  MetaProperty: "import.meta and new.target are not compiled: pass a number",
  NewExpression: "objects are not made inside: pass a typed array or a Random",
  ObjectExpression: "objects are not compiled: use variables or a typed array",
  PrivateIdentifier: "objects are not compiled: use variables",
  SpreadElement:
    "spreading is not compiled: write the arguments out, or a loop",
  Super: "super is not compiled: use functions",
  TaggedTemplateExpression: STRINGS,
  TemplateLiteral: STRINGS,
  ThisExpression: "this is not compiled: pass what is needed as arguments",
  ThrowStatement: "throw is not compiled: return NaN, or check before the call",
  TryStatement: "try is not compiled: nothing inside throws what it catches",
  WithStatement: "with is not compiled: write the names out",
  YieldExpression: "yield is not compiled: write to an array",
};

/** What to say of a node that is not compiled. */
export function refusedNode(type: string): string {
  return NODES[type] ?? `${type} is not compiled: write it with numbers`;
}

const TIME = "measure around the call, or pass the time as an argument";
const PRINT = "write to an array, and print it after the call";
const WAIT = "nothing waits inside: do it around the call";
const ERRORS = "nothing is thrown inside: return NaN, or check before the call";
const OUTSIDE = "read it outside, and pass it in with or as an argument";

/** What names that are known everywhere stand for, and what to do instead. */
const GLOBALS: readonly (readonly [names: string, instead: string])[] = [
  ["arguments", "name the parameters"],
  [
    "Array ArrayBuffer SharedArrayBuffer DataView Float64Array Float32Array " +
    "Float16Array Int32Array Uint32Array Int16Array Uint16Array Int8Array " +
    "Uint8Array Uint8ClampedArray BigInt64Array BigUint64Array",
    "arrays are made outside: pass a typed array",
  ],
  ["BigInt", "use a number, exact up to 2^53"],
  ["parseInt", "all values are numbers: use Math.trunc"],
  ["parseFloat", "all values are numbers: leave it out"],
  [
    "String Symbol JSON Intl RegExp TextEncoder TextDecoder escape unescape " +
    "encodeURIComponent decodeURIComponent structuredClone",
    "all values are numbers and booleans: use these",
  ],
  ["Date Temporal performance", TIME],
  ["console alert confirm prompt", PRINT],
  [
    "Promise setTimeout setInterval clearTimeout clearInterval fetch " +
    "queueMicrotask requestAnimationFrame postMessage Worker",
    WAIT,
  ],
  ["Error TypeError RangeError SyntaxError AggregateError", ERRORS],
  ["crypto", "pass a Random as an argument and call its next()"],
  ["Atomics", "let each number write elements of its own"],
  ["eval Function", "write the code out, or pass a function in with"],
  [
    "globalThis window self Deno process navigator location document " +
    "localStorage",
    OUTSIDE,
  ],
  [
    "Object Reflect Proxy Map Set WeakMap WeakSet WeakRef Iterator",
    "use operators, variables and typed arrays",
  ],
];

/** Functions that are compiled where they are called. */
const CALLED = ["isNaN", "isFinite", "Number", "Boolean"];

const INSTEAD: ReadonlyMap<string, string> = new Map(
  GLOBALS.flatMap(([names, instead]) =>
    names.split(" ").map((name) => [name, instead] as const)
  ),
);

/** What to say of a name that is known everywhere; undefined of others. */
export function refusedGlobal(name: string): string | undefined {
  if (name === "undefined") return "undefined is not compiled: use NaN or -1";
  if (name === "Math") {
    return "Math is an object: use its functions and constants, as Math.PI";
  }
  if (CALLED.includes(name)) {
    return `${name} is a function: call it, ${name}(...)`;
  }
  const instead = INSTEAD.get(name);
  return instead && `${name} is not compiled: ${instead}`;
}
