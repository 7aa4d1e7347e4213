-- Holds with what they preserve, and the functions of the sweep.

-- +goose Up
SET LOCAL ROLE ronde_owner;

-- For how many months after it is over a mission's record names anybody, and
-- since when it does not.
ALTER TABLE tenants ADD COLUMN mission_months integer NOT NULL DEFAULT 12 CHECK (mission_months BETWEEN 1 AND 60);
ALTER TABLE missions ADD COLUMN anonymous_at timestamptz;
CREATE INDEX missions_named ON missions (ended_at) WHERE anonymous_at IS NULL AND ended_at IS NOT NULL;
CREATE INDEX missions_cut ON missions (expires_on) WHERE state = 'ended' AND max_points > 0;

-- The first day that no sweep has claimed: no hold can be set on a mission that
-- expired before. It never goes back.
CREATE TABLE expiry (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    before date NOT NULL
);
INSERT INTO expiry (before) VALUES ('1970-01-01');

CREATE TABLE holds (
    id          uuid PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL,
    mission     uuid NOT NULL,
    agent       text COLLATE "C" NOT NULL DEFAULT '', -- whose part it keeps; '': of all
    reason      text NOT NULL CHECK (reason <> ''),
    role        text NOT NULL,
    subject     uuid NOT NULL,
    set_at      timestamptz NOT NULL,
    until       timestamptz NOT NULL CHECK (until > set_at),
    released_at timestamptz,
    copied_at   timestamptz,
    copied      bigint NOT NULL DEFAULT 0,
    gone_at     timestamptz CHECK (gone_at IS NULL OR released_at IS NOT NULL OR gone_at >= until),
    UNIQUE (tenant, id),
    FOREIGN KEY (tenant, mission) REFERENCES missions (tenant, id),
    -- One hold stands on a mission, and one on an agent's part, at a time.
    EXCLUDE USING gist (mission WITH =, agent WITH =, tstzrange(set_at, coalesce(released_at, until)) WITH &&) WHERE (gone_at IS NULL)
);
CREATE INDEX holds_mission ON holds (tenant, mission, id);
CREATE INDEX holds_there ON holds (id) WHERE gone_at IS NULL;

CREATE TABLE archive (
    tenant text COLLATE "C" NOT NULL,
    hold   uuid NOT NULL,
    agent  text COLLATE "C" NOT NULL,
    slot   bigint NOT NULL,
    at     timestamptz NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (hold, agent, slot),
    FOREIGN KEY (tenant, hold) REFERENCES holds (tenant, id)
);
CREATE INDEX archive_order ON archive (hold, at, agent, slot);

CREATE POLICY tenant ON holds USING (tenant = ronde_tenant());
CREATE POLICY tenant ON archive USING (tenant = ronde_tenant());
ALTER TABLE holds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE archive ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- The application sets and releases holds. What was copied, and what is gone,
-- only the functions below write.
GRANT UPDATE (mission_months) ON tenants TO ronde_app;
GRANT SELECT ON archive TO ronde_app;
GRANT SELECT, INSERT (id, tenant, mission, agent, reason, role, subject, set_at, until, released_at),
    UPDATE (reason, role, subject, until, released_at) ON holds TO ronde_app;

GRANT SELECT ON tenants TO ronde_judge;
GRANT SELECT, UPDATE (before) ON expiry TO ronde_judge;
GRANT SELECT, DELETE, UPDATE (copied_at, copied, gone_at) ON holds TO ronde_judge;
GRANT SELECT, INSERT, DELETE ON archive TO ronde_judge;
GRANT DELETE ON positions, latest, progress, links, acknowledgements TO ronde_judge;
GRANT UPDATE (reference, site, checkpoints, anonymous_at) ON missions TO ronde_judge;
GRANT INSERT, DELETE, UPDATE (alias) ON mission_agents TO ronde_judge;
GRANT UPDATE (agent) ON windows, refusals TO ronde_judge;

RESET ROLE;
GRANT CREATE ON SCHEMA public TO ronde_judge;
SET LOCAL ROLE ronde_judge;
-- What is made below is executed by those it is granted to, and nobody else.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- Today, in UTC.
-- +goose StatementBegin
CREATE FUNCTION ronde_today() RETURNS date LANGUAGE sql VOLATILE AS $$
    SELECT (public.ronde_now() AT TIME ZONE 'UTC')::date
$$;
-- +goose StatementEnd

-- The first day that no sweep has claimed. Until the end of the transaction
-- nobody claims another, so that what it decides by the answer stays right.
-- +goose StatementBegin
CREATE FUNCTION ronde_unclaimed() RETURNS date LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    day date;
BEGIN
    SELECT before INTO STRICT day FROM expiry FOR SHARE;
    RETURN day;
END $$;
-- +goose StatementEnd

-- The first day that no sweep has claimed, for whoever need not keep it so.
-- +goose StatementBegin
CREATE FUNCTION ronde_claimed() RETURNS date LANGUAGE sql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT before FROM expiry
$$;
-- +goose StatementEnd

-- The standing holds that are not copied, with what is not to be swept for them.
-- +goose StatementBegin
CREATE FUNCTION ronde_kept() RETURNS TABLE (hold uuid, tenant text, mission uuid, day date) LANGUAGE sql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT h.id, h.tenant, m.id, m.expires_on FROM holds h JOIN missions m ON m.id = h.mission
    WHERE h.gone_at IS NULL AND h.released_at IS NULL AND h.copied_at IS NULL AND h.until > ronde_now()
$$;
-- +goose StatementEnd

-- Claims the days that are over. It waits for whoever sets a hold and has read
-- ronde_unclaimed; the statement after that sees their holds, and who comes later
-- sees the claim. Returns the first day that is not claimed.
-- +goose StatementBegin
CREATE FUNCTION ronde_claim_days() RETURNS date LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE expiry SET before = ronde_today() + 1 WHERE before < ronde_today() + 1;
    RETURN ronde_claimed();
END $$;
-- +goose StatementEnd

-- Holds of all tenants that stand on missions that are over, and are not copied.
-- +goose StatementBegin
CREATE FUNCTION ronde_uncopied_holds(most integer) RETURNS SETOF holds LANGUAGE sql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT h.* FROM holds h JOIN missions m ON m.id = h.mission
    WHERE h.gone_at IS NULL AND h.released_at IS NULL AND h.copied_at IS NULL AND h.until > ronde_now()
        AND m.state IN ('ended', 'cancelled')
    ORDER BY m.expires_on, h.id LIMIT most
$$;
-- +goose StatementEnd

-- Which of these holds, of all tenants, stand, and until when.
-- +goose StatementBegin
CREATE FUNCTION ronde_standing_holds(ids uuid[]) RETURNS TABLE (id uuid, until timestamptz) LANGUAGE sql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT h.id, h.until FROM holds h
    WHERE h.id = ANY (ids) AND h.gone_at IS NULL AND h.released_at IS NULL AND h.until > ronde_now()
$$;
-- +goose StatementEnd

-- Holds of all tenants that have ended and whose copy may still be there.
-- +goose StatementBegin
CREATE FUNCTION ronde_ended_holds(most integer) RETURNS SETOF holds LANGUAGE sql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT h.* FROM holds h
    WHERE h.gone_at IS NULL AND (h.released_at IS NOT NULL OR h.until <= ronde_now())
    ORDER BY h.id LIMIT most
$$;
-- +goose StatementEnd

-- The only way into the archive: copies of positions that are stored, for a hold
-- that stands. False if it does not, or its copy is whole.
-- +goose StatementBegin
CREATE FUNCTION ronde_copy_held(h_tenant text, h_id uuid, agents text[], slots bigint[], times timestamptz[], seals bytea[])
RETURNS boolean LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    home uuid;
    part text;
    day  date;
BEGIN
    SELECT h.mission, h.agent INTO home, part FROM holds h
    WHERE h.tenant = h_tenant AND h.id = h_id AND h.gone_at IS NULL AND h.released_at IS NULL AND h.copied_at IS NULL AND h.until > ronde_now()
    FOR UPDATE;
    SELECT m.expires_on INTO day FROM missions m WHERE m.id = home AND m.state IN ('ended', 'cancelled');
    IF day IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO archive (tenant, hold, agent, slot, at, sealed)
    SELECT h_tenant, h_id, p.agent, p.slot, p.at, r.sealed
    FROM unnest(agents, slots, times, seals) AS r(agent, slot, at, sealed)
    JOIN positions p ON p.expires_on = day AND p.mission = home AND p.agent = r.agent AND p.slot = r.slot AND p.at = r.at
    WHERE part IN ('', p.agent)
    ORDER BY p.agent, p.slot
    ON CONFLICT DO NOTHING;
    RETURN true;
END $$;
-- +goose StatementEnd

-- Declares a copy whole, unless more positions than lost are missing in it.
-- Returns how many are, or null for a hold that cannot be copied any more.
-- +goose StatementBegin
CREATE FUNCTION ronde_hold_copied(h_tenant text, h_id uuid, lost bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    hold    holds;
    day     date;
    missing bigint;
BEGIN
    SELECT * INTO hold FROM holds h WHERE h.tenant = h_tenant AND h.id = h_id FOR UPDATE;
    IF hold.copied_at IS NOT NULL THEN
        RETURN 0;
    ELSIF hold.id IS NULL OR hold.gone_at IS NOT NULL OR hold.released_at IS NOT NULL OR hold.until <= ronde_now() THEN
        RETURN NULL;
    END IF;
    SELECT m.expires_on INTO day FROM missions m WHERE m.id = hold.mission AND m.state IN ('ended', 'cancelled');
    IF day IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT count(*) INTO missing FROM positions p
    WHERE p.expires_on = day AND p.mission = hold.mission AND hold.agent IN ('', p.agent)
        AND NOT EXISTS (SELECT FROM archive a WHERE a.hold = h_id AND a.agent = p.agent AND a.slot = p.slot);
    IF missing <= lost THEN
        UPDATE holds SET copied_at = ronde_now(), copied = (SELECT count(*) FROM archive a WHERE a.hold = h_id) WHERE id = h_id;
        RETURN 0;
    END IF;
    RETURN missing - lost;
END $$;
-- +goose StatementEnd

-- Removes positions of the copy of a hold that has ended, and says so in the hold
-- once none is left. Returns how many, or null for a hold that stands.
-- +goose StatementBegin
CREATE FUNCTION ronde_delete_held(h_tenant text, h_id uuid, most integer) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    PERFORM FROM holds h WHERE h.tenant = h_tenant AND h.id = h_id AND (h.released_at IS NOT NULL OR h.until <= ronde_now()) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    DELETE FROM archive a USING (SELECT o.agent, o.slot FROM archive o WHERE o.hold = h_id LIMIT most) old
    WHERE a.hold = h_id AND a.agent = old.agent AND a.slot = old.slot;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n < most THEN
        UPDATE holds SET gone_at = ronde_now() WHERE id = h_id AND gone_at IS NULL;
    END IF;
    RETURN n;
END $$;
-- +goose StatementEnd

-- Removes positions that lie beside those of a hold that is not copied, for which
-- the partition of their day stays: at most so many. Returns how many; of several
-- nodes at once one does it.
-- +goose StatementBegin
CREATE FUNCTION ronde_purge_beside(before date, most integer) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    held  date;
    total bigint := 0;
    n     bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ronde_purge_beside', 0)) THEN
        RETURN 0;
    END IF;
    FOR held IN SELECT DISTINCT k.day FROM ronde_kept() k WHERE k.day < least(before, ronde_claimed()) LOOP
        DELETE FROM positions p USING (
            SELECT o.mission, o.agent, o.slot FROM positions o
            WHERE o.expires_on = held AND o.mission <> ALL (SELECT k.mission FROM ronde_kept() k)
            LIMIT most - total) old
        WHERE p.expires_on = held AND p.mission = old.mission AND p.agent = old.agent AND p.slot = old.slot;
        GET DIAGNOSTICS n = ROW_COUNT;
        total := total + n;
    END LOOP;
    RETURN total;
END $$;
-- +goose StatementEnd

-- Missions that have ended with more positions than their policy keeps, and with
-- no hold that stood by then.
-- +goose StatementBegin
CREATE FUNCTION ronde_overfull(most integer, by timestamptz) RETURNS TABLE (tenant text, mission uuid, excess bigint) LANGUAGE sql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT m.tenant, m.id, stored.n - m.max_points FROM missions m
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM positions p WHERE p.expires_on = m.expires_on AND p.mission = m.id) stored
    WHERE m.state = 'ended' AND m.max_points > 0 AND m.expires_on >= (SELECT e.before FROM expiry e)
        AND stored.n > m.max_points
        AND NOT EXISTS (SELECT FROM holds h WHERE h.tenant = m.tenant AND h.mission = m.id
            AND h.gone_at IS NULL AND h.released_at IS NULL AND h.until > by)
    LIMIT most
$$;
-- +goose StatementEnd

-- Whether nobody is located by a latest position or saved progress: no window is
-- open, or its mission's deadline had passed by then.
-- +goose StatementBegin
CREATE FUNCTION ronde_adrift(l_mission uuid, l_agent text, by timestamptz) RETURNS boolean LANGUAGE sql STABLE
    SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM windows w JOIN missions m ON m.id = w.mission
        WHERE w.mission = l_mission AND w.agent = l_agent AND w.closed IS NULL AND m.deadline > by)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION ronde_purge_locations() RETURNS bigint LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    now CONSTANT timestamptz := ronde_now();
    n bigint;
    m bigint;
BEGIN
    DELETE FROM latest l WHERE ronde_adrift(l.mission, l.agent, now);
    GET DIAGNOSTICS n = ROW_COUNT;
    DELETE FROM progress l WHERE ronde_adrift(l.mission, l.agent, now);
    GET DIAGNOSTICS m = ROW_COUNT;
    RETURN n + m;
END $$;
-- +goose StatementEnd

-- The first instant of the day on which so many months after a time are over.
-- +goose StatementBegin
CREATE FUNCTION ronde_term(since timestamptz, of_tenant text) RETURNS timestamptz LANGUAGE sql STABLE
    SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT date_trunc('day', (since AT TIME ZONE 'UTC') + t.mission_months * interval '1 month') AT TIME ZONE 'UTC'
    FROM tenants t WHERE t.name = of_tenant
$$;
-- +goose StatementEnd

-- Missions whose record is to be anonymous, but for the positions that it may
-- still have to wait for.
-- +goose StatementBegin
CREATE FUNCTION ronde_named() RETURNS TABLE (mission uuid, ended_at timestamptz) LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT m.id, m.ended_at FROM missions m
    WHERE m.anonymous_at IS NULL AND m.ended_at IS NOT NULL AND (m.expires_on IS NULL OR m.expires_on <= ronde_today())
        -- No tenant's term is shorter, however long its months: few are left whose own must be asked for.
        AND m.ended_at <= ronde_now() - (SELECT min(t.mission_months) FROM tenants t) * interval '1 month' + interval '4 days'
        AND ronde_term(m.ended_at, m.tenant) <= ronde_now()
        AND NOT EXISTS (SELECT FROM holds h WHERE h.tenant = m.tenant AND h.mission = m.id AND h.gone_at IS NULL)
$$;
-- +goose StatementEnd

-- Takes names and places out of such records. An agent's new name says only which
-- of the mission's agents it is, and is no other mission's. Of several nodes at
-- once one does it.
-- +goose StatementBegin
CREATE FUNCTION ronde_anonymize(most integer) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    old uuid;
    n bigint := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ronde_anonymize', 0)) THEN
        RETURN 0;
    END IF;
    FOR old IN
        SELECT o.mission FROM ronde_named() o JOIN missions m ON m.id = o.mission
        WHERE NOT EXISTS (SELECT FROM positions p WHERE p.expires_on = m.expires_on AND p.mission = m.id)
        ORDER BY o.ended_at LIMIT most
    LOOP
        PERFORM FROM missions m WHERE m.id = old FOR UPDATE;
        DELETE FROM links l WHERE l.mission = old;
        DELETE FROM receipts r WHERE r.mission = old;
        DELETE FROM holds h WHERE h.mission = old;
        DELETE FROM latest l WHERE l.mission = old;
        DELETE FROM progress p WHERE p.mission = old;
        UPDATE mission_agents a SET alias = '-' || a.place WHERE a.mission = old;
        INSERT INTO mission_agents (tenant, mission, agent, place, alias, paused, relieved, sos, tokens_after, removed)
            SELECT a.tenant, a.mission, 'anonymous-' || a.mission || '-' || a.place + 1, a.place, 'A' || a.place + 1,
                a.paused, a.relieved, a.sos, a.tokens_after, a.removed
            FROM mission_agents a WHERE a.mission = old;
        UPDATE windows w SET agent = 'anonymous-' || a.mission || '-' || a.place + 1
            FROM mission_agents a WHERE a.mission = old AND w.mission = old AND w.agent = a.agent;
        UPDATE refusals r SET agent = 'anonymous-' || a.mission || '-' || a.place + 1
            FROM mission_agents a WHERE a.mission = old AND r.mission = old AND r.agent = a.agent;
        DELETE FROM mission_agents a WHERE a.mission = old AND left(a.alias, 1) = '-';
        UPDATE missions m SET reference = '', site = '{"name": "", "latitude": 0, "longitude": 0, "radius_m": 0}', checkpoints = '[]',
            anonymous_at = ronde_now(), revision = m.revision + 1 WHERE m.id = old;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
-- +goose StatementEnd

-- Whether an acknowledgement is that of an agent whom nothing names any more.
-- +goose StatementBegin
CREATE FUNCTION ronde_former(k acknowledgements, now timestamptz) RETURNS boolean LANGUAGE sql STABLE
    SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT ronde_term(k.acknowledged_at, k.tenant) <= now
        AND NOT EXISTS (SELECT FROM mission_agents a WHERE a.tenant = k.tenant AND a.agent = k.agent)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION ronde_purge_acknowledgements(most integer) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    DELETE FROM acknowledgements k USING (
        SELECT o.tenant, o.agent, o.version FROM acknowledgements o WHERE ronde_former(o, ronde_now()) LIMIT most) old
    WHERE k.tenant = old.tenant AND k.agent = old.agent AND k.version = old.version;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;
-- +goose StatementEnd

-- Whether there are missions that have begun and not expired.
-- +goose StatementBegin
CREATE FUNCTION ronde_sealed() RETURNS boolean LANGUAGE sql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM missions m WHERE m.expires_on > ronde_today())
$$;
-- +goose StatementEnd

-- How many rows of each class have outlived their limit. What ends at a moment
-- may have been over for so long; rows of the access log go with the checkpoint
-- that covers them, of which the last of each day is kept.
-- +goose StatementBegin
CREATE FUNCTION ronde_overdue(slack_ms bigint, access_months integer) RETURNS TABLE (class text, n bigint) LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    now   CONSTANT timestamptz := ronde_now();
    today CONSTANT date := ronde_today();
    late  CONSTANT timestamptz := now - slack_ms * interval '1 ms';
BEGIN
    RETURN QUERY SELECT 'positions', count(*) FROM positions p WHERE p.expires_on <= today;
    RETURN QUERY SELECT 'excess_positions', coalesce(sum(o.excess), 0)::bigint FROM ronde_overfull(NULL, late) o;
    RETURN QUERY SELECT 'locations',
        (SELECT count(*) FROM latest l WHERE ronde_adrift(l.mission, l.agent, late)) +
        (SELECT count(*) FROM progress l WHERE ronde_adrift(l.mission, l.agent, late));
    RETURN QUERY SELECT 'held_copies', count(*) FROM archive a JOIN holds h ON h.id = a.hold
        WHERE h.released_at <= late OR h.until <= late OR h.gone_at IS NOT NULL;
    RETURN QUERY SELECT 'mission_records', count(*) FROM ronde_named();
    RETURN QUERY SELECT 'acknowledgements', count(*) FROM acknowledgements k WHERE ronde_former(k, now);
    RETURN QUERY SELECT 'receipts', count(*) FROM receipts r WHERE r.expires_at <= late;
    RETURN QUERY SELECT 'access_log', count(*) FROM access_log l
        WHERE l.at < now - access_months * interval '1 month' - interval '2 days';
END $$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION ronde_unclaimed(), ronde_claim_days(), ronde_standing_holds(uuid[]), ronde_uncopied_holds(integer), ronde_ended_holds(integer),
    ronde_copy_held(text, uuid, text[], bigint[], timestamptz[], bytea[]), ronde_hold_copied(text, uuid, bigint),
    ronde_delete_held(text, uuid, integer), ronde_purge_beside(date, integer), ronde_overfull(integer, timestamptz), ronde_purge_locations(), ronde_anonymize(integer),
    ronde_purge_acknowledgements(integer), ronde_overdue(bigint, integer), ronde_sealed() TO ronde_app;
GRANT EXECUTE ON FUNCTION ronde_claimed(), ronde_kept() TO ronde_owner, ronde_app;

RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM ronde_judge;
SET LOCAL ROLE ronde_owner;

-- Drops the partition of a day that may be swept; true if there was one. That
-- locks the parent, and who waits for a lock keeps others waiting: behind an open
-- read it gives up after a moment, and is asked again.
-- +goose StatementBegin
CREATE FUNCTION ronde_drop_partition(day date) RETURNS boolean LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    name CONSTANT text := 'positions_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF day IS NULL OR day >= ronde_claimed() OR EXISTS (SELECT FROM ronde_kept() k WHERE k.day = ronde_drop_partition.day) THEN
        RAISE EXCEPTION 'the positions of % are not to be removed', day USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- Of several nodes that drop it at once one waits for the tables.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ronde_drop_partition', 0)) THEN
        RETURN false;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
                   WHERE c.relname = name AND i.inhparent = 'public.positions'::regclass) THEN
        RETURN false;
    END IF;
    LOCK TABLE positions IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('DROP TABLE public.%I', name);
    RETURN true;
END $$;
-- +goose StatementEnd

-- The days before that one of which there are partitions.
-- +goose StatementBegin
CREATE FUNCTION ronde_partitions(before date) RETURNS SETOF date LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT d.day FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    CROSS JOIN LATERAL (SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day) d
    WHERE i.inhparent = 'public.positions'::regclass AND c.relname ~ '^positions_[0-9]{8}$' AND d.day < before
    ORDER BY d.day
$$;
-- +goose StatementEnd

GRANT EXECUTE ON FUNCTION ronde_drop_partition(date), ronde_partitions(date) TO ronde_app;

RESET ROLE;
