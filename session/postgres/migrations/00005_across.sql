-- What a node must ask about all tenants at once. Each function compares
-- tenants itself, because its owner sees them all.

-- +goose Up
SET LOCAL ROLE ronde_owner;

-- Who presents a key is not known before the key is.
-- +goose StatementBegin
CREATE FUNCTION ronde_api_key(key uuid) RETURNS SETOF api_keys LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k.* FROM api_keys k WHERE k.id = key
$$;
-- +goose StatementEnd

-- Missions that are past their deadline and not over, the longest due first.
-- +goose StatementBegin
CREATE FUNCTION ronde_due(most integer) RETURNS TABLE (tenant text, mission uuid) LANGUAGE sql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT m.tenant, m.id FROM missions m
    WHERE m.state NOT IN ('ended', 'cancelled') AND m.deadline <= (SELECT ronde_now())
    ORDER BY m.deadline, m.id LIMIT most
$$;
-- +goose StatementEnd

-- Of the missions a node knows, those whose revision is another.
-- +goose StatementBegin
CREATE FUNCTION ronde_changed(k_tenant text[], k_mission uuid[], k_revision bigint[]) RETURNS SETOF mission_rows
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT m.* FROM unnest(k_tenant, k_mission, k_revision) AS k(tenant, mission, revision)
    JOIN mission_rows m ON m.id = k.mission AND m.tenant = k.tenant AND m.revision <> k.revision
$$;
-- +goose StatementEnd

-- Of the missions a node knows, those that are no longer there.
-- +goose StatementBegin
CREATE FUNCTION ronde_missing(k_tenant text[], k_mission uuid[]) RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k.mission FROM unnest(k_tenant, k_mission) AS k(tenant, mission)
    WHERE NOT EXISTS (SELECT FROM missions m WHERE m.id = k.mission AND m.tenant = k.tenant)
$$;
-- +goose StatementEnd

-- Of missions, the time of the newest position in each open window. Past the
-- deadline no window is open, whether somebody has closed it or not.
--
-- The newest slot and the newest time may differ: a device time ahead of the
-- clock is stored as the clock. But a stored time is never later than its slot,
-- so nothing newer than the newest slot's time lies below that time's slot.
-- +goose StatementBegin
CREATE FUNCTION ronde_newest(k_tenant text[], k_mission uuid[])
RETURNS TABLE (mission uuid, agent text, at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    now CONSTANT timestamptz := ronde_now();
    day date;
BEGIN
    RETURN QUERY
        SELECT l.mission, l.agent, l.at FROM unnest(k_tenant, k_mission) AS k(tenant, mission)
        JOIN missions m ON m.id = k.mission AND m.tenant = k.tenant AND NOT m.track AND m.deadline > now
        JOIN windows w ON w.mission = m.id AND w.closed IS NULL
        JOIN latest l ON l.mission = w.mission AND l.agent = w.agent AND l.at >= w.opened;
    -- A day at a time, and planned for that day: only its partition is opened.
    FOR day IN
        SELECT DISTINCT m.expires_on FROM unnest(k_tenant, k_mission) AS k(tenant, mission)
        JOIN missions m ON m.id = k.mission AND m.tenant = k.tenant
        WHERE m.track AND m.expires_on IS NOT NULL AND m.deadline > now
    LOOP
        RETURN QUERY EXECUTE
            'SELECT w.mission, w.agent, newest.at FROM unnest($2, $3) AS k(tenant, mission)
             JOIN missions m ON m.id = k.mission AND m.tenant = k.tenant AND m.track AND m.expires_on = $1 AND m.deadline > $4
             JOIN windows w ON w.mission = m.id AND w.closed IS NULL
             CROSS JOIN LATERAL (
                 SELECT p.at FROM positions p
                 WHERE p.expires_on = $1 AND p.mission = w.mission AND p.agent = w.agent
                   AND p.slot >= ronde_slot(ronde_ms(w.opened), m.min_interval_ms) AND p.at >= w.opened
                 ORDER BY p.slot DESC LIMIT 1) AS last
             CROSS JOIN LATERAL (
                 SELECT max(p.at) AS at FROM positions p
                 WHERE p.expires_on = $1 AND p.mission = w.mission AND p.agent = w.agent
                   AND p.slot >= ronde_slot(ronde_ms(last.at), m.min_interval_ms)) AS newest'
            USING day, k_tenant, k_mission, now;
    END LOOP;
END $$;
-- +goose StatementEnd

RESET ROLE;

GRANT CREATE ON SCHEMA public TO ronde_judge;
ALTER FUNCTION ronde_api_key OWNER TO ronde_judge;
ALTER FUNCTION ronde_due OWNER TO ronde_judge;
ALTER FUNCTION ronde_changed OWNER TO ronde_judge;
ALTER FUNCTION ronde_missing OWNER TO ronde_judge;
ALTER FUNCTION ronde_newest OWNER TO ronde_judge;
REVOKE CREATE ON SCHEMA public FROM ronde_judge;
GRANT EXECUTE ON FUNCTION ronde_api_key, ronde_due, ronde_changed, ronde_missing, ronde_newest TO ronde_app;
