/**
 * Layers, optimizers, schedules and checkpoints.
 *
 * @module
 */

export {};
