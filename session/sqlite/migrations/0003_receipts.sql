-- Receipts of creations that carried an Idempotency-Key. What was answered is
-- sealed, and under which key, the name does not tell.

CREATE TABLE receipts (
  tenant     TEXT NOT NULL,
  id         BLOB NOT NULL CHECK (length(id) = 32),
  mission    TEXT NOT NULL,             -- with which the receipt is erased
  expires_at INTEGER NOT NULL,
  sealed     BLOB NOT NULL,
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, mission) REFERENCES missions (tenant, id)
) STRICT;

CREATE INDEX receipts_expires ON receipts (expires_at);
