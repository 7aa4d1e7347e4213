-- The access log: who did what, when and why.

-- +goose Up
SET LOCAL ROLE ronde_owner;

-- A zero id and an empty text stand for none, so that everything said here has
-- one form only. Rows name people by pseudonym, and outlive what they tell of.
CREATE TABLE access_log (
    id      uuid PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT ronde_now(),
    tenant  text COLLATE "C" NOT NULL, -- '': the whole installation
    role    text COLLATE "C" NOT NULL, -- '': Ronde itself
    subject uuid NOT NULL,
    action  text COLLATE "C" NOT NULL,
    mission uuid NOT NULL,
    agent   text COLLATE "C" NOT NULL,
    object  uuid NOT NULL,
    why     text NOT NULL,
    salt    bytea NOT NULL CHECK (length(salt) = 16), -- without it nobody can guess the row from its leaf
    leaf    bigint UNIQUE CHECK (leaf >= 0)           -- of the Merkle tree; null: not yet
);
CREATE INDEX access_log_tenant ON access_log (tenant, id);
CREATE INDEX access_log_mission ON access_log (tenant, mission, id);
CREATE INDEX access_log_pending ON access_log (id) WHERE leaf IS NULL;

-- Whatever is done is recorded, and one transaction records for many tenants;
-- each reads its own. What is recorded nobody changes, and nobody dates.
CREATE POLICY record ON access_log FOR INSERT WITH CHECK (true);
CREATE POLICY tenant ON access_log FOR SELECT USING (tenant = ronde_tenant());
ALTER TABLE access_log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT (id, tenant, role, subject, action, mission, agent, object, why, salt) ON access_log TO ronde_app;

RESET ROLE;
