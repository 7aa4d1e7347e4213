// How long things may be shown as what they were. Milliseconds.

/** Older than this, a position is no longer live: its marker is grey and the words say how old it is. */
export const STALE_AFTER = 30_000;

/** An agent whose phone said that they do not move sends less, and is not stale as soon. */
export const STALE_STATIONARY_AFTER = 5 * 60_000;

/** Older than this, the headline says that there is no news, instead of what was last known. */
export const SILENT_AFTER = 90_000;

/** So long after this page lost its connection, every position counts as stale. */
export const LOST_GREY_AFTER = 5_000;

/** So long after this page lost its connection, every position is removed. */
export const LOST_REMOVE_AFTER = 60_000;
