/**
 * The training tasks, as functions with typed settings and results.
 *
 * @module
 */

export {};
