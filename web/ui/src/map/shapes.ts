// Where an agent may be: a circle of the fix's accuracy, or the cell itself.

import { cellEdge } from './cell';
import type { ChartAgent } from './chart';
import { circle, type Coordinate } from './geometry';

type Boundary = (cell: string) => Coordinate[];

let boundary: Boundary | undefined;

/** Loads what knows the outlines of cells; only links that show cells need it. */
export async function loadCells(): Promise<void> {
  const { cellToBoundary } = await import('h3-js');
  boundary = (cell) => cellToBoundary(cell, true) as Coordinate[];
}

/** Whether the agents need loadCells. */
export const needsCells = (agents: readonly ChartAgent[]): boolean =>
  boundary === undefined && agents.some((a) => a.cell !== undefined);

/** Every vertex of a cell is nearer to its centre than this many of its mean edges. */
const CELL_REACH = 1.3;

/** The outline of where the agent may be; a single point if nothing is known of the accuracy. */
export function outline({ position, cell }: ChartAgent): Coordinate[] {
  if (cell !== undefined) return boundary?.(cell) ?? circle(position, CELL_REACH * cellEdge(cell));
  if (position.accuracy !== undefined && position.accuracy > 0) return circle(position, position.accuracy, 48);
  return [[position.longitude, position.latitude]];
}
