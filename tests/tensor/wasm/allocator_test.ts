import { assert, assertEquals } from "@std/assert";
import { Allocator, type Block } from "../../../tensor/wasm/allocator.ts";
import { Random } from "./random_kernel.ts";

Deno.test("Allocator gives the block that was freed last to the same size again", () => {
  const allocator = new Allocator(64, (least) => least);
  const first = allocator.allocate(1000)!;
  const second = allocator.allocate(1000)!;
  allocator.allocate(1000);
  allocator.release(first);
  assertEquals(allocator.allocate(1000)!.address, first.address);
  allocator.release(second);
  assertEquals(allocator.allocate(990)!.address, second.address);
});

Deno.test("Allocator joins free neighbours", () => {
  let grown = 0;
  const allocator = new Allocator(0, (least) => {
    grown += least;
    return least;
  });
  const blocks = [1, 2, 3, 4].map(() => allocator.allocate(640)!);
  for (const at of [0, 2, 1, 3]) allocator.release(blocks[at]!);
  assertEquals([allocator.used, allocator.free], [0, 2560]);
  assertEquals(allocator.allocate(2560)!.address, 0);
  assertEquals(grown, 2560);
});

Deno.test("Allocator gives undefined where there is no more to be had", () => {
  const allocator = new Allocator(0, (least) => least <= 4096 ? 4096 : 0);
  assertEquals(allocator.allocate(5000), undefined);
  const block = allocator.allocate(4000)!;
  assert(allocator.allocate(200)!.address >= block.address + 4000);
});

Deno.test("Allocator keeps blocks apart over a long random run, and stays flat", () => {
  const random = new Random(6);
  let total = 0;
  const allocator = new Allocator(64, (least) => {
    const bytes = Math.ceil(least / 65536) * 65536;
    total += bytes;
    return bytes;
  });
  const sizes = Array.from({ length: 20 }, () => random.integer(0, 50_000));
  const held: Block[] = [];
  let afterWarmUp = 0;
  for (let step = 0; step < 30_000; step++) {
    if (held.length > 40 || (held.length > 0 && random.chance(0.5))) {
      const at = random.integer(0, held.length - 1);
      allocator.release(held.splice(at, 1)[0]!);
    } else {
      const size = random.pick(sizes);
      const block = allocator.allocate(size)!;
      assertEquals(block.address % 64, 0);
      assert(block.size >= size);
      for (const other of held) {
        const apart = other.address + other.size <= block.address ||
          block.address + block.size <= other.address;
        assert(apart, `${block.address} in ${other.address}`);
      }
      held.push(block);
    }
    if (step === 15_000) afterWarmUp = total;
  }
  assert(total <= afterWarmUp + 65536, `${afterWarmUp} to ${total}`);
  const inUse = held.reduce((sum, block) => sum + block.size, 0);
  assertEquals(allocator.used, inUse);
  assertEquals(allocator.used + allocator.free, total);
});
