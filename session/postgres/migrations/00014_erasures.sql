-- How the data of an agent, or of a tenant, go when a tombstone is carried out.

-- +goose Up
SET LOCAL ROLE ronde_owner;

-- What was erased, in counts alone: the receipt of each deletion, and how far the
-- tombstones of the keyring were carried out. Nobody is named here, no tenant
-- either: a pseudonym leads to nobody.
CREATE TABLE erasures (
    number           bigint PRIMARY KEY, -- of the tombstone
    done_at          timestamptz,        -- null: not all of it yet
    pseudonym        text COLLATE "C",   -- what an agent became; null: a tenant, who has none
    missions         bigint NOT NULL DEFAULT 0,
    positions        bigint NOT NULL DEFAULT 0,
    refusals         bigint NOT NULL DEFAULT 0,
    acknowledgements bigint NOT NULL DEFAULT 0,
    links            bigint NOT NULL DEFAULT 0,
    api_keys         bigint NOT NULL DEFAULT 0,
    notices          bigint NOT NULL DEFAULT 0
);

-- Who is about to be erased: from when it was made sure that nothing is in the
-- way until the last step. Meanwhile nothing comes in the way: no hold, no duty.
CREATE TABLE erasing (
    tenant    text COLLATE "C" NOT NULL,
    agent     text COLLATE "C" NOT NULL, -- '': the whole tenant
    pseudonym text COLLATE "C" NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (tenant, agent)
);
CREATE POLICY tenant ON erasing USING (tenant = ronde_tenant());
ALTER TABLE erasing ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- Refuses (RE001) what names somebody who is about to be erased, by their name or
-- by what takes its place. It is sure only under a lock that ronde_bar takes too.
-- +goose StatementBegin
CREATE FUNCTION ronde_spare(of_tenant text, names text[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF EXISTS (SELECT FROM erasing e WHERE e.tenant = of_tenant AND (e.agent = ANY (names) OR e.pseudonym = ANY (names))) THEN
        RAISE EXCEPTION 'about to be erased' USING ERRCODE = 'RE001';
    END IF;
END $$;
-- +goose StatementEnd

-- The same under the lock, for who is not on a mission yet whose lock would do.
-- An advisory lock, because of somebody new there is no row to lock.
-- +goose StatementBegin
CREATE FUNCTION ronde_admit(of_tenant text, names text[]) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('ronde_erase ' || of_tenant || ' ' || n.name, 0))
    FROM (SELECT u AS name FROM unnest(names) u ORDER BY u) n;
    PERFORM ronde_spare(of_tenant, names);
END $$;
-- +goose StatementEnd

-- Bars an agent, or with '' a tenant: see session.Store.Bar. What is in the way
-- is the code of an error.
-- +goose StatementBegin
CREATE FUNCTION ronde_bar(
    of_tenant text, of_agent text, new_name text, OUT pseudonym text, OUT at timestamptz, OUT in_the_way text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    now timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ronde_erase ' || of_tenant || ' ' || of_agent, 0));
    SELECT e.pseudonym, e.at INTO ronde_bar.pseudonym, ronde_bar.at FROM erasing e WHERE e.tenant = of_tenant AND e.agent = of_agent;
    IF FOUND THEN
        RETURN;
    END IF;
    IF of_agent <> '' THEN
        PERFORM FROM missions m WHERE m.tenant = of_tenant
            AND m.id IN (SELECT a.mission FROM mission_agents a WHERE a.tenant = of_tenant AND a.agent = of_agent)
        ORDER BY m.id FOR UPDATE;
    END IF;
    now := ronde_now(); -- after the locks
    in_the_way := CASE
        WHEN of_agent = '' AND EXISTS (
            SELECT FROM missions m WHERE m.tenant = of_tenant AND m.state IN ('active', 'paused') AND m.deadline > now)
            THEN 'mission_state'
        WHEN of_agent <> '' AND EXISTS (
            SELECT FROM mission_agents a JOIN missions m ON m.tenant = a.tenant AND m.id = a.mission
            WHERE a.tenant = of_tenant AND a.agent = of_agent AND NOT a.relieved
                AND m.state IN ('scheduled', 'active', 'paused') AND m.deadline > now)
            THEN 'agent_on_duty'
        WHEN of_agent <> '' AND EXISTS (
            SELECT FROM mission_agents a JOIN holds h ON h.tenant = a.tenant AND h.mission = a.mission
            WHERE a.tenant = of_tenant AND a.agent = of_agent AND h.agent IN ('', of_agent) AND h.released_at IS NULL AND h.until > now)
            THEN 'held'
    END;
    IF in_the_way IS NULL THEN
        INSERT INTO erasing VALUES (of_tenant, of_agent, new_name, now)
        RETURNING erasing.pseudonym, erasing.at INTO ronde_bar.pseudonym, ronde_bar.at;
    END IF;
END $$;
-- +goose StatementEnd

-- Everybody who is barred, of all tenants.
-- +goose StatementBegin
CREATE FUNCTION ronde_barred() RETURNS SETOF erasing LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT * FROM erasing ORDER BY at, tenant, agent
$$;
-- +goose StatementEnd

-- Removes at most so many positions of a mission, of one agent or (null) of all,
-- and returns how many. The day is given as a value, so that the partitions of
-- other days are not even locked; and rows by where they lie, because of a
-- partition that nobody has analysed yet the planner knows too little for a join.
-- +goose StatementBegin
CREATE FUNCTION ronde_erase_positions(day date, of_mission uuid, of_agent text, most integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    removed bigint := 0;
BEGIN
    IF day IS NOT NULL THEN
        EXECUTE 'DELETE FROM public.positions p
            WHERE p.expires_on = $1 AND p.mission = $2 AND ($3 IS NULL OR p.agent = $3)
                AND p.ctid = ANY (ARRAY(
                    SELECT o.ctid FROM public.positions o
                    WHERE o.expires_on = $1 AND o.mission = $2 AND ($3 IS NULL OR o.agent = $3) LIMIT $4))'
            USING day, of_mission, of_agent, most;
        GET DIAGNOSTICS removed = ROW_COUNT;
    END IF;
    RETURN removed;
END $$;
-- +goose StatementEnd

-- Removes at most so many positions that holds on a mission keep, of one agent or
-- (null) of all, and returns how many.
-- +goose StatementBegin
CREATE FUNCTION ronde_erase_archive(of_tenant text, of_mission uuid, of_agent text, most integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    removed bigint;
BEGIN
    DELETE FROM archive a WHERE a.tenant = of_tenant AND a.ctid = ANY (ARRAY(
        SELECT o.ctid FROM holds h JOIN archive o ON o.tenant = h.tenant AND o.hold = h.id
        WHERE h.tenant = of_tenant AND h.mission = of_mission AND (of_agent IS NULL OR o.agent = of_agent) LIMIT most));
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;
-- +goose StatementEnd

-- Takes one step of the tombstone of an agent: see session.Store.Erase. Of several
-- nodes at once each waits for the step of the other: the row of the tombstone is
-- the lock, and comes before that of any mission.
-- +goose StatementBegin
CREATE FUNCTION ronde_erase_agent(
    tombstone bigint, of_tenant text, of_agent text, pseudonym text, until timestamptz, most integer,
    OUT changed uuid, OUT done boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    now CONSTANT timestamptz := ronde_now();
    m record;
    gone bigint;
    n erasures;
BEGIN
    done := false;
    INSERT INTO erasures AS e (number, pseudonym) VALUES (tombstone, ronde_erase_agent.pseudonym) ON CONFLICT DO NOTHING;
    SELECT * INTO n FROM erasures WHERE number = tombstone FOR UPDATE;
    -- What was carried out is over, also under another number that two nodes gave
    -- it: since then the name may be somebody's again.
    IF n.done_at IS NOT NULL OR EXISTS (
        SELECT FROM erasures e WHERE e.pseudonym = n.pseudonym AND e.number < tombstone AND e.done_at IS NOT NULL) THEN
        UPDATE erasures e SET done_at = coalesce(e.done_at, now) WHERE e.number = tombstone;
        done := true;
        RETURN;
    END IF;

    -- The lock that every transition and every judging takes too.
    SELECT o.id, o.expires_on, o.deadline INTO m FROM missions o
    WHERE o.tenant = of_tenant AND o.created_at <= until
        AND o.id IN (SELECT a.mission FROM mission_agents a WHERE a.tenant = of_tenant AND a.agent = of_agent)
    ORDER BY o.id LIMIT 1 FOR UPDATE;

    IF NOT FOUND THEN
        DELETE FROM acknowledgements k WHERE k.tenant = of_tenant AND k.agent = of_agent AND k.acknowledged_at <= until;
        GET DIAGNOSTICS gone = ROW_COUNT;
        n.acknowledgements := n.acknowledgements + gone;
        DELETE FROM erasing e WHERE e.tenant = of_tenant AND e.agent = of_agent AND e.at <= until;
        n.done_at := now;
        done := true;
    ELSE
        gone := ronde_erase_archive(of_tenant, m.id, of_agent, most);
        n.positions := n.positions + gone;
        IF gone < most THEN
            gone := ronde_erase_positions(m.expires_on, m.id, of_agent, most);
            n.positions := n.positions + gone;
        END IF;
        IF gone < most THEN
            changed := m.id;
            n.missions := n.missions + 1;
            INSERT INTO mission_agents (tenant, mission, agent, place, alias, paused, relieved, sos, tokens_after, removed)
            SELECT a.tenant, a.mission, pseudonym, a.place, pseudonym, false, true, a.sos, now, a.removed
            FROM mission_agents a WHERE a.tenant = of_tenant AND a.mission = m.id AND a.agent = of_agent;
            INSERT INTO windows (tenant, mission, agent, opened, closed)
            SELECT w.tenant, w.mission, pseudonym, w.opened,
                   coalesce(w.closed, greatest(w.opened + interval '1 ms', least(now, m.deadline)))
            FROM windows w WHERE w.tenant = of_tenant AND w.mission = m.id AND w.agent = of_agent;
            UPDATE holds h SET agent = pseudonym, reason = pseudonym -- their own words
            WHERE h.tenant = of_tenant AND h.mission = m.id AND h.agent = of_agent;
            DELETE FROM windows w WHERE w.tenant = of_tenant AND w.mission = m.id AND w.agent = of_agent;
            DELETE FROM progress p WHERE p.tenant = of_tenant AND p.mission = m.id AND p.agent = of_agent;
            DELETE FROM latest l WHERE l.tenant = of_tenant AND l.mission = m.id AND l.agent = of_agent;
            GET DIAGNOSTICS gone = ROW_COUNT;
            n.positions := n.positions + gone;
            DELETE FROM refusals r WHERE r.tenant = of_tenant AND r.mission = m.id AND r.agent = of_agent;
            GET DIAGNOSTICS gone = ROW_COUNT;
            n.refusals := n.refusals + gone;
            DELETE FROM mission_agents a WHERE a.tenant = of_tenant AND a.mission = m.id AND a.agent = of_agent;
            DELETE FROM receipts r WHERE r.tenant = of_tenant AND r.mission = m.id; -- they may repeat the name
            UPDATE missions o SET revision = o.revision + 1 WHERE o.id = m.id;
        END IF;
    END IF;
    UPDATE erasures e SET done_at = n.done_at, missions = n.missions, positions = n.positions,
        refusals = n.refusals, acknowledgements = n.acknowledgements
    WHERE e.number = tombstone;
END $$;
-- +goose StatementEnd

-- Takes one step of the tombstone of a tenant.
-- +goose StatementBegin
CREATE FUNCTION ronde_erase_tenant(
    tombstone bigint, of_tenant text, until timestamptz, most integer, OUT changed uuid, OUT done boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    now CONSTANT timestamptz := ronde_now();
    m record;
    gone bigint;
    n erasures;
BEGIN
    done := false;
    INSERT INTO erasures (number) VALUES (tombstone) ON CONFLICT DO NOTHING;
    SELECT * INTO n FROM erasures WHERE number = tombstone FOR UPDATE;

    -- One of that name that came later is another. Who creates something for the
    -- tenant at this moment waits: that is what a foreign key locks too.
    PERFORM FROM tenants t WHERE t.name = of_tenant AND t.created_at <= until FOR UPDATE;
    IF NOT FOUND THEN
        DELETE FROM erasing e WHERE e.tenant = of_tenant AND e.at <= until;
        UPDATE erasures e SET done_at = coalesce(e.done_at, now) WHERE e.number = tombstone;
        done := true;
        RETURN;
    END IF;
    DELETE FROM api_keys k WHERE k.tenant = of_tenant;
    GET DIAGNOSTICS gone = ROW_COUNT;
    n.api_keys := n.api_keys + gone;

    SELECT o.id, o.expires_on INTO m FROM missions o WHERE o.tenant = of_tenant ORDER BY o.id LIMIT 1 FOR UPDATE;
    IF NOT FOUND THEN
        DELETE FROM acknowledgements k WHERE k.tenant = of_tenant;
        GET DIAGNOSTICS gone = ROW_COUNT;
        n.acknowledgements := n.acknowledgements + gone;
        DELETE FROM notices v WHERE v.tenant = of_tenant;
        GET DIAGNOSTICS gone = ROW_COUNT;
        n.notices := n.notices + gone;
        DELETE FROM tenants t WHERE t.name = of_tenant;
        DELETE FROM erasing e WHERE e.tenant = of_tenant AND e.at <= until;
        n.done_at := now;
        done := true;
    ELSE
        gone := ronde_erase_archive(of_tenant, m.id, NULL, most);
        n.positions := n.positions + gone;
        IF gone < most THEN
            gone := ronde_erase_positions(m.expires_on, m.id, NULL, most);
            n.positions := n.positions + gone;
        END IF;
        IF gone < most THEN
            changed := m.id;
            n.missions := n.missions + 1;
            DELETE FROM holds h WHERE h.tenant = of_tenant AND h.mission = m.id;
            DELETE FROM links l WHERE l.tenant = of_tenant AND l.mission = m.id;
            GET DIAGNOSTICS gone = ROW_COUNT;
            n.links := n.links + gone;
            DELETE FROM latest l WHERE l.tenant = of_tenant AND l.mission = m.id;
            GET DIAGNOSTICS gone = ROW_COUNT;
            n.positions := n.positions + gone;
            DELETE FROM refusals r WHERE r.tenant = of_tenant AND r.mission = m.id;
            GET DIAGNOSTICS gone = ROW_COUNT;
            n.refusals := n.refusals + gone;
            DELETE FROM receipts r WHERE r.tenant = of_tenant AND r.mission = m.id;
            DELETE FROM progress p WHERE p.tenant = of_tenant AND p.mission = m.id;
            DELETE FROM windows w WHERE w.tenant = of_tenant AND w.mission = m.id;
            DELETE FROM mission_agents a WHERE a.tenant = of_tenant AND a.mission = m.id;
            DELETE FROM missions o WHERE o.id = m.id;
        END IF;
    END IF;
    UPDATE erasures e SET done_at = n.done_at, missions = n.missions, positions = n.positions, refusals = n.refusals,
        acknowledgements = n.acknowledgements, links = n.links, api_keys = n.api_keys, notices = n.notices
    WHERE e.number = tombstone;
END $$;
-- +goose StatementEnd

-- All tenants, for whoever runs the installation.
-- +goose StatementBegin
CREATE FUNCTION ronde_tenants() RETURNS SETOF tenants LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT * FROM tenants ORDER BY name
$$;
-- +goose StatementEnd

GRANT SELECT ON erasures, erasing TO ronde_app;
GRANT SELECT ON tenants, erasing TO ronde_judge;
GRANT EXECUTE ON FUNCTION ronde_spare(text, text[]), ronde_admit(text, text[]), ronde_bar(text, text, text),
    ronde_erase_agent(bigint, text, text, text, timestamptz, integer),
    ronde_erase_tenant(bigint, text, timestamptz, integer) TO ronde_app;

RESET ROLE;

GRANT CREATE ON SCHEMA public TO ronde_judge;
ALTER FUNCTION ronde_tenants OWNER TO ronde_judge;
ALTER FUNCTION ronde_barred OWNER TO ronde_judge;
REVOKE CREATE ON SCHEMA public FROM ronde_judge;
GRANT EXECUTE ON FUNCTION ronde_tenants, ronde_barred TO ronde_app;
