/**
 * Loss functions.
 *
 * @module
 */

export {};
