-- What was erased, in counts alone: the receipt of each deletion, and how far the
-- tombstones of the keyring were carried out. Nobody is named here: a pseudonym leads
-- to nobody.

CREATE TABLE erasures (
  number           INTEGER PRIMARY KEY,   -- of the tombstone
  done_at          INTEGER,               -- NULL: not all of it yet
  pseudonym        TEXT NOT NULL DEFAULT '', -- what an agent became; '': a tenant, who has none
  missions         INTEGER NOT NULL DEFAULT 0,
  positions        INTEGER NOT NULL DEFAULT 0,
  refusals         INTEGER NOT NULL DEFAULT 0,
  acknowledgements INTEGER NOT NULL DEFAULT 0,
  links            INTEGER NOT NULL DEFAULT 0,
  api_keys         INTEGER NOT NULL DEFAULT 0,
  notices          INTEGER NOT NULL DEFAULT 0
) STRICT;

-- This too repeats a rule that the program keeps by itself. An erasure waits for
-- no copy: what a restored backup still holds of somebody goes first.
CREATE TRIGGER positions_held BEFORE DELETE ON positions
WHEN OLD.expires_on < (SELECT before FROM expiry) AND EXISTS (
  SELECT 1 FROM holds h
  WHERE h.mission = OLD.mission AND h.agent IN ('', OLD.agent) AND h.released_at IS NULL AND h.copied_at IS NULL AND h.gone_at IS NULL
    AND h.until > unixepoch(OLD.expires_on) * 1000)
  AND NOT EXISTS (SELECT 1 FROM erasures WHERE done_at IS NULL)
BEGIN
  SELECT RAISE(ABORT, 'a position that a hold preserves waits for its copy');
END;
-- Who is about to be erased: from when it was made sure that nothing is in the
-- way until the last step. Meanwhile nothing comes in the way: no hold, no duty.
CREATE TABLE erasing (
  tenant    TEXT NOT NULL,
  agent     TEXT NOT NULL,                -- '': the whole tenant
  pseudonym TEXT NOT NULL,
  at        INTEGER NOT NULL,
  PRIMARY KEY (tenant, agent)
) STRICT, WITHOUT ROWID;
