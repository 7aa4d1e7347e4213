-- The salts of holds: one table a hold, named after it, so that to destroy its
-- salt is to drop its file.
CREATE SCHEMA hold_salts AUTHORIZATION ronde_keys_owner;
SET LOCAL ROLE ronde_keys_owner;

-- The holds whose salt is gone. None is made for them again.
CREATE TABLE destroyed_holds (hold uuid PRIMARY KEY);

-- Until when the salts of holds are to live.
CREATE TABLE held_until (
    hold  uuid PRIMARY KEY,
    until timestamptz NOT NULL
);

-- The days of which there are salts.
CREATE FUNCTION ronde_salt_days() RETURNS SETOF date LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.relname::text::date FROM pg_class c
    WHERE c.relnamespace = 'salts'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
    ORDER BY c.relname
$$;

-- Drops the salts of a day but for those of some tenants, and returns how many. A
-- DELETE would leave the rows in the file, so those that are kept get a new file
-- and the old one goes.
CREATE FUNCTION ronde_drop_other_salts(day date, kept text[]) RETURNS bigint LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home CONSTANT text := public.ronde_salts(day);
    n bigint;
    stay bigint;
BEGIN
    -- Whoever makes a table of salts holds this lock: none is made meanwhile.
    PERFORM pg_advisory_xact_lock(hashtextextended('ronde_make_salt', 0));
    BEGIN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', home);
    EXCEPTION WHEN undefined_table THEN
        RETURN 0; -- another node was faster
    END;
    EXECUTE format('SELECT count(*) FILTER (WHERE tenant <> ALL ($1)), count(*) FILTER (WHERE tenant = ANY ($1)) FROM %s', home)
        INTO n, stay USING kept;
    IF stay = 0 THEN
        EXECUTE format('DROP TABLE %s', home);
    ELSIF n > 0 THEN
        CREATE TABLE salts.others (tenant text COLLATE "C" PRIMARY KEY, sealed bytea NOT NULL);
        EXECUTE format('INSERT INTO salts.others SELECT tenant, sealed FROM %s WHERE tenant = ANY ($1)', home) USING kept;
        EXECUTE format('DROP TABLE %s', home);
        EXECUTE format('ALTER TABLE salts.others RENAME TO %I', to_char(day, 'YYYY-MM-DD'));
        EXECUTE format('ALTER INDEX salts.others_pkey RENAME TO %I', to_char(day, 'YYYY-MM-DD') || '_pkey');
    END IF;
    RETURN n;
END $$;

-- The sealed salt of a hold. Without one, made becomes it, to live until then; if
-- that is null, it is gone.
CREATE FUNCTION ronde_hold_salt(hold uuid, made bytea, until timestamptz, OUT gone boolean, OUT sealed bytea) LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home CONSTANT text := format('hold_salts.%I', hold);
BEGIN
    PERFORM 'hold_salts'::regnamespace; -- without it every salt would look gone
    -- Whoever marks the hold waits for this transaction, and then finds its table.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('ronde_hold ' || hold, 0));
    gone := EXISTS (SELECT FROM public.destroyed_holds d WHERE d.hold = ronde_hold_salt.hold);
    IF NOT gone AND to_regclass(home) IS NULL THEN
        IF made IS NULL THEN
            gone := true;
        ELSE
            PERFORM pg_advisory_xact_lock(hashtextextended('ronde_hold_salt', 0));
            EXECUTE format('CREATE TABLE IF NOT EXISTS %s (one boolean PRIMARY KEY DEFAULT true CHECK (one), sealed bytea NOT NULL)', home);
            EXECUTE format('INSERT INTO %s (sealed) VALUES ($1) ON CONFLICT DO NOTHING', home) USING made;
            INSERT INTO public.held_until VALUES (hold, until) ON CONFLICT DO NOTHING;
        END IF;
    END IF;
    IF NOT gone THEN
        EXECUTE format('SELECT sealed FROM %s', home) INTO STRICT sealed;
    END IF;
END $$;

-- Lets the salt of a hold live until then, if that is later and there is one.
CREATE FUNCTION ronde_extend_hold_salt(of_hold uuid, longer timestamptz) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Whoever drops the salt waits, or was first: no time is left without one.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('ronde_hold ' || of_hold, 0));
    IF to_regclass(format('hold_salts.%I', of_hold)) IS NOT NULL THEN
        INSERT INTO public.held_until AS h VALUES (of_hold, longer)
            ON CONFLICT (hold) DO UPDATE SET until = greatest(h.until, excluded.until);
    END IF;
END $$;

-- The holds of which there are salts, and until when these are to live; null if
-- that is not known.
CREATE FUNCTION ronde_hold_salts() RETURNS TABLE (hold uuid, until timestamptz) LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.relname::text::uuid, u.until FROM pg_class c
    LEFT JOIN public.held_until u ON u.hold::text = c.relname
    WHERE c.relnamespace = 'hold_salts'::regnamespace AND c.relkind = 'r'
$$;

-- Marks the salt of a hold as destroyed. Once it is committed none is given or
-- made.
CREATE FUNCTION ronde_mark_hold_destroyed(hold uuid) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ronde_hold ' || hold, 0));
    INSERT INTO public.destroyed_holds VALUES (hold) ON CONFLICT DO NOTHING;
END $$;

-- Drops a salt that was marked, with its file.
CREATE FUNCTION ronde_drop_hold_salt(hold uuid) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM public.destroyed_holds d WHERE d.hold = ronde_drop_hold_salt.hold) THEN
        RAISE EXCEPTION 'the salt of hold % is not marked as destroyed', hold USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('ronde_hold ' || hold, 0));
    EXECUTE format('DROP TABLE IF EXISTS hold_salts.%I', hold);
    DELETE FROM public.held_until u WHERE u.hold = ronde_drop_hold_salt.hold;
END $$;

GRANT EXECUTE ON FUNCTION ronde_salt_days(), ronde_drop_other_salts(date, text[]), ronde_hold_salt(uuid, bytea, timestamptz), ronde_extend_hold_salt(uuid, timestamptz), ronde_hold_salts(),
    ronde_mark_hold_destroyed(uuid), ronde_drop_hold_salt(uuid) TO ronde_keys;

RESET ROLE;
