-- Roles belong to the whole cluster, not to one database: another database's
-- migration may be making the same ones at this moment. The lock on the shared
-- catalogue makes them take turns; logging in does not need it.
LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;

DO $$
BEGIN
    -- Owns everything, so that nothing needs a superuser once it is migrated.
    IF to_regrole('ronde_keys_owner') IS NULL THEN
        CREATE ROLE ronde_keys_owner NOLOGIN;
    END IF;
    -- What serve runs as. A login becomes able to by GRANT ronde_keys.
    IF to_regrole('ronde_keys') IS NULL THEN
        CREATE ROLE ronde_keys NOLOGIN;
    END IF;
    -- Lets a connection keep sealed keys, which are parameters, out of the
    -- server's log: they would outlive their destruction there.
    GRANT SET ON PARAMETER log_parameter_max_length TO ronde_keys;
END $$;
