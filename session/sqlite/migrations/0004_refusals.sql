-- How many pings were refused, of whom and why: never where or when.

CREATE TABLE refusals (
  mission TEXT NOT NULL,
  agent   TEXT NOT NULL,
  reason  TEXT NOT NULL,                -- a refusal code of the wire
  count   INTEGER NOT NULL CHECK (count > 0),
  PRIMARY KEY (mission, agent, reason),
  FOREIGN KEY (mission, agent) REFERENCES mission_agents (mission, agent)
) STRICT, WITHOUT ROWID;
