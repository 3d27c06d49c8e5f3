import { assertEquals } from "@std/assert";
import { parse } from "./_results.ts";
import { tableOf } from "./_table.ts";

const LINES = [
  {
    group: "matmul 1024 wasm",
    medians: { heddle: 25, "jax-js": 75, tfjs: 62.5 },
    shortest: 20,
    ahead: { "jax-js": 3.5, tfjs: 2.4, pytorch: 1 },
    costs: [{ operations: 2e9 }],
  },
  {
    group: "add 1M wasm",
    medians: { heddle: 1.5 },
    shortest: 1,
    costs: [{ bytes: 12e6 }],
  },
  {
    group: "step wasm",
    medians: { heddle: 6, "heddle eager": 15 },
    costs: [{ operations: 2e8 }, { operations: 1, bytes: 12e6 }],
    within: 300,
  },
  { about: "8 cores" },
];

Deno.test("tableOf() has ratios, missed targets, and floors at our own rates", () => {
  const text = LINES.map((line) => JSON.stringify(line)).join("\n");
  assertEquals(tableOf(parse(`${text}\n`)).split("\n"), [
    "| group | heddle | heddle eager | jax-js | tfjs | target | floor |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    "| matmul 1024 wasm | 25.0 ms |  | 75.0 ms (3.0x) | 62.5 ms (2.5x) | " +
    "**3.5x jax-js: missed**, 2.4x tfjs, 1x pytorch | " +
    "2.00 G operations: 100 G a second |",
    "| add 1M wasm | 1.50 ms |  |  |  |  | 12.0 MB: 12.0 GB a second |",
    "| step wasm | 6.00 ms | 15.0 ms (2.5x) |  |  | 300 ms | " +
    "200 M operations, then 0.00100 k operations or 12.0 MB: " +
    "3.00 ms (heddle takes 2.0x) |",
    "",
    "- 8 cores",
  ]);
});

Deno.test("parse() takes the last of two results of a group", () => {
  const lines = [1, 2].map((heddle) => ({
    group: "a wasm",
    medians: { heddle },
  }));
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  assertEquals(parse(text), [lines[1]!]);
});
