/**
 * Data sets, the files they come in, and batches of them.
 *
 * @module
 */

export {};
