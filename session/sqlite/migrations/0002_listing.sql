-- What lists of missions and links search by.

CREATE INDEX missions_unended ON missions (tenant, id) WHERE state IN ('scheduled', 'active', 'paused');
CREATE INDEX missions_planned ON missions (tenant, starts_at);
CREATE INDEX missions_reference ON missions (tenant, reference, id);
CREATE INDEX mission_agents_agent ON mission_agents (agent, mission);

DROP INDEX links_mission;
CREATE INDEX links_mission ON links (mission, id);
