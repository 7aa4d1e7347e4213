-- The access log: who did what, when and why.
--
-- A zero id and an empty text stand for none, so that everything said here has
-- one form only. Rows name people by pseudonym, and outlive what they tell of.
CREATE TABLE access_log (
  id      TEXT PRIMARY KEY,
  at      INTEGER NOT NULL,
  tenant  TEXT NOT NULL,                -- '': the whole installation
  role    TEXT NOT NULL,                -- '': Ronde itself
  subject TEXT NOT NULL,
  action  TEXT NOT NULL,
  mission TEXT NOT NULL,
  agent   TEXT NOT NULL,
  object  TEXT NOT NULL,
  why     TEXT NOT NULL,
  salt    BLOB NOT NULL CHECK (length(salt) = 16), -- without it nobody can guess the row from its leaf
  mac     BLOB NOT NULL CHECK (length(mac) IN (0, 16)), -- of the node that made the row; empty: whoever made it was none
  leaf    INTEGER UNIQUE CHECK (leaf >= 0)         -- of the Merkle tree; NULL: not yet
) STRICT, WITHOUT ROWID;

CREATE INDEX access_log_tenant ON access_log (tenant, id);
CREATE INDEX access_log_mission ON access_log (tenant, mission, id);
CREATE INDEX access_log_pending ON access_log (id) WHERE leaf IS NULL;

CREATE TRIGGER access_log_fixed BEFORE UPDATE OF id, at, tenant, role, subject, action, mission, agent, object, why, salt, mac ON access_log
BEGIN
  SELECT RAISE(ABORT, 'a row of the access log never changes');
END;

CREATE TRIGGER access_log_leaf_fixed BEFORE UPDATE OF leaf ON access_log
WHEN OLD.leaf IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'a row of the access log keeps its leaf');
END;

-- The Merkle tree over the log. Hashes stay when rows go.
CREATE TABLE access_hashes (
  place INTEGER PRIMARY KEY,            -- tlog.StoredHashIndex
  hash  BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE access_checkpoints (
  size      INTEGER PRIMARY KEY,        -- leaves of the tree that is signed
  signed_at INTEGER NOT NULL,
  note      TEXT NOT NULL
) STRICT;

CREATE INDEX access_checkpoints_signed ON access_checkpoints (signed_at);

CREATE TRIGGER access_hashes_fixed BEFORE UPDATE ON access_hashes
BEGIN
  SELECT RAISE(ABORT, 'a hash of the access log never changes');
END;

CREATE TRIGGER access_hashes_stay BEFORE DELETE ON access_hashes
BEGIN
  SELECT RAISE(ABORT, 'a hash of the access log is never removed');
END;

CREATE TRIGGER access_checkpoints_fixed BEFORE UPDATE ON access_checkpoints
BEGIN
  SELECT RAISE(ABORT, 'a checkpoint of the access log never changes');
END;
