-- Who may do what. The application is not the owner, and row-level security is
-- forced: it sees and changes rows of the tenant named by ronde.tenant and, if
-- that is not set, none. A setting that was once set and went out of scope
-- reads as '', not as null.

-- +goose Up
SET LOCAL ROLE ronde_owner;

-- +goose StatementBegin
CREATE FUNCTION ronde_tenant() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT NULLIF(current_setting('ronde.tenant', true), '')
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['api_keys', 'notices', 'acknowledgements', 'missions', 'mission_agents', 'windows', 'links', 'latest'] LOOP
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant = ronde_tenant())', name);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
    END LOOP;
END $$;
-- +goose StatementEnd

CREATE POLICY tenant ON tenants USING (name = ronde_tenant());
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- A scalar subquery, because an EXISTS may be planned as a scan of all the
-- tenant's missions.
CREATE POLICY tenant ON positions USING (
    (SELECT m.tenant FROM missions m WHERE m.id = positions.mission) = ronde_tenant());
ALTER TABLE positions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- A mission with everything that decides over it, read in one piece. Times
-- inside the JSON are milliseconds since the epoch.
CREATE VIEW mission_rows WITH (security_invoker = true) AS
SELECT m.*,
       ARRAY(SELECT l.id FROM links l
             WHERE l.tenant = m.tenant AND l.mission = m.id AND l.revoked_at IS NOT NULL ORDER BY l.id) AS revoked_links,
       (SELECT jsonb_agg(jsonb_build_object(
                   'id', a.agent, 'alias', a.alias, 'paused', a.paused, 'relieved', a.relieved, 'sos', a.sos,
                   'tokens_after', ronde_ms(a.tokens_after), 'removed', a.removed,
                   'windows', (SELECT jsonb_agg(jsonb_build_array(ronde_ms(w.opened), ronde_ms(w.closed)) ORDER BY w.opened)
                               FROM windows w
                               WHERE w.tenant = a.tenant AND w.mission = a.mission AND w.agent = a.agent)) ORDER BY a.place)
        FROM mission_agents a WHERE a.tenant = m.tenant AND a.mission = m.id) AS agents
FROM missions m;

-- The application. What is judged (positions, latest) it can only read and
-- remove; what is settled once (identity, policy, times of creation) it can
-- only write once.
GRANT SELECT ON ronde_schema, mission_rows TO ronde_app;
GRANT SELECT, INSERT ON tenants, notices, acknowledgements TO ronde_app;
GRANT SELECT, INSERT, UPDATE (revoked_at) ON api_keys, links TO ronde_app;
GRANT SELECT, INSERT, UPDATE (starts_at, ends_at, overrun_ms, early_begin_ms, state, changed_by, end_reason,
    began_at, ended_at, expires_on, deadline, revision) ON missions TO ronde_app;
GRANT SELECT, INSERT, UPDATE (alias, paused, relieved, sos, tokens_after, removed) ON mission_agents TO ronde_app;
GRANT SELECT, INSERT, DELETE, UPDATE (closed) ON windows TO ronde_app;
GRANT SELECT, DELETE ON positions, latest TO ronde_app;

-- The judging functions. To lock a mission takes the right to update a column.
GRANT SELECT ON mission_rows, api_keys, notices, acknowledgements, missions, mission_agents, windows, links TO ronde_judge;
GRANT UPDATE (revision) ON missions TO ronde_judge;
GRANT SELECT, INSERT ON positions TO ronde_judge;
GRANT SELECT, INSERT, UPDATE ON latest TO ronde_judge;

GRANT EXECUTE ON FUNCTION ronde_now(), ronde_ms(timestamptz), ronde_time(bigint), ronde_slot(bigint, bigint) TO ronde_app, ronde_judge;
GRANT EXECUTE ON FUNCTION ronde_tenant(), ronde_partition(date) TO ronde_app;

RESET ROLE;
