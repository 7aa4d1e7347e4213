-- Missions, their windows and their positions; tenants with their keys and
-- notices; links.
--
-- Times are milliseconds since the Unix epoch in UTC, lengths of time
-- milliseconds, days 2006-01-02, ids UUIDs in their usual form.

CREATE TABLE tenants (
  name       TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
  id         TEXT PRIMARY KEY,
  tenant     TEXT NOT NULL REFERENCES tenants (name),
  role       TEXT NOT NULL,
  label      TEXT NOT NULL,
  hash       BLOB NOT NULL,             -- SHA-256 of the secret
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_keys_tenant ON api_keys (tenant, created_at, id);

CREATE TABLE notices (
  tenant       TEXT NOT NULL REFERENCES tenants (name),
  version      INTEGER NOT NULL CHECK (version > 0),
  text         TEXT NOT NULL,
  published_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE acknowledgements (
  tenant          TEXT NOT NULL,
  agent           TEXT NOT NULL,
  version         INTEGER NOT NULL,
  acknowledged_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, agent, version),
  FOREIGN KEY (tenant, version) REFERENCES notices (tenant, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE missions (
  id              TEXT PRIMARY KEY,
  tenant          TEXT NOT NULL REFERENCES tenants (name),
  reference       TEXT NOT NULL,
  site_name       TEXT NOT NULL,
  site_latitude   REAL NOT NULL,
  site_longitude  REAL NOT NULL,
  site_radius_m   REAL NOT NULL,
  checkpoints     TEXT NOT NULL CHECK (json_valid(checkpoints)),
  starts_at       INTEGER NOT NULL,
  ends_at         INTEGER NOT NULL,
  overrun_ms      INTEGER NOT NULL,
  early_begin_ms  INTEGER NOT NULL,
  track           INTEGER NOT NULL,
  proof           INTEGER NOT NULL,
  retention_days  INTEGER NOT NULL,
  min_interval_ms INTEGER NOT NULL CHECK (min_interval_ms > 0),
  max_points      INTEGER NOT NULL,
  speed           INTEGER NOT NULL,
  agent_controls  INTEGER NOT NULL,
  state           TEXT NOT NULL CHECK (state IN ('scheduled', 'active', 'paused', 'ended', 'cancelled')),
  changed_by      TEXT NOT NULL,
  end_reason      TEXT NOT NULL,
  created_at      INTEGER NOT NULL,
  began_at        INTEGER,
  ended_at        INTEGER,
  expires_on      TEXT,
  deadline        INTEGER NOT NULL,
  revision        INTEGER NOT NULL,
  UNIQUE (tenant, id)
) STRICT;

CREATE INDEX missions_due ON missions (deadline) WHERE state IN ('scheduled', 'active', 'paused');

CREATE TABLE mission_agents (
  mission      TEXT NOT NULL REFERENCES missions (id),
  ordinal      INTEGER NOT NULL,        -- the order in which they joined
  agent        TEXT NOT NULL,
  alias        TEXT NOT NULL,
  paused       INTEGER NOT NULL,
  relieved     INTEGER NOT NULL,
  sos          TEXT NOT NULL,           -- '', raised, acknowledged, closed
  tokens_after INTEGER,
  removed      INTEGER NOT NULL,
  PRIMARY KEY (mission, agent),
  UNIQUE (mission, alias)
) STRICT, WITHOUT ROWID;

-- A window [opened, closed); closed is NULL while it is open, and then it ends
-- at the mission's deadline at the latest.
CREATE TABLE windows (
  tenant  TEXT NOT NULL,
  mission TEXT NOT NULL,
  agent   TEXT NOT NULL,
  opened  INTEGER NOT NULL,
  closed  INTEGER CHECK (closed > opened),
  PRIMARY KEY (mission, agent, opened),
  FOREIGN KEY (tenant, mission) REFERENCES missions (tenant, id),
  FOREIGN KEY (mission, agent) REFERENCES mission_agents (mission, agent)
) STRICT, WITHOUT ROWID;

CREATE INDEX windows_agent ON windows (tenant, agent, opened);

CREATE TABLE positions (
  expires_on TEXT NOT NULL,
  mission    TEXT NOT NULL,
  agent      TEXT NOT NULL,
  slot       INTEGER NOT NULL,
  at         INTEGER NOT NULL,
  sealed     BLOB NOT NULL,
  PRIMARY KEY (expires_on, mission, agent, slot)
) STRICT, WITHOUT ROWID;

-- The latest position of each located agent of a mission that keeps no track.
CREATE TABLE latest (
  mission TEXT NOT NULL,
  agent   TEXT NOT NULL,
  slot    INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  sealed  BLOB NOT NULL,
  PRIMARY KEY (mission, agent)
) STRICT, WITHOUT ROWID;

CREATE TABLE links (
  id          TEXT PRIMARY KEY,
  tenant      TEXT NOT NULL,
  mission     TEXT NOT NULL,
  profile     TEXT NOT NULL,
  trail       INTEGER NOT NULL,
  label       TEXT NOT NULL,
  max_viewers INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  revoked_at  INTEGER,
  FOREIGN KEY (tenant, mission) REFERENCES missions (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX links_mission ON links (mission, created_at, id);

-- What follows repeats rules that the program keeps by itself. It is here so
-- that a mistake in the program, or a hand in the database, cannot break them.

CREATE TRIGGER positions_inside BEFORE INSERT ON positions
WHEN NOT EXISTS (
  SELECT 1 FROM windows
  WHERE mission = NEW.mission AND agent = NEW.agent
    AND opened <= NEW.at AND (closed IS NULL OR closed > NEW.at))
BEGIN
  SELECT RAISE(ABORT, 'a position must lie in a window of its agent and mission');
END;

CREATE TRIGGER positions_fixed BEFORE UPDATE ON positions
BEGIN
  SELECT RAISE(ABORT, 'a position never changes');
END;

CREATE TRIGGER latest_inside BEFORE INSERT ON latest
WHEN NOT EXISTS (
  SELECT 1 FROM windows
  WHERE mission = NEW.mission AND agent = NEW.agent AND opened <= NEW.at AND closed IS NULL)
BEGIN
  SELECT RAISE(ABORT, 'a latest position must lie in the open window of its agent and mission');
END;

CREATE TRIGGER latest_fixed BEFORE UPDATE ON latest
BEGIN
  SELECT RAISE(ABORT, 'a latest position is replaced, never changed');
END;

CREATE TRIGGER windows_apart BEFORE INSERT ON windows
WHEN EXISTS (
  SELECT 1 FROM windows w JOIN missions m ON m.id = w.mission
  WHERE w.tenant = NEW.tenant AND w.agent = NEW.agent
    AND (NEW.closed IS NULL OR w.opened < NEW.closed)
    AND coalesce(w.closed, m.deadline) > NEW.opened)
BEGIN
  SELECT RAISE(ABORT, 'windows of one agent must not overlap');
END;

CREATE TRIGGER windows_fixed BEFORE UPDATE ON windows
BEGIN
  SELECT RAISE(ABORT, 'a window is replaced, never changed');
END;
