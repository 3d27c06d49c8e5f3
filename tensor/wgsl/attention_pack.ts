/**
 * What attention packs into textures.
 *
 * @module
 */

import type { AnyAttentionKernel } from "../kernel/attention.ts";
import {
  type Dispatch,
  gridOf,
  type ShaderLimits,
  TEXTURE_WIDTH,
} from "./program.ts";
import { workgroupPosition } from "./rows.ts";
import { Shader } from "./shader.ts";

/** Invocations of a workgroup that packs. */
const PACKERS = 64;

/** Some rows of a buffer. */
interface Rows {
  readonly slot: number;
  readonly width: number;
  readonly size: number;
  readonly first: number;
}

function pack(
  kernel: AnyAttentionKernel,
  limits: ShaderLimits,
  texels: number,
  texture: number,
  vector: (shader: Shader) => string,
): Dispatch {
  const shader = new Shader(kernel.buffers);
  const workgroups = gridOf(Math.ceil(texels / PACKERS), limits);
  const group = workgroupPosition(shader, workgroups);
  shader.line(`let texel = ${group.text} * ${PACKERS} + i32(local.x);`);
  shader.line(`if (texel >= ${shader.size(texels)}) { return; }`);
  const value = vector(shader);
  shader.line(
    `textureStore(${shader.texture(texture, true)}, ` +
      `vec2<i32>(texel & ${TEXTURE_WIDTH - 1}, texel >> ${
        Math.log2(TEXTURE_WIDTH)
      }u), ${value});`,
  );
  return shader.finish(`${kernel.name} pack`, PACKERS, workgroups);
}

/** Four columns of a row to a texel; those past the end are 0. */
export function packRows(
  kernel: AnyAttentionKernel,
  limits: ShaderLimits,
  { slot, width, size, first }: Rows,
  texture: number,
): Dispatch {
  const columns = Math.ceil(width / 4);
  return pack(kernel, limits, size * columns, texture, (shader) => {
    const from = shader.buffer(slot);
    shader.line(`let row = texel / ${columns} + ${shader.size(first)};`);
    shader.line(`let column = texel % ${columns} * 4;`);
    const parts = [0, 1, 2, 3].map((part) => {
      const column = part === 0 ? "column" : `column + ${part}`;
      if (width % 4 === 0) return `${from}[row * ${width} + ${column}]`;
      const safe = `min(${column}, ${width - 1})`;
      return `select(0f, ${from}[row * ${width} + ${safe}], ` +
        `${column} < ${width})`;
    });
    return `vec4<f32>(${parts.join(", ")})`;
  });
}

/** The two numbers of each query to a texel. */
export function packScalars(
  kernel: AnyAttentionKernel,
  limits: ShaderLimits,
  size: number,
  first: number,
  texture: number,
): Dispatch {
  return pack(kernel, limits, size, texture, (shader) => {
    const [sums, delta] = [shader.buffer(4), shader.buffer(5)];
    shader.line(`let row = texel + ${shader.size(first)};`);
    return `vec4<f32>(${sums}[row], ${delta}[row], 0f, 0f)`;
  });
}
