/**
 * WGSL functions for what is more than an expression.
 *
 * @module
 */

/**
 * The exact remainder of floats, with the sign of the dividend.
 *
 * It subtracts the divisor times a power of two until less than the divisor is
 * left: each difference is exact. WGSL's `%` loses the low bits of a large
 * quotient.
 */
export const FMOD = `
fn fmod(a: f32, b: f32) -> f32 {
  let divisor = bitcast<u32>(b) & 0x7fffffffu;
  var rest = bitcast<u32>(a) & 0x7fffffffu;
  let sign = bitcast<u32>(a) & 0x80000000u;
  // Infinity by anything, anything by zero and NaN have no remainder; a
  // subnormal divisor counts as zero, since devices may flush it.
  if (rest >= 0x7f800000u || divisor < 0x00800000u ||
    divisor > 0x7f800000u) {
    return bitcast<f32>(0x7fc00000u | rest);
  }
  while (rest >= divisor) {
    let exponents = (rest & 0x7f800000u) - (divisor & 0x7f800000u);
    var multiple = divisor + exponents;
    if (multiple > rest) { multiple -= 0x00800000u; }
    rest = bitcast<u32>(bitcast<f32>(rest) - bitcast<f32>(multiple));
  }
  return bitcast<f32>(rest | sign);
}`.trim();

/** Threefry-2x32 with 20 rounds: Salmon et al. 2011, section 4. */
export const THREEFRY = threefry();

function threefry(): string {
  const rotations = [[13, 15, 26, 6], [17, 29, 16, 24]];
  const lines = [
    "fn threefry(k0: u32, k1: u32, c0: u32, c1: u32) -> vec2<u32> {",
    "  let k2 = k0 ^ k1 ^ 0x1bd11bdau;",
    "  var x = c0 + k0;",
    "  var y = c1 + k1;",
  ];
  for (let group = 0; group < 5; group++) {
    for (const distance of rotations[group % 2]!) {
      lines.push(
        `  x += y; y = ((y << ${distance}u) | (y >> ${32 - distance}u)) ^ x;`,
      );
    }
    lines.push(
      `  x += k${(group + 1) % 3}; y += k${(group + 2) % 3} + ${group + 1}u;`,
    );
  }
  return [...lines, "  return vec2<u32>(x, y);", "}"].join("\n");
}
