-- The identity of the keyring that seals the positions, once it is known. It
-- never changes: with another keyring nothing that is here could be read.

CREATE TABLE keyring (
  one INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row at most
  id  TEXT NOT NULL
) STRICT;

CREATE TRIGGER keyring_stays BEFORE UPDATE ON keyring BEGIN
  SELECT RAISE(ABORT, 'the keyring of a store never changes');
END;
