// deno-lint-ignore-file no-console
import { assertEquals } from "@std/assert";
import { onWarning } from "@heddle/tensor";
import { warn } from "../../tensor/warnings.ts";

Deno.test("onWarning() takes warnings, the last handler all of them", () => {
  const first: string[] = [];
  const second: string[] = [];
  onWarning((message) => first.push(message));
  warn("one");
  onWarning((message) => second.push(message));
  warn("two");
  onWarning(null);
  assertEquals([first, second], [["one"], ["two"]]);
});

Deno.test("warnings go to the console where nobody takes them", () => {
  const heard: string[] = [];
  const { warn: before } = console;
  console.warn = (message: string) => heard.push(message);
  try {
    warn("one");
    onWarning(() => {});
    warn("two");
    onWarning(null);
    warn("three");
  } finally {
    console.warn = before;
  }
  assertEquals(heard, ["one", "three"]);
});
