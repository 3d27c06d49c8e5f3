/**
 * How Adam is set in all training steps, in every library.
 *
 * @module
 */

export const LEARNING_RATE = 1e-3;
export const BETAS: readonly [number, number] = [0.9, 0.999];
export const EPSILON = 1e-8;
