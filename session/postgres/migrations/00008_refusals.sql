-- How many pings were refused, of whom and why: never where or when.

-- +goose Up
SET LOCAL ROLE ronde_owner;

CREATE TABLE refusals (
    tenant  text COLLATE "C" NOT NULL,
    mission uuid NOT NULL,
    agent   text COLLATE "C" NOT NULL,
    reason  text COLLATE "C" NOT NULL, -- a refusal code of the wire
    count   bigint NOT NULL CHECK (count > 0),
    PRIMARY KEY (mission, agent, reason),
    FOREIGN KEY (tenant, mission, agent) REFERENCES mission_agents (tenant, mission, agent)
) WITH (fillfactor = 50); -- every batch with a refusal replaces its row: room to do so in the page

CREATE POLICY tenant ON refusals USING (tenant = ronde_tenant());
ALTER TABLE refusals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

GRANT SELECT ON refusals TO ronde_app;
GRANT SELECT, INSERT, UPDATE (count) ON refusals TO ronde_judge;

-- ronde_count adds up what of a batch was refused, but for agents who are not on
-- the mission. The rows are in one order, so that two batches of the same agents
-- wait for each other in one direction only.
-- +goose StatementBegin
CREATE FUNCTION ronde_count(
    s_tenant text[], s_mission uuid[], s_agent text[], p_submission integer[], verdicts smallint[])
RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO refusals AS r (tenant, mission, agent, reason, count)
    SELECT a.tenant, a.mission, a.agent, refusal.reason, count(*)
    FROM unnest(p_submission, verdicts) AS p(submission, verdict)
    JOIN (VALUES (3, 'not_active'), (4, 'outside_window'), (5, 'future'), (6, 'invalid'),
                 (7, 'too_frequent'), (8, 'notice_missing')) AS refusal(verdict, reason) ON refusal.verdict = p.verdict
    JOIN unnest(s_tenant, s_mission, s_agent) WITH ORDINALITY AS s(tenant, mission, agent, n) ON s.n = p.submission
    JOIN mission_agents a ON a.tenant = s.tenant AND a.mission = s.mission AND a.agent = s.agent
    GROUP BY a.tenant, a.mission, a.agent, refusal.reason
    ORDER BY a.mission, a.agent, refusal.reason COLLATE "C"
    ON CONFLICT (mission, agent, reason) DO UPDATE SET count = r.count + excluded.count
$$;
-- +goose StatementEnd

RESET ROLE;

-- To make, to replace or to take over a function, its owner must be able to
-- create one.
GRANT CREATE ON SCHEMA public TO ronde_judge;
ALTER FUNCTION ronde_count OWNER TO ronde_judge;
SET LOCAL ROLE ronde_judge;

-- ronde_append judges every ping of a batch by the rules of
-- session.Mission.Judge, in their order, stores the good ones, counts the refused
-- ones, and returns the clock by which it judged and one session.Verdict a ping.
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
CREATE OR REPLACE FUNCTION ronde_append(
    s_tenant text[], s_mission uuid[], s_agent text[],
    p_submission integer[], p_time bigint[], p_sealed bytea[],
    OUT now_ms bigint, OUT verdicts smallint[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    stored         CONSTANT smallint := 1;
    not_active     CONSTANT smallint := 3;
    outside_window CONSTANT smallint := 4;
    future         CONSTANT smallint := 5;
    too_frequent   CONSTANT smallint := 7;
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
    refused  boolean; -- there are bad ones
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
           bool_or(j.verdict = stored AND NOT j.track),
           bool_or(j.verdict BETWEEN not_active AND notice_missing)
    INTO verdicts, good, inserted, others, refused
    FROM judged j;

    -- Some were stored before, or came twice.
    IF inserted < good THEN
        verdicts := ronde_settle(s_tenant, s_mission, s_agent, p_submission, p_time, p_sealed, verdicts);
    END IF;
    IF others THEN
        verdicts := ronde_keep(s_tenant, s_mission, s_agent, p_submission, p_time, p_sealed, now_ms, verdicts);
    END IF;
    IF refused OR (inserted < good OR others) AND too_frequent = ANY (verdicts) THEN
        PERFORM ronde_count(s_tenant, s_mission, s_agent, p_submission, verdicts);
    END IF;
END $$;
-- +goose StatementEnd

RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM ronde_judge;
