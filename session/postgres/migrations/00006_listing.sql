-- What lists of missions and links search by.

-- +goose Up
SET LOCAL ROLE ronde_owner;

CREATE INDEX missions_unended ON missions (tenant, id) WHERE state NOT IN ('ended', 'cancelled');
CREATE INDEX missions_planned ON missions (tenant, starts_at);
CREATE INDEX missions_reference ON missions (tenant, reference, id);
CREATE INDEX mission_agents_agent ON mission_agents (tenant, agent, mission);

CREATE INDEX links_mission ON links (tenant, mission, id);
DROP INDEX links_tenant_mission_idx;

RESET ROLE;
