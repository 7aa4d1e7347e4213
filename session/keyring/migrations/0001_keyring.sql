GRANT USAGE, CREATE ON SCHEMA public TO ronde_keys_owner;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO ronde_keys;
-- One table an expiry day, named after it: 2026-11-21. They have no parent, so
-- that to drop one locks nobody out of another. Only functions get here.
CREATE SCHEMA salts AUTHORIZATION ronde_keys_owner;
SET LOCAL ROLE ronde_keys_owner;
-- Nobody executes a function that was not granted to them.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- How many steps the database has had.
CREATE TABLE ronde_keys_schema (version integer NOT NULL);
INSERT INTO ronde_keys_schema VALUES (0);

-- Who this keyring is, and of which root secret.
CREATE TABLE keyring (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    sealed bytea NOT NULL
);

-- The highest number signs.
CREATE TABLE signing_keys (
    number integer PRIMARY KEY CHECK (number > 0),
    sealed bytea NOT NULL
);

-- Every salt that expired before this day is gone. It never goes back.
CREATE TABLE destroyed (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    before date NOT NULL
);
INSERT INTO destroyed (before) VALUES ('-infinity');

-- The table of a day's salts, as SQL writes it.
CREATE FUNCTION ronde_salts(day date) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.format('salts.%I', pg_catalog.to_char(day, 'YYYY-MM-DD'))
$$;

-- Whether the salts of a day were destroyed, or are being. If that cannot be
-- known, it is an error.
CREATE FUNCTION ronde_gone(day date) RETURNS boolean LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mark date;
BEGIN
    SELECT before INTO STRICT mark FROM public.destroyed;
    PERFORM 'salts'::regnamespace; -- without it every day would look empty
    RETURN day < mark;
END $$;

-- The sealed salt of a tenant and day; null if there is none.
CREATE FUNCTION ronde_salt(day date, tenant text, OUT gone boolean, OUT sealed bytea) LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Asked first, so that nobody waits for a table that is being dropped.
    gone := public.ronde_gone(day);
    IF gone THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('SELECT sealed FROM %s WHERE tenant = $1', public.ronde_salts(day)) INTO sealed USING tenant;
    EXCEPTION WHEN undefined_table THEN
        NULL; -- of the first tenant on this day, or dropped a moment ago
    END;
    -- And again, because what was marked meanwhile is given to nobody.
    gone := public.ronde_gone(day);
    IF gone THEN
        sealed := NULL;
    END IF;
END $$;

-- Makes the salt of a tenant and day unless there is one, and returns the one
-- that there is then.
CREATE FUNCTION ronde_make_salt(day date, tenant text, made bytea, OUT gone boolean, OUT sealed bytea) LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home CONSTANT text := public.ronde_salts(day);
BEGIN
    -- The lock lasts until this salt is committed. Whoever marks the day waits
    -- for it and then finds the salt among those to be dropped.
    SELECT day < d.before INTO STRICT gone FROM public.destroyed d FOR SHARE;
    IF gone THEN
        RETURN;
    END IF;
    IF to_regclass(home) IS NULL THEN
        -- Of several nodes that make it at once, all but the first find it made.
        PERFORM pg_advisory_xact_lock(hashtextextended('ronde_make_salt', 0));
        EXECUTE format('CREATE TABLE IF NOT EXISTS %s (tenant text COLLATE "C" PRIMARY KEY, sealed bytea NOT NULL)', home);
    END IF;
    EXECUTE format('INSERT INTO %s VALUES ($1, $2) ON CONFLICT DO NOTHING', home) USING tenant, made;
    EXECUTE format('SELECT sealed FROM %s WHERE tenant = $1', home) INTO STRICT sealed USING tenant;
END $$;

-- Marks every day before this one as destroyed, and returns the names of the
-- tables that are to go. Once it is committed no salt of those days is given or
-- made.
CREATE FUNCTION ronde_mark_destroyed(day date) RETURNS SETOF text LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM public.ronde_gone(day); -- is there a mark to move?
    UPDATE public.destroyed SET before = day WHERE before < day;
    RETURN QUERY SELECT c.relname::text FROM pg_class c
        WHERE c.relnamespace = 'salts'::regnamespace AND c.relkind = 'r'
            AND c.relname < to_char(day, 'YYYY-MM-DD') COLLATE "C"
        ORDER BY c.relname;
END $$;

-- Drops the salts of a day that was marked, and returns how many there were.
-- Not DELETE: that leaves the row in the file, and only hides it. With the table
-- goes its file.
CREATE FUNCTION ronde_drop_salts(day date) RETURNS bigint LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home CONSTANT text := public.ronde_salts(day);
    n bigint;
BEGIN
    IF NOT public.ronde_gone(day) THEN
        RAISE EXCEPTION 'the salts of % are not marked as destroyed', day USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    BEGIN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', home);
    EXCEPTION WHEN undefined_table THEN
        RETURN 0; -- another node was faster
    END;
    EXECUTE format('SELECT count(*) FROM %s', home) INTO n;
    EXECUTE format('DROP TABLE %s', home);
    RETURN n;
END $$;

-- What serve may do: read and add, and destroy whole days. It cannot list
-- salts, nor change or remove anything else.
GRANT SELECT ON ronde_keys_schema TO ronde_keys;
GRANT SELECT, INSERT ON keyring, signing_keys TO ronde_keys;
GRANT EXECUTE ON FUNCTION ronde_salt(date, text), ronde_make_salt(date, text, bytea),
    ronde_mark_destroyed(date), ronde_drop_salts(date) TO ronde_keys;

RESET ROLE;
