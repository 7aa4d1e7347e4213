-- Roles belong to the whole cluster, not to one database: another database's
-- migration may be making the same ones at this moment. The lock on the shared
-- catalogue makes them take turns; logging in does not need it.
LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;

DO $$
BEGIN
    -- Owns every table, so that nothing needs a superuser once it is migrated.
    IF to_regrole('ronde_owner') IS NULL THEN
        CREATE ROLE ronde_owner NOLOGIN;
    END IF;
    -- What serve runs as. A login becomes able to serve by GRANT ronde_app.
    IF to_regrole('ronde_app') IS NULL THEN
        CREATE ROLE ronde_app NOLOGIN;
    END IF;
    -- Owns the functions that must look across tenants, and nothing else.
    IF to_regrole('ronde_judge') IS NULL THEN
        CREATE ROLE ronde_judge NOLOGIN BYPASSRLS;
    END IF;
    ALTER ROLE ronde_judge BYPASSRLS;
    -- Lets a connection keep its statements' parameters out of the server's
    -- log, whatever the log's settings.
    GRANT SET ON PARAMETER log_parameter_max_length TO ronde_app;
END $$;
