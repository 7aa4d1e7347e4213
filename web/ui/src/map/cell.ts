// What can be said of an H3 cell without the H3 library.

/** Mean edge of a cell of resolution 0, metres (h3geo.org, table of cell statistics). */
const EDGE_0 = 1_281_256;

/** The resolution of an H3 cell, 0 to 15: the second digit of its index. */
export const cellResolution = (cell: string): number => Number.parseInt(cell.charAt(1), 16);

/** About how long an edge of a cell is, metres: each resolution divides it by the root of seven. */
export const cellEdge = (cell: string): number => EDGE_0 / Math.sqrt(7) ** cellResolution(cell);
