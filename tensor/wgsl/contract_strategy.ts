/**
 * The ways to run a matrix product, and what each is expected to take: pure
 * functions of its sizes and the limits.
 *
 * @module
 */

import type { ContractSizes } from "./contract.ts";
import type { PackedStrategy } from "./contract_packed.ts";
import {
  lanesOf,
  termsOfPart,
  type TiledStrategy,
  workgroupBytesOf,
} from "./contract_tiled.ts";
import {
  MOST_VECTORS,
  VECTOR_LANES,
  type VectorStrategy,
} from "./contract_vector.ts";
import { PACK } from "./packed_layout.ts";
import { sharesRows } from "./packed_product.ts";
import type { ShaderLimits } from "./program.ts";

/** How a matrix product runs: as the loops that it is, or faster. */
export type ContractStrategy =
  | { readonly kind: "loop" }
  | VectorStrategy
  | TiledStrategy
  | PackedStrategy;

/** One way, and its time as far as a model knows it, to compare. */
export interface ContractWay {
  /** The way. */
  readonly strategy: ContractStrategy;
  /** Cycles of a GPU's processor, or nanoseconds of a computer's. */
  readonly time: number;
}

/** Chooses for a kernel that is a matrix product. */
export function chooseContract(
  sizes: ContractSizes,
  limits: ShaderLimits,
): ContractStrategy {
  return contractWays(sizes, limits)[0]!.strategy;
}

/** All ways, the one that is expected to be the fastest first. */
export function contractWays(
  sizes: ContractSizes,
  limits: ShaderLimits,
): ContractWay[] {
  const { batch, m, n, k } = sizes;
  if (batch * m * n * k === 0) return [{ strategy: { kind: "loop" }, time: 0 }];
  const ways = limits.isFallback
    ? packedWays(sizes, limits)
    : [...tiledWays(sizes, limits), ...vectorWays(sizes, limits)];
  ways.push(loopWay(sizes, limits));
  return ways.sort((a, b) => a.time - b.time);
}

/** Ways worth a trial, and by how much one may be expected to be slower. */
const MOST_TRIED = 8;
const MOST_SLOWER = 4;
/** Of ways that differ only in the parts of sums. */
const MOST_ALIKE = 2;

/**
 * The ways that may turn out to be the fastest, the expected one first: of
 * those that differ in the parts of sums alone, a few.
 */
export function waysToTry(
  sizes: ContractSizes,
  limits: ShaderLimits,
): ContractStrategy[] {
  const ways = contractWays(sizes, limits);
  const least = ways[0]!.time;
  const alike = new Map<string, number>();
  return ways.filter(({ strategy, time }) => {
    const family = wayName(strategy).replace(/ \/ \d+$/, "");
    const count = alike.get(family) ?? 0;
    alike.set(family, count + 1);
    return count < MOST_ALIKE && time <= least * MOST_SLOWER;
  }).slice(0, MOST_TRIED).map(({ strategy }) => strategy);
}

/** A name that says all of a strategy, on one device for one product. */
export function wayName(strategy: ContractStrategy): string {
  switch (strategy.kind) {
    case "loop":
      return "loop";
    case "packed": {
      const { rows, columns, swap } = strategy;
      return `packed ${rows}x${columns}${swap ? " swapped" : ""}`;
    }
    case "vector": {
      const { columns, alongTerms, parts, swap } = strategy;
      return `vector ${columns}${alongTerms ? " along terms" : ""}` +
        `${swap ? " swapped" : ""} / ${parts}`;
    }
    case "tiled": {
      const { tile, block, depth, parts } = strategy;
      return `tiled ${tile.join("x")} by ${block.join("x")}, depth ${depth}` +
        ` / ${parts}`;
    }
    default:
      return strategy satisfies never;
  }
}

/** Nanoseconds of a processor, as measured on lavapipe. */
const LOAD = 7.5;
const DISPATCH = 40_000;

/** Numbers in one tile of an operand: half the texels of the least limit. */
const MOST_TILE = 2 ** 24;

/** Sums an invocation, and nanoseconds for one product of them. */
const PACKED_TILES = [
  { rows: 16, columns: 8, product: 0.18 },
  { rows: 8, columns: 4, product: 0.3 },
] as const;
/** The same where invocations can tell each other rows: those cost less. */
const SHARED_TILES = [
  { rows: 24, columns: 4, product: 0.12 },
  { rows: 8, columns: 4, product: 0.17 },
] as const;

function packedWays(
  { batch, m, n, k }: ContractSizes,
  { subgroups }: ShaderLimits,
): ContractWay[] {
  // Lanes take the longer side: it wastes fewer of them.
  const swap = m > n;
  const [rowSize, columnSize] = swap ? [n, m] : [m, n];
  // One tile must fit a texture.
  const tiles = sharesRows(subgroups) ? SHARED_TILES : PACKED_TILES;
  return tiles.filter(({ columns }) => 8 * columns * k <= MOST_TILE)
    .map(({ rows, columns, product }) => {
      const paddedRows = roundUp(rowSize, rows);
      const paddedColumns = roundUp(columnSize, 8 * columns);
      const time = batch * k *
          ((paddedRows + paddedColumns) * PACK +
            paddedRows * paddedColumns * product) + 3 * DISPATCH;
      return { strategy: { kind: "packed", swap, rows, columns }, time };
    });
}

/** A GPU is taken to have so many processors: WebGPU does not tell. */
const PROCESSORS = 128;
/** Invocations that hide the time of each other's loads on one of them. */
const LOADING_LANES = 256;
/** Invocations with sums enough to keep all of its units at work. */
const SUMMING_LANES = 128;
/** Products that a processor adds up in a cycle at best. */
const PRODUCTS = 128;
/** Bytes that it takes from memory in a cycle. */
const BYTES = 16;
/** Cycles that one kernel more takes. */
const KERNEL = 4000;
/** Cycles that a workgroup takes to begin and to end. */
const WORKGROUP = 500;
/** Loads of a plain loop in a cycle, most of them from a cache. */
const LOADS = 16;

/**
 * Tiles, and which part of the products' best rate each reaches: a block of 8
 * by 8 has 64 products for 4 loads from workgroup memory, one of 4 by 4 has 16
 * for 2.
 */
const TILES = [
  { tile: [128, 128], block: [8, 8], rate: 0.85 },
  { tile: [128, 64], block: [8, 8], rate: 0.8 },
  { tile: [64, 128], block: [8, 8], rate: 0.8 },
  { tile: [64, 64], block: [8, 8], rate: 0.7 },
  { tile: [64, 64], block: [4, 4], rate: 0.5 },
  { tile: [128, 32], block: [8, 4], rate: 0.55 },
  { tile: [32, 128], block: [4, 8], rate: 0.55 },
  { tile: [32, 32], block: [4, 4], rate: 0.4 },
] as const;

/** Terms in workgroup memory: more of them need fewer barriers. */
const DEPTHS = [{ depth: 16, rate: 1 }, { depth: 8, rate: 0.95 }] as const;

/** Most parts of a sum, and the fewest terms in one. */
const MOST_PARTS = 32;
const LEAST_TERMS = 128;
/** Most sums in all parts: 64 MiB. Where there are more, parts gain nothing. */
const MOST_SUMS = 2 ** 24;

/** Into how many parts sums may be cut. */
function partsOf({ batch, m, n, k }: ContractSizes): number[] {
  const most = Math.min(
    MOST_PARTS,
    k / LEAST_TERMS,
    MOST_SUMS / (batch * m * n),
  );
  const parts = [1];
  for (let count = 2; count <= most; count *= 2) parts.push(count);
  return parts;
}

/** Cycles for the parts of sums to be written, read and added up. */
function addingTime({ batch, m, n }: ContractSizes, parts: number): number {
  if (parts === 1) return 0;
  return KERNEL + 2 * 4 * parts * batch * m * n / (PROCESSORS * BYTES);
}

function tiledWays(
  sizes: ContractSizes,
  limits: ShaderLimits,
): ContractWay[] {
  const { batch, m, n, k } = sizes;
  const shapes = TILES.flatMap((shape) =>
    DEPTHS.map(({ depth, rate }) => ({
      ...shape,
      depth,
      rate: shape.rate * rate,
    }))
  ).filter(({ tile, block, depth }) => {
    const lanes = lanesOf({ tile, block });
    // Each invocation loads at least four numbers of each tile.
    return lanes <= limits.maxWorkgroupSize &&
      Math.min(...tile) / 4 * depth >= lanes &&
      workgroupBytesOf({ tile, depth }) <= limits.maxWorkgroupBytes;
  });
  return shapes.flatMap(({ tile, block, depth, rate }) => {
    const lanes = lanesOf({ tile, block });
    return partsOf(sizes).map((count): ContractWay => {
      const terms = termsOfPart(k, depth, count);
      const parts = Math.ceil(k / terms);
      const groups = parts * batch * Math.ceil(m / tile[0]) *
        Math.ceil(n / tile[1]);
      const rounds = Math.ceil(groups / PROCESSORS);
      const busy = Math.min(1, rounds * lanes / SUMMING_LANES);
      const products = tile[0] * tile[1] * terms / (PRODUCTS * rate * busy);
      return {
        strategy: { kind: "tiled", tile, block, depth, parts },
        time: rounds * (products + WORKGROUP) + addingTime(sizes, parts) +
          KERNEL,
      };
    });
  });
}

function vectorWays(
  sizes: ContractSizes,
  limits: ShaderLimits,
): ContractWay[] {
  const { batch, m, n, k, alongM = false, alongN = false } = sizes;
  const swap = n < m;
  const [short, long] = swap ? [n, m] : [m, n];
  if (short > MOST_VECTORS || VECTOR_LANES > limits.maxWorkgroupSize) return [];
  if (VECTOR_LANES * 4 * MOST_VECTORS > limits.maxWorkgroupBytes) return [];
  const alongTerms = !(swap ? alongM : alongN);
  return [4, 32].flatMap((columns) =>
    partsOf(sizes).map((count): ContractWay => {
      const terms = Math.ceil(k / count);
      const parts = Math.ceil(k / terms);
      const groups = parts * batch * Math.ceil(long / columns);
      const rounds = Math.ceil(groups / PROCESSORS);
      const sharers = VECTOR_LANES / columns;
      const bytes = 4 * columns * roundUp(terms, sharers);
      const busy = Math.min(1, rounds / 4);
      // A load takes whole lines: those of neighbours alone are all of use.
      const used = Math.min(1, (alongTerms ? sharers : columns) / 32);
      return {
        strategy: { kind: "vector", swap, columns, alongTerms, parts },
        time: rounds * (bytes / (BYTES * used * busy) + WORKGROUP) +
          addingTime(sizes, parts) + KERNEL,
      };
    })
  );
}

function loopWay(
  { batch, m, n, k, alongM = false, alongN = false }: ContractSizes,
  { isFallback }: ShaderLimits,
): ContractWay {
  const strategy = { kind: "loop" } as const;
  const loads = batch * m * n * k * 2;
  if (isFallback) return { strategy, time: loads * LOAD + DISPATCH };
  const rows = batch * m * n;
  // A workgroup takes a row where there are few, and its invocations share the
  // terms: those that lie apart take a line of memory for each number.
  const isShared = rows < 16384 && k > 32;
  const lanes = isShared ? rows * Math.min(k, 256) : rows;
  const busy = Math.min(1, lanes / (PROCESSORS * LOADING_LANES));
  const lines = (along: boolean) => isShared && along ? 8 : 1;
  const bytes = 4 * batch * k * (m * lines(alongM) + n * lines(alongN));
  const loading = loads / LOADS;
  const reading = bytes / BYTES;
  return {
    strategy,
    time: Math.max(loading, reading) / (PROCESSORS * busy) + KERNEL +
      Math.ceil(lanes / 256 / PROCESSORS) * WORKGROUP / 4,
  };
}

function roundUp(size: number, multiple: number): number {
  return Math.ceil(size / multiple) * multiple;
}
