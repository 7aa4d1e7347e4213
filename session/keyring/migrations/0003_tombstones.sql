-- Who was erased, to erase them from a store that is restored; and the salts of
-- a tenant that is closed.
SET LOCAL ROLE ronde_keys_owner;

CREATE TABLE tombstones (
    number bigint PRIMARY KEY CHECK (number > 0),
    sealed bytea NOT NULL
);

-- The days of which there are salts, by the names of their tables.
CREATE FUNCTION ronde_salt_tables() RETURNS SETOF text LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.relname::text FROM pg_class c
    WHERE c.relnamespace = 'salts'::regnamespace AND c.relkind = 'r' ORDER BY c.relname
$$;

-- Drops the salt of a tenant and day, and returns whether there was one, as 1 or
-- 0. A DELETE would leave the row in the file, so the others of that day get a
-- new file and the old one goes.
CREATE FUNCTION ronde_drop_tenant_salt(day date, of_tenant text) RETURNS bigint LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home CONSTANT text := public.ronde_salts(day);
    n bigint;
BEGIN
    -- Whoever makes a table of salts holds this lock: none is made meanwhile.
    PERFORM pg_advisory_xact_lock(hashtextextended('ronde_make_salt', 0));
    BEGIN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', home);
    EXCEPTION WHEN undefined_table THEN
        RETURN 0; -- destroyed with its day
    END;
    EXECUTE format('SELECT count(*) FROM %s WHERE tenant = $1', home) INTO n USING of_tenant;
    IF n = 0 THEN
        RETURN 0;
    END IF;
    CREATE TABLE salts.others (tenant text COLLATE "C" PRIMARY KEY, sealed bytea NOT NULL);
    EXECUTE format('INSERT INTO salts.others SELECT tenant, sealed FROM %s WHERE tenant <> $1', home) USING of_tenant;
    EXECUTE format('DROP TABLE %s', home);
    EXECUTE format('ALTER TABLE salts.others RENAME TO %I', to_char(day, 'YYYY-MM-DD'));
    EXECUTE format('ALTER INDEX salts.others_pkey RENAME TO %I', to_char(day, 'YYYY-MM-DD') || '_pkey');
    RETURN n;
END $$;

GRANT SELECT, INSERT, DELETE ON tombstones TO ronde_keys;
GRANT EXECUTE ON FUNCTION ronde_salt_tables(), ronde_drop_tenant_salt(date, text) TO ronde_keys;

RESET ROLE;
