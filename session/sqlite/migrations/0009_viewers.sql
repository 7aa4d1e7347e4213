-- How many watch through a link, over all nodes; how often a link was opened; and
-- privacy notices in parts.

-- Nodes that have viewers, each for as long as it keeps saying so.
CREATE TABLE nodes (
  id    TEXT NOT NULL PRIMARY KEY,
  until INTEGER NOT NULL -- from here on its viewers do not count
) STRICT, WITHOUT ROWID;

CREATE TABLE viewers (
  link    TEXT NOT NULL REFERENCES links (id) ON DELETE CASCADE,
  node    TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
  mission TEXT NOT NULL,
  count   INTEGER NOT NULL CHECK (count > 0),
  PRIMARY KEY (link, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX viewers_mission ON viewers (mission);
CREATE INDEX viewers_node ON viewers (node);

ALTER TABLE links ADD COLUMN opened INTEGER NOT NULL DEFAULT 0 CHECK (opened >= 0);
ALTER TABLE links ADD COLUMN last_opened_at INTEGER;

ALTER TABLE notices ADD COLUMN controller TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN purpose TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN legal_basis TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN recipients TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN retention TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN rights TEXT NOT NULL DEFAULT '';
