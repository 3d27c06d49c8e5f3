/**
 * The devices that case lists run on: `reference` (plain loops on the host)
 * and `wasm` always, `webgpu` where there is an adapter. Without one its tests
 * show as ignored, and fail under `REQUIRE_GPU=1`.
 *
 * @module
 */

import { type Device, openDevice, Scope, useDevice } from "@heddle/tensor";
import { openReference } from "./tensor/reference_backend.ts";

/** Names a device of the tests. */
export type TestDeviceName = "reference" | "wasm" | "webgpu";

/** A device of the tests, one for all the tests of a file. */
export interface TestDevice {
  /** Which. */
  readonly name: TestDeviceName;
  /** Whether its tests are ignored: there is no such device, and none must be. */
  readonly ignore: boolean;
  /** The device; the first call opens it. */
  open(): Promise<Device>;
}

const hasAdapter = Boolean(await navigator.gpu?.requestAdapter());
const opened: Device[] = [];

Deno.test.afterAll(() => {
  for (const device of opened) device.close();
});

function testDevice(
  name: TestDeviceName,
  ignore: boolean,
  open: () => Promise<Device>,
): TestDevice {
  let device: Promise<Device> | undefined;
  return {
    name,
    ignore,
    open: () =>
      device ??= open().then((made) => {
        opened.push(made);
        return made;
      }),
  };
}

/** All devices of the tests, the oracle first. */
export const TEST_DEVICES: readonly TestDevice[] = [
  testDevice("reference", false, () => Promise.resolve(openReference())),
  testDevice("wasm", false, () => openDevice("wasm", { threads: 2 })),
  testDevice(
    "webgpu",
    !hasAdapter && Deno.env.get("REQUIRE_GPU") !== "1",
    () => openDevice("webgpu"),
  ),
];

/** Which devices a case list runs on. */
export interface DeviceTestOptions {
  /**
   * Their names.
   * @default all
   */
  readonly devices?: readonly TestDeviceName[];
}

/**
 * Registers a test for each device, `name [device]`. The device is the default
 * one while the test runs, and its tensors are freed afterwards.
 */
export function deviceTest(
  name: string,
  test: (device: Device) => void | Promise<void>,
  options: DeviceTestOptions = {},
): void {
  for (const device of TEST_DEVICES) {
    if (options.devices && !options.devices.includes(device.name)) continue;
    Deno.test({
      name: `${name} [${device.name}]`,
      ignore: device.ignore,
      fn: async () => {
        const present = useDevice(await device.open());
        using _scope = new Scope();
        await test(present);
      },
    });
  }
}
