import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import type { DeviceBuffer } from "../../tensor/device/device.ts";
import { DeviceLostError, openWebgpu } from "../../tensor/device/webgpu.ts";
import { blockSizeOf } from "../../tensor/device/webgpu_buffers.ts";
import { forgetOldest } from "../../tensor/device/webgpu_cache.ts";
import { Failures } from "../../tensor/device/webgpu_errors.ts";
import { lowerKernel } from "../../tensor/wgsl/lower.ts";
import { at, KernelBuilder } from "./kernel_builder.ts";
import { gpuTest, randomBuffer, withGpu } from "./webgpu_test_device.ts";

/** `out = in * factor`, with the factor a parameter. */
function scaleKernel(size: number) {
  const builder = new KernelBuilder();
  const axis = builder.row(size);
  const input = builder.input("float32", size);
  const output = builder.output("float32", size);
  const value = builder.load(input, at(axis));
  builder.store(output, at(axis), builder.op("mul", value, builder.param()));
  return builder.build("scale");
}

function floatWord(value: number): Uint32Array {
  return new Uint32Array(new Float32Array([value]).buffer);
}

gpuTest("openWebgpu() says which hardware it opened", async () => {
  await withGpu((gpu) => {
    assertEquals(gpu.name, "webgpu");
    assert(gpu.adapter.length > 0);
    assertEquals(typeof gpu.isFallback, "boolean");
    assert(gpu.limits.maxBuffers >= 8);
    const size = gpu.subgroups?.size ?? 4;
    assert(size >= 4 && Number.isInteger(Math.log2(size)));
  });
});

gpuTest("webgpu reads back what was written, of any length", async () => {
  await withGpu(async (gpu) => {
    for (const length of [0, 1, 4, 255, 256, 257, 5000]) {
      const bytes = new Uint8Array(length).map((_, i) => i * 7);
      const buffer = gpu.allocate(length);
      gpu.write(buffer, bytes);
      const got = await gpu.read(buffer, length);
      assertEquals(new Uint8Array(got), bytes);
      gpu.free(buffer);
    }
  });
});

gpuTest("webgpu reads several buffers in one wait", async () => {
  await withGpu(async (gpu) => {
    const buffers = [1, 2, 3].map((value) => {
      const buffer = gpu.allocate(8);
      gpu.write(buffer, new Float32Array([value, -value]));
      return buffer;
    });
    const got = await Promise.all(buffers.map((one) => gpu.read(one, 8)));
    assertEquals(got.map((bytes) => new Float32Array(bytes)[1]), [-1, -2, -3]);
  });
});

gpuTest(
  "webgpu.write() waits for work that still reads the buffer",
  async () => {
    await withGpu(async (gpu) => {
      const kernel = gpu.prepare(scaleKernel(5));
      const input = gpu.allocate(20);
      const outputs = [1, 2, 3].map((value) => {
        gpu.write(input, new Float32Array(5).fill(value));
        const output = gpu.allocate(20);
        gpu.run(kernel, [input, output], floatWord(10));
        return output;
      });
      const got = await Promise.all(outputs.map((one) => gpu.read(one, 20)));
      assertEquals(got.map((bytes) => new Float32Array(bytes)[4]), [
        10,
        20,
        30,
      ]);
    });
  },
);

gpuTest("webgpu gives a freed buffer out again, after its work", async () => {
  await withGpu(async (gpu) => {
    const kernel = gpu.prepare(scaleKernel(5));
    const results: DeviceBuffer[] = [];
    for (const value of [1, 2, 3]) {
      const input = gpu.allocate(20);
      gpu.write(input, new Float32Array(5).fill(value));
      const output = gpu.allocate(20);
      gpu.run(kernel, [input, output], floatWord(2));
      gpu.free(input);
      results.push(output);
    }
    assertEquals(gpu.memory().buffers, 3);
    assert(gpu.memory().pooledBytes > 0);
    const got = await Promise.all(results.map((one) => gpu.read(one, 20)));
    assertEquals(got.map((bytes) => new Float32Array(bytes)[0]), [2, 4, 6]);
    for (const result of results) gpu.free(result);
    assertEquals(gpu.memory().buffers, 0);
    assertEquals(gpu.memory().bytes, 0);
    assert(gpu.memory().peakBytes > 0);
    assertThrows(() => gpu.free(results[0]!), Error, "after free");
  });
});

gpuTest(
  "webgpu runs thousands of dispatches, each with its words",
  async () => {
    await withGpu(async (gpu) => {
      const kernel = gpu.prepare(scaleKernel(3));
      let from = gpu.allocate(12);
      let to = gpu.allocate(12);
      gpu.write(from, new Float32Array([1, 2, 3]));
      // More than one submission holds, and an odd number of doublings left.
      for (let i = 0; i < 2001; i++) {
        gpu.run(kernel, [from, to], floatWord(i % 2 === 0 ? 2 : 0.5));
        [from, to] = [to, from];
      }
      const got = new Float32Array(await gpu.read(from, 12));
      assertEquals([...got], [2, 4, 6]);
      await gpu.finish();
    });
  },
);

gpuTest("webgpu refuses to write what it reads", async () => {
  await withGpu((gpu) => {
    const kernel = gpu.prepare(scaleKernel(3));
    const buffer = gpu.allocate(12);
    assertThrows(
      () => gpu.run(kernel, [buffer, buffer], floatWord(1)),
      Error,
      "give it a buffer of its own",
    );
  });
});

gpuTest("webgpu.allocate() throws where memory is out", async () => {
  await withGpu((gpu) => {
    const error = assertThrows(() => gpu.allocate(4096), RangeError);
    assertStringIncludes(error.message, "4096 bytes asked for, 0 in use");
    const kept = [gpu.allocate(1024), gpu.allocate(1024)];
    assertThrows(() => gpu.allocate(1024), RangeError, "2048 in use");
    gpu.free(kept[0]!);
    // Memory in the pool is given back where another size needs it.
    gpu.free(gpu.allocate(512));
    gpu.allocate(1024);
    assertEquals(gpu.limits.maxBufferBytes, 2048);
  }, { maxBufferBytes: 2048, maxBytes: 2500 });
});

gpuTest("webgpu shows a program that is not valid", async () => {
  await withGpu(async (gpu) => {
    const buffers = [gpu.allocate(12), gpu.allocate(12)];
    const kernel = gpu.prepare(scaleKernel(3));
    gpu.run(kernel, buffers, floatWord(1));
    const error = await assertRejects(() => gpu.finish(), Error);
    assertStringIncludes(error.message, "the program of kernel scale");
    assertStringIncludes(error.message, "let broken: i32 = 1.5f;");
    // It is not a passing condition.
    assertThrows(() => gpu.allocate(4), Error, "not valid");
  }, {
    lower: (kernel, limits) => {
      const program = lowerKernel(kernel, limits);
      const dispatches = program.dispatches.map((dispatch) => ({
        ...dispatch,
        wgsl: dispatch.wgsl.replace(/}\s*$/, "let broken: i32 = 1.5f; }"),
      }));
      return { ...program, dispatches };
    },
  });
});

gpuTest("webgpu throws after close(), and says that it was lost", async () => {
  const gpu = await openWebgpu();
  const buffer = gpu.allocate(8);
  gpu.close();
  assert((await gpu.lost).length > 0);
  assertThrows(() => gpu.allocate(8), Error, "the device is closed");
  await assertRejects(() => gpu.read(buffer, 8), Error, "closed");
  gpu.free(buffer);
});

gpuTest("webgpu refuses memory and kernels of another device", async () => {
  await withGpu(async (gpu) => {
    await withGpu((other) => {
      const kernel = other.prepare(scaleKernel(3));
      const run = () => gpu.run({ kernel: kernel.kernel }, [], floatWord(1));
      assertThrows(run, TypeError, "another device");
      assertThrows(() => gpu.free({ byteLength: 4 }), TypeError);
    });
  });
});

gpuTest("webgpu keeps few programs for many equal kernels", async () => {
  await withGpu((gpu) => {
    const first = gpu.prepare(scaleKernel(3));
    assertEquals(gpu.prepare(scaleKernel(3)), first);
    assert(gpu.prepare(scaleKernel(4)) !== first);
  });
});

gpuTest("webgpu gives equal bits from run to run", async () => {
  await withGpu(async (gpu) => {
    const builder = new KernelBuilder();
    const [i, j] = [builder.row(4), builder.col(1000)];
    const input = builder.input("float32", 4000);
    const output = builder.output("float32", 4);
    const value = builder.load(input, at(i, j));
    builder.store(output, at(i), builder.reduce("sum", value));
    const kernel = gpu.prepare(builder.build("sum"));
    const buffers = [gpu.allocate(16000), gpu.allocate(16)];
    gpu.write(buffers[0]!, randomBuffer("float32", 4000));
    const runs: Uint32Array[] = [];
    for (let run = 0; run < 3; run++) {
      gpu.run(kernel, buffers, new Uint32Array());
      runs.push(new Uint32Array(await gpu.read(buffers[1]!, 16)));
    }
    assertEquals(runs[1], runs[0]);
    assertEquals(runs[2], runs[0]);
  });
});

Deno.test("forgetOldest() halves a full map, oldest first", () => {
  const map = new Map([["a", 1], ["b", 2], ["c", 3], ["d", 4]]);
  forgetOldest(map, 5);
  assertEquals(map.size, 4);
  forgetOldest(map, 4);
  assertEquals([...map.keys()], ["c", "d"]);
});

Deno.test("blockSizeOf() wastes less than a fifth above its least size", () => {
  assertEquals(blockSizeOf(0, 1 << 20), 256);
  assertEquals(blockSizeOf(257, 1 << 20), 512);
  for (let bytes = 1500; bytes < 1 << 20; bytes = Math.ceil(bytes * 1.37)) {
    const size = blockSizeOf(bytes, 1 << 20);
    assert(size >= bytes && size <= bytes * 1.25, `${bytes}: ${size}`);
    assertEquals(size % 4, 0);
  }
  assertEquals(blockSizeOf(1000, 1000), 1000);
});

Deno.test("DeviceLostError is thrown by each call after the loss", () => {
  const failures = new Failures();
  failures.check("run");
  failures.lose("unplugged");
  for (let call = 0; call < 2; call++) {
    const check = () => failures.check("run");
    const error = assertThrows(check, DeviceLostError, "unplugged");
    assertEquals(error.name, "DeviceLostError");
  }
});

Deno.test("Failures throws a lack of memory once, a wrong program always", () => {
  const failures = new Failures();
  failures.report(new RangeError("no memory"));
  failures.report(new Error("follows from it"));
  assertThrows(() => failures.check("run"), RangeError);
  failures.check("run");
  failures.report(new Error("wrong"));
  assertThrows(() => failures.check("run"), Error, "wrong");
  assertThrows(() => failures.check("run"), Error, "wrong");
});
