-- +goose Up
SET LOCAL ROLE ronde_owner;

-- One partition per expiry day, so that a day's tracks go at once. A position
-- carries no tenant: its mission's decides, see the policy on this table.
CREATE TABLE positions (
    expires_on date NOT NULL,
    mission    uuid NOT NULL,
    agent      text COLLATE "C" NOT NULL,
    slot       bigint NOT NULL,
    at         timestamptz NOT NULL,
    sealed     bytea NOT NULL,
    PRIMARY KEY (expires_on, mission, agent, slot)
) PARTITION BY LIST (expires_on);

-- The latest position of each located agent of a mission that keeps no track.
CREATE TABLE latest (
    tenant  text COLLATE "C" NOT NULL,
    mission uuid NOT NULL,
    agent   text COLLATE "C" NOT NULL,
    slot    bigint NOT NULL,
    at      timestamptz NOT NULL,
    sealed  bytea NOT NULL,
    PRIMARY KEY (mission, agent),
    FOREIGN KEY (tenant, mission, agent) REFERENCES mission_agents (tenant, mission, agent)
) WITH (fillfactor = 50); -- every ping replaces its row: room to do so in the page

-- The clock of everything. Only the owner may replace it, which is how tests
-- own the time. Not now(): that is when the transaction began, which is before
-- it was given its lock.
-- +goose StatementBegin
CREATE FUNCTION ronde_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT pg_catalog.date_trunc('milliseconds', pg_catalog.clock_timestamp())
$$;
-- +goose StatementEnd

-- Milliseconds since the Unix epoch.
-- +goose StatementBegin
CREATE FUNCTION ronde_ms(at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (extract(epoch FROM at) * 1000)::bigint
$$;
-- +goose StatementEnd

-- The time that is so many milliseconds after the Unix epoch, from year 1 on.
-- +goose StatementBegin
CREATE FUNCTION ronde_time(ms bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT timestamptz 'epoch' + greatest(ms, -62135596800000) * interval '1 ms'
$$;
-- +goose StatementEnd

-- The slot that holds a time, as session.Slot: rounded down, also before 1970.
-- +goose StatementBegin
CREATE FUNCTION ronde_slot(ms bigint, interval_ms bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT ms / interval_ms - (ms % interval_ms < 0)::integer
$$;
-- +goose StatementEnd

-- Makes sure of the partition for tracks that expire on that day. It is made
-- apart and then attached: that never waits for, or stalls, what reads and
-- inserts.
-- +goose StatementBegin
CREATE FUNCTION ronde_partition(day date) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    name CONSTANT text := 'positions_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF day IS NULL OR day < (ronde_now() AT TIME ZONE 'UTC')::date THEN
        RAISE EXCEPTION 'no partition is made for the past day %', day USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR attempt IN 1..2 LOOP
        IF EXISTS (SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
                   WHERE c.relname = name AND i.inhparent = 'public.positions'::regclass) THEN
            RETURN;
        END IF;
        -- Of several nodes that make it at once, all but the first find it made
        -- when they look again.
        PERFORM pg_advisory_xact_lock(hashtextextended('ronde_partition', 0));
    END LOOP;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.positions INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE public.positions ATTACH PARTITION public.%I FOR VALUES IN (%L)', name, day);
END $$;
-- +goose StatementEnd

RESET ROLE;
