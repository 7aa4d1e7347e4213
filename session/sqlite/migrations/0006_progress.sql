-- What an agent's progress has come to in the open window: sealed, because it
-- knows where they are. It is a cache of the fold over their positions.
CREATE TABLE progress (
  mission TEXT NOT NULL,
  agent   TEXT NOT NULL,
  opened  INTEGER NOT NULL, -- of the window
  at      INTEGER NOT NULL, -- of the newest position in it
  sealed  BLOB NOT NULL,
  PRIMARY KEY (mission, agent),
  FOREIGN KEY (mission, agent) REFERENCES mission_agents (mission, agent)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER progress_inside BEFORE INSERT ON progress
WHEN NOT EXISTS (
  SELECT 1 FROM windows
  WHERE mission = NEW.mission AND agent = NEW.agent AND opened = NEW.opened AND opened <= NEW.at AND closed IS NULL)
BEGIN
  SELECT RAISE(ABORT, 'progress is kept for an open window');
END;

CREATE TRIGGER progress_fixed BEFORE UPDATE ON progress
BEGIN
  SELECT RAISE(ABORT, 'progress is replaced, never changed');
END;
