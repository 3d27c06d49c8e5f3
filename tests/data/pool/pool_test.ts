import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { Pool, TaskError } from "@heddle/data/pool";
import { add, fails, square } from "./work.ts";

Deno.test("Pool.map() keeps the order of the items", async () => {
  await using pool = new Pool({ workers: 2 });
  assertEquals(await pool.map(square, [3, 1, 2]), [9, 1, 4]);
  assertEquals(await pool.apply(add, [1, 2]), 3);
  assertEquals(await pool.applyAsync(add, [4, 2]).get(5000), 6);
});

Deno.test("Pool.apply() rejects with what the function threw", async () => {
  await using pool = new Pool({ workers: 1 });
  const error = await assertRejects(
    () => pool.apply(fails, ["why"]),
    TaskError,
    "why",
  );
  assertInstanceOf(error.cause, RangeError);
});
