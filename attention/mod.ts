/**
 * Attention functions and transformer layers.
 *
 * @module
 */

export {};
