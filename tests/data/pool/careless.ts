/**
 * A module that starts workers wherever it is loaded.
 *
 * @module
 */
import { Pool } from "@heddle/data/pool";

const pool = new Pool({ workers: 1 });
pool.terminate();

export function f(): number {
  return 1;
}
