-- Receipts of creations that carried an Idempotency-Key. What was answered is
-- sealed, and under which key, the name does not tell.

-- +goose Up
SET LOCAL ROLE ronde_owner;

CREATE TABLE receipts (
    tenant     text COLLATE "C" NOT NULL,
    id         bytea NOT NULL CHECK (length(id) = 32),
    mission    uuid NOT NULL, -- with which the receipt is erased
    expires_at timestamptz NOT NULL,
    sealed     bytea NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, mission) REFERENCES missions (tenant, id)
);
CREATE INDEX receipts_expires ON receipts (expires_at);

CREATE POLICY tenant ON receipts USING (tenant = ronde_tenant());
ALTER TABLE receipts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE (mission, expires_at, sealed) ON receipts TO ronde_app;
GRANT SELECT, DELETE ON receipts TO ronde_judge;

-- Removes receipts of all tenants whose life is over. Of several nodes at once
-- one does it: two could each wait for what the other has locked. A receipt that
-- is being renewed is looked at again once it is, hence the condition twice.
-- +goose StatementBegin
CREATE FUNCTION ronde_purge_receipts(most integer) RETURNS bigint LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    now CONSTANT timestamptz := ronde_now();
    purged bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ronde_purge_receipts', 0)) THEN
        RETURN 0;
    END IF;
    DELETE FROM receipts r USING (
        SELECT o.tenant, o.id FROM receipts o WHERE o.expires_at <= now ORDER BY o.expires_at LIMIT most) old
    WHERE r.tenant = old.tenant AND r.id = old.id AND r.expires_at <= now;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;
-- +goose StatementEnd

RESET ROLE;

GRANT CREATE ON SCHEMA public TO ronde_judge;
ALTER FUNCTION ronde_purge_receipts OWNER TO ronde_judge;
REVOKE CREATE ON SCHEMA public FROM ronde_judge;
GRANT EXECUTE ON FUNCTION ronde_purge_receipts TO ronde_app;
