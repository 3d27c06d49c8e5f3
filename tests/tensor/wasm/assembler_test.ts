import { assert, assertEquals } from "@std/assert";
import {
  type LaneOp,
  type MemoryLaneOp,
  type MemoryOp,
  ModuleBuilder,
  type PlainOp,
} from "../../../tensor/wasm/assembler.ts";
import {
  LANE,
  MEMORY,
  MEMORY_LANE,
  PLAIN,
} from "../../../tensor/wasm/opcodes.ts";

type Exports = Record<string, (...args: number[]) => number>;

function instantiate(module: ModuleBuilder, memory?: WebAssembly.Memory) {
  const instance = new WebAssembly.Instance(
    new WebAssembly.Module(module.finish()),
    memory ? { env: { memory } } : {},
  );
  return instance.exports as Exports;
}

Deno.test("ModuleBuilder makes constants of every size of LEB128", () => {
  const values = [0, 63, 64, -64, -65, 127, 128, 8191, 8192, 1 << 20, -1];
  values.push(0x7fffffff, -0x80000000);
  const module = new ModuleBuilder();
  values.forEach((value, i) => {
    module.function(`f${i}`, [], ["i32"], (f) => f.i32(value));
  });
  const exports = instantiate(module);
  values.forEach((value, i) => assertEquals(exports[`f${i}`]!(), value));
});

Deno.test("FunctionBuilder nests loops and blocks and branches out of them", () => {
  const module = new ModuleBuilder();
  const twice = module.function(undefined, ["i32"], ["i32"], (f) => {
    f.get(f.params[0]!).i32(2).op("i32.mul");
  });
  module.function("sumBelow", ["i32"], ["i32"], (f) => {
    const [n] = f.params;
    const i = f.local("i32");
    const sum = f.local("i32");
    f.block((done) => {
      f.loop((again) => {
        f.get(i).get(n!).op("i32.ge_s").brIf(done);
        f.get(sum).get(i).op("i32.add").set(sum);
        f.get(i).i32(1).op("i32.add").set(i);
        f.br(again);
      });
    });
    f.get(sum).call(twice).i32(100).op("i32.gt_s");
    f.if(() => f.i32(100), () => f.get(sum), "i32");
  });
  const { sumBelow } = instantiate(module);
  assertEquals(sumBelow!(5), 10);
  assertEquals(sumBelow!(50), 100);
});

Deno.test("FunctionBuilder loads, shuffles and stores vectors in shared memory", () => {
  const memory = new WebAssembly.Memory({
    initial: 1,
    maximum: 65536,
    shared: true,
  });
  const module = new ModuleBuilder();
  module.importMemory({ shared: true, initial: 1, maximum: 65536 });
  module.function("reverse", ["i32"], [], (f) => {
    const [at] = f.params;
    f.get(at!);
    f.get(at!).memory("v128.load", 16).get(at!).memory("v128.load");
    f.shuffle(7, 6, 1, 0).f32x4(1).op("f32x4.add").memory("v128.store", 32);
  });
  const floats = new Float32Array(memory.buffer);
  floats.set([1, 2, 3, 4, 5, 6, 7, 8], 4);
  instantiate(module, memory).reverse!(16);
  assertEquals([...floats.subarray(12, 16)], [5, 4, 7, 6]);
});

Deno.test("FunctionBuilder writes instructions that an engine accepts", () => {
  const types = {
    i32: "i32",
    i64: "i64",
    f32: "f32",
    f64: "f64",
  } as const;
  for (const name of Object.keys(PLAIN) as PlainOp[]) {
    if (!name.includes(".")) continue;
    assert(accepts(name), name);
  }
  for (const name of Object.keys(LANE) as LaneOp[]) {
    const scalar = types[name.slice(0, 3) as keyof typeof types];
    const module = new ModuleBuilder();
    const extract = name.includes("extract");
    const params = extract ? ["v128"] as const : ["v128", scalar] as const;
    module.function("f", params, [extract ? scalar : "v128"], (f) => {
      f.params.forEach((param) => f.get(param));
      f.lane(name, 1);
    });
    assert(WebAssembly.validate(module.finish()), name);
  }
  for (const name of Object.keys(MEMORY) as MemoryOp[]) {
    if (name.includes("atomic")) continue;
    const type = name.slice(0, name.indexOf(".")) as "i32";
    const load = name.includes("load");
    const module = new ModuleBuilder();
    module.importMemory({ shared: false, initial: 1, maximum: 1 });
    module.function(
      "f",
      load ? ["i32"] : ["i32", type],
      load ? [type] : [],
      (f) => {
        f.params.forEach((param) => f.get(param));
        f.memory(name, 300);
      },
    );
    assert(WebAssembly.validate(module.finish()), name);
  }
  for (const name of Object.keys(MEMORY_LANE) as MemoryLaneOp[]) {
    const load = name.includes("load");
    const module = new ModuleBuilder();
    module.importMemory({ shared: false, initial: 1, maximum: 1 });
    module.function("f", ["i32", "v128"], load ? ["v128"] : [], (f) => {
      f.params.forEach((param) => f.get(param));
      f.memoryLane(name, 1, 8);
    });
    assert(WebAssembly.validate(module.finish()), name);
  }
});

/** Whether some signature over the types in the name validates. */
function accepts(name: PlainOp): boolean {
  const types = ["i32", "i64", "f32", "f64", "v128"] as const;
  for (const result of types) {
    for (const a of types) {
      if (valid(name, [a], result)) return true;
      for (const b of types) {
        if (valid(name, [a, b], result)) return true;
      }
    }
  }
  return valid(name, ["v128", "v128", "v128"], "v128");
}

function valid(
  name: PlainOp,
  params: readonly ("i32" | "i64" | "f32" | "f64" | "v128")[],
  result: "i32" | "i64" | "f32" | "f64" | "v128",
): boolean {
  const module = new ModuleBuilder();
  module.function("f", params, [result], (f) => {
    f.params.forEach((param) => f.get(param));
    f.op(name);
  });
  return WebAssembly.validate(module.finish());
}
