import { reduceValues } from "@heddle/data";
import { assertEquals, assertRejects } from "@std/assert";

Deno.test("reduceValues() combines the value of the one process", async () => {
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b);
  assertEquals(await reduceValues("right", 3, sum), 3);
  const count = (values: readonly string[]) => Promise.resolve(values.length);
  assertEquals(await reduceValues("name", "x", count), 1);
  await assertRejects(() => reduceValues("", 1, sum), RangeError, "empty");
});
