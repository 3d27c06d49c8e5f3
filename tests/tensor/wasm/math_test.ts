import { assert, assertEquals } from "@std/assert";
import {
  type FunctionBuilder,
  type Local,
  ModuleBuilder,
} from "../../../tensor/wasm/assembler.ts";
import {
  emitCos,
  emitExp,
  emitLog,
  emitSin,
  type Target,
} from "../../../tensor/wasm/math.ts";
import { ulps } from "./ulps.ts";

type Emit = (f: FunctionBuilder, x: Local, target: Target) => void;

const COUNT = 4096;

function compile(emit: Emit, relaxedSimd: boolean) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const module = new ModuleBuilder();
  module.importMemory({ shared: false, initial: 1, maximum: 1 });
  module.function("map", [], [], (f) => {
    const at = f.local("i32");
    const x = f.local("v128");
    f.loop((again) => {
      f.get(at).memory("v128.load").set(x);
      f.get(at);
      emit(f, x, { relaxedSimd, sharedMemory: false });
      f.memory("v128.store", COUNT * 4);
      f.get(at).i32(16).op("i32.add").tee(at).i32(COUNT * 4).op("i32.lt_s");
      f.brIf(again);
    });
  });
  const { exports } = new WebAssembly.Instance(
    new WebAssembly.Module(module.finish()),
    { env: { memory } },
  );
  const all = new Float32Array(memory.buffer);
  return (values: Float32Array): Float32Array => {
    all.set(values);
    (exports.map as () => void)();
    return all.slice(COUNT, COUNT + values.length);
  };
}

function worst(
  emit: Emit,
  exact: (x: number) => number,
  values: Iterable<number>,
): number {
  let most = 0;
  for (const relaxed of [false, true]) {
    const map = compile(emit, relaxed);
    const all = Float32Array.from(values);
    for (let from = 0; from < all.length; from += COUNT) {
      const part = all.subarray(from, from + COUNT);
      map(part).forEach((got, i) => {
        const error = ulps(got, exact(part[i]!));
        if (!(error <= most)) {
          assert(error <= 2, `f(${part[i]}) = ${got}: ${error} ulp`);
          most = error;
        }
      });
    }
  }
  return most;
}

/** Floats over all exponents and signs, a prime stride of bits apart. */
function allFloats(stride: number): Float32Array {
  const bits = new Uint32Array(Math.floor(2 ** 32 / stride));
  bits.forEach((_, i) => bits[i] = i * stride);
  return new Float32Array(bits.buffer);
}

function range(from: number, to: number, count: number): Float32Array {
  return Float32Array.from(
    { length: count },
    (_, i) => from + (to - from) * i / (count - 1),
  );
}

const SPECIAL = [0, -0, 1, -1, Infinity, -Infinity, NaN, 1e-45, -1e-45];

Deno.test("emitExp is within 2 ulp over all floats, and exact at its limits", () => {
  worst(emitExp, Math.exp, SPECIAL);
  worst(emitExp, Math.exp, allFloats(9973));
  worst(emitExp, Math.exp, range(-104.5, 89.5, 100_001));
  const [overflow, tiny] = compile(emitExp, false)(
    Float32Array.of(88.73, -103.9),
  );
  assertEquals([overflow, tiny], [Infinity, Math.fround(1e-45)]);
});

Deno.test("emitLog is within 2 ulp over all floats, subnormals too", () => {
  worst(emitLog, Math.log, SPECIAL);
  worst(emitLog, Math.log, allFloats(9973));
  worst(emitLog, Math.log, range(0.5, 2, 100_001));
  const [zero, negative] = compile(emitLog, true)(Float32Array.of(0, -2));
  assertEquals([zero, negative], [-Infinity, NaN]);
});

Deno.test("emitSin and emitCos are within 2 ulp up to a million radians", () => {
  for (const limit of [1, 10, 1e4, 1e6]) {
    worst(emitSin, Math.sin, range(-limit, limit, 50_001));
    worst(emitCos, Math.cos, range(-limit, limit, 50_001));
  }
  worst(emitSin, Math.sin, SPECIAL);
  worst(emitCos, Math.cos, SPECIAL);
});

Deno.test("emitSin and emitCos stay in [-1, 1] for any angle", () => {
  for (const emit of [emitSin, emitCos]) {
    const map = compile(emit, true);
    const angles = allFloats(1_000_003);
    for (let from = 0; from < angles.length; from += COUNT) {
      const part = angles.subarray(from, from + COUNT);
      map(part).forEach((y, i) => {
        if (Number.isFinite(part[i])) assert(Math.abs(y) <= 1, `${part[i]}`);
        else assert(Number.isNaN(y));
      });
    }
  }
});
