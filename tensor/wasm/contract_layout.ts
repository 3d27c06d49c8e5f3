/**
 * How a matrix product is cut up: which operand is read four lanes at a time,
 * the register tile, and blocks that fit the caches.
 *
 * @module
 */

import type { LoopKernel, ValueId } from "../kernel/kernel.ts";
import { isElementStore, levelsOf } from "../kernel/kernel.ts";
import { type Side, sideOf } from "./lane_table.ts";
import { contiguity, contiguousShare, loadsOf } from "./contiguity.ts";
import { TILES } from "./tile_library.ts";

/** One operand of the product. */
export interface Operand {
  /** Its element at a place. */
  readonly value: ValueId;
  /** The axes that it alone has. */
  readonly side: Side;
  /** In what four elements that are packed together are neighbours. */
  readonly along: "lanes" | "columns";
}

/** A way to cut up a matrix product. */
export interface Layout {
  /** Products that have nothing to do with each other. */
  readonly batch: Side;
  /** What the sum runs over. */
  readonly columns: Side;
  /** The operand whose single elements are repeated in four lanes. */
  readonly rows: Operand;
  /** The operand that is read as vectors, and along which results are stored. */
  readonly lanes: Operand;
  /** Rows of the register tile. */
  readonly tileRows: number;
  /** Vectors in a row of the register tile. */
  readonly tileQuads: number;
  /** Rows whose packed elements stay in the second cache; whole tiles. */
  readonly blockRows: number;
  /** Columns that are summed in one go: a multiple of 4. */
  readonly blockColumns: number;
  /** Goes through the columns, `blockColumns` each. */
  readonly passes: number;
  /**
   * Passes that one item does, so that a long sum with few results has items
   * enough for several threads. The partial sums are added afterwards.
   */
  readonly partPasses: number;
  /** Panels whose sums are kept while the columns go on. */
  readonly blockPanels: number;
  /** Panels that are packed together. */
  readonly groupPanels: number;
  /** Whether the rows are packed once, for all threads. */
  readonly sharedRows: boolean;
  /** Whether the panels are packed once, for all blocks of rows. */
  readonly sharedLanes: boolean;
  /** Whether panels are not packed where they can be read as they are. */
  readonly direct: boolean;
}

/** Tiles in which loads from where they are cost less than packing. */
const DIRECT_TILES = 6;
/** Columns farther apart, in floats, are read once: they fall out of the cache. */
const DIRECT_STEP = 128;
/** Panels whose lanes are read together, to use whole cache lines. */
const GROUP_PANELS = 4;
const MAX_BLOCK_COLUMNS = 1024;
/** Floats of packed rows that stay in a second-level cache of 512 KiB. */
const BLOCK_FLOATS = 96 * 1024;
const MAX_BLOCK_ROWS = 384;
/** Floats of sums that a thread keeps where the columns take several goes. */
const SUM_FLOATS = 48 * 1024;
/** Fewer items are made more by splitting long sums, if there is much to do. */
const SPLIT_ITEMS = 12;
const SPLIT_OPERATIONS = 2_000_000;
const SHARED_FLOATS = 4 * 1024 * 1024;

/** Bytes between packed rows: not a power of two, which would share cache sets. */
export function rowBytesOf({ blockColumns }: Layout): number {
  return 4 * Math.ceil(blockColumns / 16) * 16 + 64;
}

/** How to cut up a kernel; undefined if it is no plain product. */
export function layoutOf(kernel: LoopKernel): Layout | undefined {
  const { contract, stores } = kernel;
  if (!contract) return undefined;
  const { element } = levelsOf(kernel);
  if (stores.some((store) => isElementStore(kernel, element, store))) {
    return undefined;
  }
  const batch = sideOf(contract.batch);
  const columns = sideOf(kernel.cols);
  const left = operandOf(kernel, contract.left, sideOf(contract.m));
  const right = operandOf(kernel, contract.right, sideOf(contract.n));
  const one = orient(kernel, batch, columns, left, right);
  const other = orient(kernel, batch, columns, right, left);
  return one.cost < other.cost ? one.layout : other.layout;
}

type Unplaced = Omit<Operand, "along"> & {
  /** Loads that are neighbours along its own axes, and along the columns. */
  readonly byLanes: number;
  readonly byColumns: number;
  /** Nanoseconds that packing takes an element, about. */
  readonly packing: number;
};

function operandOf(kernel: LoopKernel, value: ValueId, side: Side): Unplaced {
  const byLanes = contiguity(kernel, [value], side);
  const byColumns = contiguity(kernel, [value], sideOf(kernel.cols));
  const loads = loadsOf(kernel, [value]).length;
  const packing = 0.25 + Math.max(0, loads - Math.max(byLanes, byColumns));
  return { value, side, byLanes, byColumns, packing };
}

/** One of the two ways round, with what it costs: some ns, to be compared. */
function orient(
  kernel: LoopKernel,
  batch: Side,
  columns: Side,
  rows: Unplaced,
  lanes: Unplaced,
): { layout: Layout; cost: number } {
  const [m, n, k] = [rows.side.extent, lanes.side.extent, columns.extent];
  const tiles = TILES.map((tile) => ({
    tile,
    cost: Math.ceil(m / tile.rows) * Math.ceil(n / (4 * tile.quads)) *
      tile.cycles * k * 0.4,
  }));
  const best = tiles.reduce((a, b) => b.cost < a.cost ? b : a);
  const { rows: tileRows, quads: tileQuads } = best.tile;
  const scattered = kernel.stores.reduce(
    (sum, { index }) => sum + 1 - contiguousShare(index, lanes.side),
    0,
  );
  const placedLanes = placed(lanes, "lanes");
  const direct = m <= tileRows * directTiles(kernel, lanes, placedLanes.along);
  const layout: Layout = {
    batch,
    columns,
    rows: placed(rows, "columns"),
    lanes: placedLanes,
    tileRows,
    tileQuads,
    direct,
    ...blocks(
      batch.extent,
      [m, n, k],
      [tileRows, 4 * tileQuads],
      direct || placedLanes.along === "columns" ? 1 : GROUP_PANELS,
      direct,
    ),
  };
  const packing = m * (10 + k * rows.packing) +
    n * k * (layout.direct ? lanes.packing / 3 : lanes.packing);
  return { layout, cost: best.cost + packing + m * n * 1.5 * scattered };
}

/** How many tiles may read a panel where it is. */
function directTiles(
  kernel: LoopKernel,
  { value }: Unplaced,
  along: Operand["along"],
): number {
  const load = kernel.values[value]!;
  if (load.op !== "load" || along === "columns") return 1;
  const axis = sideOf(kernel.cols).axes.at(-1);
  const step = load.index.terms.find(({ atom }) => atom === axis);
  return Math.abs(step?.coefficient ?? 1) <= DIRECT_STEP ? DIRECT_TILES : 1;
}

function placed(
  { value, side, byLanes, byColumns }: Unplaced,
  otherwise: Operand["along"],
): Operand {
  const along = byLanes === byColumns
    ? otherwise
    : byLanes > byColumns
    ? "lanes"
    : "columns";
  return { value, side, along };
}

function blocks(
  batch: number,
  [m, n, k]: readonly [number, number, number],
  [tileRows, tileLanes]: readonly [number, number],
  group: number,
  direct: boolean,
): Pick<
  Layout,
  | "blockRows"
  | "blockColumns"
  | "passes"
  | "partPasses"
  | "blockPanels"
  | "groupPanels"
  | "sharedRows"
  | "sharedLanes"
> {
  const passes = Math.max(1, Math.ceil(k / MAX_BLOCK_COLUMNS));
  const blockColumns = 4 * Math.max(1, Math.ceil(k / passes / 4));
  const panels = Math.max(1, Math.ceil(n / tileLanes));
  const most = Math.min(MAX_BLOCK_ROWS, BLOCK_FLOATS / blockColumns);
  const blocks = Math.max(1, Math.ceil(m / most));
  const blockRows = tileRows * Math.max(1, Math.ceil(m / blocks / tileRows));
  const groupPanels = Math.min(panels, group);
  const sharedLanes = !direct && blocks > 1 && batch * n * k <= SHARED_FLOATS;
  const held = Math.floor(SUM_FLOATS / (blockRows * tileLanes));
  const items = batch * blocks * panels;
  const parts = 2 * m * n * k * batch < SPLIT_OPERATIONS
    ? 1
    : Math.min(passes, Math.ceil(SPLIT_ITEMS / Math.max(1, items)));
  return {
    blockRows,
    blockColumns,
    passes,
    partPasses: Math.ceil(passes / parts),
    blockPanels: passes === 1
      ? groupPanels
      : Math.min(panels, Math.max(groupPanels, held)),
    groupPanels,
    sharedRows: panels > 1 && batch * m * k <= SHARED_FLOATS,
    sharedLanes,
  };
}
