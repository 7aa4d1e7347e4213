-- What was erased, in counts alone: the receipt of each deletion, and how far the
-- tombstones of the keyring were carried out. Nobody is named here.

CREATE TABLE erasures (
  number           INTEGER PRIMARY KEY,   -- of the tombstone
  done_at          INTEGER,               -- NULL: not all of it yet
  missions         INTEGER NOT NULL DEFAULT 0,
  positions        INTEGER NOT NULL DEFAULT 0,
  refusals         INTEGER NOT NULL DEFAULT 0,
  acknowledgements INTEGER NOT NULL DEFAULT 0,
  links            INTEGER NOT NULL DEFAULT 0,
  api_keys         INTEGER NOT NULL DEFAULT 0,
  notices          INTEGER NOT NULL DEFAULT 0
) STRICT;
