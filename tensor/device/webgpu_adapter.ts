/**
 * Finds a GPU and asks for all that it can do.
 *
 * @module
 */

import { WANTED_FEATURES } from "./webgpu_features.ts";
import { TIMESTAMPS } from "./webgpu_profile.ts";

/** Limits that kernels profit from. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "minUniformBufferOffsetAlignment",
] as const;

/** Features that are asked for where the adapter lists them. */
const LISTED_FEATURES: readonly GPUFeatureName[] = [TIMESTAMPS];

/** An open device and what is known of its hardware. */
export interface OpenAdapter {
  /** The device. */
  readonly device: GPUDevice;
  /** The hardware, as its driver names it. */
  readonly description: string;
  /** Whether it is a processor that plays a GPU. */
  readonly isFallback: boolean;
}

/** The adapter that the browser or Deno prefers, if there is one. */
export async function findAdapter(
  powerPreference?: GPUPowerPreference,
): Promise<GPUAdapter | undefined> {
  quietDrivers();
  const adapter = await globalThis.navigator?.gpu
    ?.requestAdapter(powerPreference ? { powerPreference } : {})
    .catch(() => null);
  return adapter ?? undefined;
}

/** Drivers on Linux complain on stderr if nobody is logged in to a desktop. */
function quietDrivers(): void {
  try {
    const { build, env } = globalThis.Deno ?? {};
    if (build?.os !== "linux" || env?.get("XDG_RUNTIME_DIR")) return;
    env?.set("XDG_RUNTIME_DIR", env.get("TMPDIR") || "/tmp");
  } catch {
    // Not allowed to: then they complain.
  }
}

/**
 * Opens the adapter that the browser or Deno prefers.
 *
 * @throws {Error} If there is none.
 */
export async function openAdapter(
  powerPreference?: GPUPowerPreference,
): Promise<OpenAdapter> {
  const adapter = await findAdapter(powerPreference);
  if (!adapter) {
    throw new Error(
      "openDevice: no WebGPU adapter: install a Vulkan driver, hardware or " +
        "software",
    );
  }
  const requiredLimits: Record<string, number> = {};
  for (const name of LIMITS) requiredLimits[name] = adapter.limits[name];
  // Mesa's software adapter stamps the time before its threads are done.
  const isFallback = isFallbackAdapter(adapter);
  const listed = LISTED_FEATURES.filter((name) =>
    adapter.features.has(name) && !(isFallback && name === TIMESTAMPS)
  );
  // A driver may grant what it does not list; a refusal is an answer as well.
  const wanted = [...listed, ...WANTED_FEATURES as GPUFeatureName[]];
  const device = await adapter
    .requestDevice({ requiredLimits, requiredFeatures: wanted })
    .catch(() =>
      adapter.requestDevice({ requiredLimits, requiredFeatures: listed })
    );
  const { info } = adapter;
  return {
    device,
    description: info.description || info.device || info.vendor || "unnamed",
    isFallback,
  };
}

/**
 * Whether an adapter is a processor that plays a GPU. Older browsers keep the
 * mark on the adapter, newer ones in its info.
 */
export function isFallbackAdapter(adapter: GPUAdapter): boolean {
  const marks: readonly { readonly isFallbackAdapter?: boolean }[] = [
    adapter.info,
    adapter as { readonly isFallbackAdapter?: boolean },
  ];
  return marks.some((mark) => mark.isFallbackAdapter === true);
}
