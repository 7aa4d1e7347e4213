-- Holds with what they preserve, and what the sweep must know.

-- For how many months after it is over a mission's record names anybody.
ALTER TABLE tenants ADD COLUMN mission_months INTEGER NOT NULL DEFAULT 12 CHECK (mission_months BETWEEN 1 AND 60);
ALTER TABLE missions ADD COLUMN anonymous_at INTEGER; -- since when it does not

CREATE INDEX missions_named ON missions (ended_at) WHERE anonymous_at IS NULL AND ended_at IS NOT NULL;
CREATE INDEX missions_cut ON missions (expires_on) WHERE state = 'ended' AND max_points > 0;

-- The first day that no sweep has claimed: no hold can be set on a mission that
-- expired before.
CREATE TABLE expiry (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  before TEXT NOT NULL
) STRICT;
INSERT INTO expiry (one, before) VALUES (1, '1970-01-01');

CREATE TABLE holds (
  id          TEXT PRIMARY KEY,
  tenant      TEXT NOT NULL,
  mission     TEXT NOT NULL,
  agent       TEXT NOT NULL DEFAULT '', -- whose part it keeps; '': of all
  reason      TEXT NOT NULL CHECK (reason <> ''),
  role        TEXT NOT NULL,
  subject     TEXT NOT NULL,
  set_at      INTEGER NOT NULL,
  until       INTEGER NOT NULL CHECK (until > set_at),
  released_at INTEGER,
  copied_at   INTEGER,
  copied      INTEGER NOT NULL DEFAULT 0,
  gone_at     INTEGER CHECK (gone_at IS NULL OR released_at IS NOT NULL OR gone_at >= until),
  FOREIGN KEY (tenant, mission) REFERENCES missions (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX holds_mission ON holds (mission, id);
CREATE INDEX holds_there ON holds (id) WHERE gone_at IS NULL;

CREATE TABLE archive (
  hold   TEXT NOT NULL REFERENCES holds (id),
  agent  TEXT NOT NULL,
  slot   INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (hold, agent, slot)
) STRICT, WITHOUT ROWID;

CREATE INDEX archive_order ON archive (hold, at, agent, slot);

-- What follows repeats rules that the program keeps by itself.

CREATE TRIGGER expiry_forward BEFORE UPDATE ON expiry WHEN NEW.before < OLD.before
BEGIN
  SELECT RAISE(ABORT, 'a day that was claimed stays claimed');
END;

CREATE TRIGGER holds_one_stands BEFORE INSERT ON holds
WHEN EXISTS (SELECT 1 FROM holds WHERE mission = NEW.mission AND agent = NEW.agent AND released_at IS NULL AND until > NEW.set_at)
BEGIN
  SELECT RAISE(ABORT, 'one hold stands on a mission, or on an agent''s part, at a time');
END;

CREATE TRIGGER holds_in_time BEFORE INSERT ON holds
WHEN (SELECT expires_on FROM missions WHERE id = NEW.mission) < (SELECT before FROM expiry)
BEGIN
  SELECT RAISE(ABORT, 'a hold cannot be set on a track that has expired');
END;

CREATE TRIGGER holds_stay_released BEFORE UPDATE ON holds
WHEN OLD.released_at IS NOT NULL AND NEW.released_at IS NOT OLD.released_at OR OLD.gone_at IS NOT NULL
BEGIN
  SELECT RAISE(ABORT, 'a hold that has ended stays so');
END;

CREATE TRIGGER archive_copies BEFORE INSERT ON archive
WHEN NOT EXISTS (
  SELECT 1 FROM holds h JOIN missions m ON m.id = h.mission
    JOIN positions p ON p.expires_on = m.expires_on AND p.mission = m.id AND p.agent = NEW.agent AND p.slot = NEW.slot
  WHERE h.id = NEW.hold AND h.agent IN ('', NEW.agent) AND h.released_at IS NULL AND h.copied_at IS NULL
    AND m.state IN ('ended', 'cancelled') AND p.at = NEW.at)
BEGIN
  SELECT RAISE(ABORT, 'an archived position is the copy of one that is held');
END;

CREATE TRIGGER archive_fixed BEFORE UPDATE ON archive
BEGIN
  SELECT RAISE(ABORT, 'an archived position never changes');
END;
