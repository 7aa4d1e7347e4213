-- What a node must know to take over an agent from another.

-- +goose Up
SET LOCAL ROLE ronde_owner;

-- What an agent's progress has come to in the open window: sealed, because it
-- knows where they are. It is a cache of the fold over their positions.
CREATE TABLE progress (
    tenant  text COLLATE "C" NOT NULL,
    mission uuid NOT NULL,
    agent   text COLLATE "C" NOT NULL,
    opened  timestamptz NOT NULL, -- of the window
    at      timestamptz NOT NULL, -- of the newest position in it
    sealed  bytea NOT NULL,
    PRIMARY KEY (mission, agent),
    FOREIGN KEY (tenant, mission, agent) REFERENCES mission_agents (tenant, mission, agent)
) WITH (fillfactor = 50); -- it is replaced again and again: room to do so in the page

CREATE POLICY tenant ON progress USING (tenant = ronde_tenant());
ALTER TABLE progress ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- Keeps progress as session.Store.SaveProgress says. As in ronde_append, the
-- lock comes first, and a second statement judges by what was committed before.
-- +goose StatementBegin
CREATE FUNCTION ronde_save_progress(
    s_tenant text[], s_mission uuid[], s_agent text[], s_opened timestamptz[], s_at timestamptz[], s_sealed bytea[])
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    locked uuid[];
BEGIN
    SELECT array_agg(l.id) INTO locked
    FROM (SELECT m.id FROM missions m WHERE m.id = ANY (s_mission) ORDER BY m.id FOR SHARE SKIP LOCKED) l;

    INSERT INTO progress AS p (tenant, mission, agent, opened, at, sealed)
    SELECT s.tenant, s.mission, s.agent, s.opened, s.at, s.sealed
    FROM unnest(s_tenant, s_mission, s_agent, s_opened, s_at, s_sealed) AS s(tenant, mission, agent, opened, at, sealed)
    JOIN missions m ON m.id = s.mission AND m.tenant = s.tenant AND m.id = ANY (locked)
        AND m.state = 'active' AND m.deadline > ronde_now()
    JOIN windows w ON w.mission = s.mission AND w.agent = s.agent AND w.closed IS NULL AND w.opened = s.opened AND w.opened <= s.at
    ORDER BY s.mission, s.agent
    ON CONFLICT (mission, agent) DO UPDATE SET opened = excluded.opened, at = excluded.at, sealed = excluded.sealed
        WHERE p.opened < excluded.opened OR p.at < excluded.at;
END $$;
-- +goose StatementEnd

GRANT SELECT, DELETE ON progress TO ronde_app;
GRANT SELECT, INSERT, UPDATE ON progress TO ronde_judge;

RESET ROLE;

GRANT CREATE ON SCHEMA public TO ronde_judge;
ALTER FUNCTION ronde_save_progress OWNER TO ronde_judge;
REVOKE CREATE ON SCHEMA public FROM ronde_judge;
GRANT EXECUTE ON FUNCTION ronde_save_progress TO ronde_app;
