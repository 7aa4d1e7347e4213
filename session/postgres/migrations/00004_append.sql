-- The judging function: the only way into positions.

-- +goose Up
SET LOCAL ROLE ronde_owner;

-- ronde_good returns the pings of a batch whose verdict is 1, stored, with
-- where they belong. Of several in one slot, first_sealed is the one that came
-- first, and only that one is_first.
-- +goose StatementBegin
CREATE FUNCTION ronde_good(
    s_tenant text[], s_mission uuid[], s_agent text[],
    p_submission integer[], p_time bigint[], p_sealed bytea[], verdicts smallint[])
RETURNS TABLE (n bigint, tenant text, mission uuid, agent text, track boolean, expires_on date,
    slot bigint, time_ms bigint, sealed bytea, is_first boolean, first_sealed bytea)
LANGUAGE sql STABLE AS $$
    SELECT p.n, s.tenant, s.mission, s.agent, m.track, m.expires_on, t.slot, p.time, p.sealed,
           row_number() OVER same_slot = 1, first_value(p.sealed) OVER same_slot
    FROM unnest(p_submission, p_time, p_sealed, verdicts) WITH ORDINALITY AS p(submission, time, sealed, verdict, n)
    JOIN unnest(s_tenant, s_mission, s_agent) WITH ORDINALITY AS s(tenant, mission, agent, n) ON s.n = p.submission
    JOIN missions m ON m.id = s.mission AND m.tenant = s.tenant
    CROSS JOIN LATERAL (SELECT ronde_slot(p.time, m.min_interval_ms) AS slot) t
    WHERE p.verdict = 1
    WINDOW same_slot AS (PARTITION BY s.mission, s.agent, t.slot ORDER BY p.n)
$$;
-- +goose StatementEnd

-- ronde_compare says what became of a good ping, given what took its slot and
-- whether this transaction put that there. The first 8 bytes of a sealed
-- position tell whether two are the same ping (session.FingerprintSize).
-- +goose StatementBegin
CREATE FUNCTION ronde_compare(sealed bytea, is_first boolean, taken_by bytea, taken_now boolean)
RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN is_first AND taken_now THEN 1 -- stored
                WHEN substr(taken_by, 1, 8) = substr(sealed, 1, 8) THEN 2 -- unchanged
                ELSE 7 -- too frequent
           END::smallint
$$;
-- +goose StatementEnd

-- ronde_settle tells, of the good pings that belong to a track, new ones from
-- those whose slot was taken, and returns the verdicts with those of the latter
-- replaced.
-- +goose StatementBegin
CREATE FUNCTION ronde_settle(
    s_tenant text[], s_mission uuid[], s_agent text[],
    p_submission integer[], p_time bigint[], p_sealed bytea[], INOUT verdicts smallint[])
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    day  record;
    ping record;
BEGIN
    -- A day at a time, and planned for that day, so that only its partition is
    -- opened and locked.
    FOR day IN
        SELECT g.expires_on, array_agg(g.n) AS n, array_agg(g.mission) AS mission, array_agg(g.agent) AS agent,
               array_agg(g.slot) AS slot, array_agg(g.sealed) AS sealed, array_agg(g.is_first) AS is_first
        FROM ronde_good(s_tenant, s_mission, s_agent, p_submission, p_time, p_sealed, verdicts) g
        WHERE g.track GROUP BY g.expires_on
    LOOP
        FOR ping IN EXECUTE
            'SELECT g.n, ronde_compare(g.sealed, g.is_first, p.sealed, p.xmin = pg_current_xact_id()::xid) AS verdict
             FROM unnest($2, $3, $4, $5, $6, $7) AS g(n, mission, agent, slot, sealed, is_first)
             JOIN positions p ON p.expires_on = $1 AND p.mission = g.mission AND p.agent = g.agent AND p.slot = g.slot'
            USING day.expires_on, day.n, day.mission, day.agent, day.slot, day.sealed, day.is_first
        LOOP
            verdicts[ping.n] := ping.verdict;
        END LOOP;
    END LOOP;
END $$;
-- +goose StatementEnd

-- ronde_keep keeps, of the good pings of missions without a track, each agent's
-- latest, and returns the verdicts with those of taken slots replaced.
-- +goose StatementBegin
CREATE FUNCTION ronde_keep(
    s_tenant text[], s_mission uuid[], s_agent text[],
    p_submission integer[], p_time bigint[], p_sealed bytea[], now_ms bigint, INOUT verdicts smallint[])
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    good CONSTANT smallint[] := verdicts;
    ping record;
BEGIN
    -- Only of an open window: what a pause or an end removed stays removed.
    INSERT INTO latest AS l (tenant, mission, agent, slot, at, sealed)
    SELECT DISTINCT ON (g.mission, g.agent) g.tenant, g.mission, g.agent, g.slot, t.at, g.sealed
    FROM ronde_good(s_tenant, s_mission, s_agent, p_submission, p_time, p_sealed, good) g
    CROSS JOIN LATERAL (SELECT ronde_time(least(g.time_ms, now_ms)) AS at) t
    JOIN windows w ON w.mission = g.mission AND w.agent = g.agent AND w.closed IS NULL AND w.opened <= t.at
    WHERE NOT g.track
    ORDER BY g.mission, g.agent, g.slot DESC, g.n
    ON CONFLICT (mission, agent) DO UPDATE SET slot = excluded.slot, at = excluded.at, sealed = excluded.sealed
        WHERE l.slot < excluded.slot;

    FOR ping IN
        SELECT g.n, ronde_compare(g.sealed, g.is_first, coalesce(l.sealed, g.first_sealed),
                   l.slot IS NULL OR l.xmin = pg_current_xact_id()::xid) AS verdict
        FROM ronde_good(s_tenant, s_mission, s_agent, p_submission, p_time, p_sealed, good) g
        LEFT JOIN latest l ON l.mission = g.mission AND l.agent = g.agent AND l.slot = g.slot
        WHERE NOT g.track
    LOOP
        verdicts[ping.n] := ping.verdict;
    END LOOP;
END $$;
-- +goose StatementEnd

-- ronde_append judges every ping of a batch by the rules of
-- session.Mission.Judge, in their order, stores the good ones, and returns the
-- clock by which it judged and one session.Verdict a ping.
--
-- A submission is one agent's part in the batch: s_tenant, s_mission, s_agent.
-- A ping is its submission's number (from 1), its device time in milliseconds
-- and its sealed position, which may be null.
--
-- Its two statements are what it is about. The first takes the lock that every
-- transition takes too; those that a transition holds are left out and stall
-- nobody. Only then are the clock read and the pings judged, by a statement
-- that sees everything committed before the lock was given. A single statement
-- would judge by what it saw before it waited.
-- +goose StatementBegin
CREATE FUNCTION ronde_append(
    s_tenant text[], s_mission uuid[], s_agent text[],
    p_submission integer[], p_time bigint[], p_sealed bytea[],
    OUT now_ms bigint, OUT verdicts smallint[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    stored         CONSTANT smallint := 1;
    not_active     CONSTANT smallint := 3;
    outside_window CONSTANT smallint := 4;
    future         CONSTANT smallint := 5;
    notice_missing CONSTANT smallint := 8;
    mission_paused CONSTANT smallint := 9;
    mission_paused_outside CONSTANT smallint := 10;
    is_locked      CONSTANT smallint := 11;
    unsealed       CONSTANT smallint := 12;
    max_ahead_ms   CONSTANT bigint := 60000; -- session.MaxAhead

    locked   uuid[];
    now      timestamptz;
    good     bigint; -- to be stored in a track
    inserted bigint; -- of those, not stored before
    others   boolean; -- there are good pings that no track keeps
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'ronde_append needs a fresh snapshot for each statement: read committed'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;

    SELECT array_agg(l.id) INTO locked
    FROM (SELECT m.id FROM missions m WHERE m.id = ANY (s_mission) ORDER BY m.id FOR SHARE SKIP LOCKED) l;

    now := ronde_now();
    now_ms := ronde_ms(now);

    WITH submission AS MATERIALIZED (
        SELECT s.n, s.mission, s.agent, m.track, m.expires_on, m.min_interval_ms, m.state = 'paused' AS paused,
               coalesce(w.located, '{}') AS located,
               CASE WHEN m.id IS NULL THEN not_active
                    WHEN m.id NOT IN (SELECT unnest(locked)) THEN is_locked
                    WHEN m.state NOT IN ('active', 'paused') OR m.deadline <= now THEN not_active
                    WHEN w.located IS NULL AND (
                        SELECT true FROM mission_agents a WHERE a.mission = s.mission AND a.agent = s.agent) IS NULL THEN not_active
               END AS refusal,
               notice.latest IS NULL OR EXISTS (
                   SELECT FROM acknowledgements k
                   WHERE k.tenant = s.tenant AND k.agent = s.agent AND k.version >= notice.latest) AS acknowledged
        FROM unnest(s_tenant, s_mission, s_agent) WITH ORDINALITY AS s(tenant, mission, agent, n)
        LEFT JOIN missions m ON m.id = s.mission AND m.tenant = s.tenant
        LEFT JOIN LATERAL (
            SELECT range_agg(tstzrange(w.opened, w.closed)) AS located
            FROM windows w WHERE w.mission = m.id AND w.agent = s.agent) w ON true
        LEFT JOIN LATERAL (
            SELECT max(n.version) AS latest FROM notices n WHERE n.tenant = s.tenant) notice ON true
    ), judged AS MATERIALIZED (
        SELECT p.n, s.mission, s.agent, s.track, s.expires_on, p.at, p.sealed,
               ronde_slot(p.time, s.min_interval_ms) AS slot,
               CASE WHEN s.refusal IS NOT NULL THEN s.refusal
                    WHEN s.paused AND s.located @> p.at THEN mission_paused
                    WHEN s.paused THEN mission_paused_outside
                    WHEN NOT s.acknowledged THEN notice_missing
                    WHEN p.time > now_ms + max_ahead_ms THEN future
                    WHEN NOT s.located @> p.at THEN outside_window
                    WHEN p.sealed IS NULL THEN unsealed
                    ELSE stored
               END AS verdict
        FROM (SELECT u.*, ronde_time(least(u.time, now_ms)) AS at
              FROM unnest(p_submission, p_time, p_sealed) WITH ORDINALITY AS u(submission, time, sealed, n)) p
        JOIN submission s ON s.n = p.submission
    ), kept AS (
        INSERT INTO positions (expires_on, mission, agent, slot, at, sealed)
        SELECT j.expires_on, j.mission, j.agent, j.slot, j.at, j.sealed
        FROM judged j WHERE j.verdict = stored AND j.track ORDER BY j.n
        ON CONFLICT DO NOTHING RETURNING 1
    )
    SELECT array_agg(j.verdict ORDER BY j.n),
           count(*) FILTER (WHERE j.verdict = stored AND j.track),
           (SELECT count(*) FROM kept),
           bool_or(j.verdict = stored AND NOT j.track)
    INTO verdicts, good, inserted, others
    FROM judged j;

    -- Some were stored before, or came twice.
    IF inserted < good THEN
        verdicts := ronde_settle(s_tenant, s_mission, s_agent, p_submission, p_time, p_sealed, verdicts);
    END IF;
    IF others THEN
        verdicts := ronde_keep(s_tenant, s_mission, s_agent, p_submission, p_time, p_sealed, now_ms, verdicts);
    END IF;
END $$;
-- +goose StatementEnd

RESET ROLE;

-- Only the judge may judge: the application calls ronde_append and nothing
-- below it. To take over a function the new owner must be able to create one.
GRANT CREATE ON SCHEMA public TO ronde_judge;
ALTER FUNCTION ronde_good OWNER TO ronde_judge;
ALTER FUNCTION ronde_compare OWNER TO ronde_judge;
ALTER FUNCTION ronde_settle OWNER TO ronde_judge;
ALTER FUNCTION ronde_keep OWNER TO ronde_judge;
ALTER FUNCTION ronde_append OWNER TO ronde_judge;
REVOKE CREATE ON SCHEMA public FROM ronde_judge;
GRANT EXECUTE ON FUNCTION ronde_append TO ronde_app;
