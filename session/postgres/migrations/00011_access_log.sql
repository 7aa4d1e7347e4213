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
    mac     bytea NOT NULL CHECK (length(mac) IN (0, 16)), -- of the node that made the row; empty: whoever made it was none
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
GRANT SELECT, INSERT (id, tenant, role, subject, action, mission, agent, object, why, salt, mac) ON access_log TO ronde_app;

-- The Merkle tree over the log. Hashes stay when rows go.
CREATE TABLE access_hashes (
    place bigint PRIMARY KEY, -- tlog.StoredHashIndex
    hash  bytea NOT NULL CHECK (length(hash) = 32)
);
CREATE TABLE access_checkpoints (
    size      bigint PRIMARY KEY, -- leaves of the tree that is signed
    signed_at timestamptz NOT NULL,
    note      text NOT NULL
);
CREATE INDEX access_checkpoints_signed ON access_checkpoints (signed_at);
GRANT SELECT ON access_hashes, access_checkpoints TO ronde_app;

GRANT SELECT, UPDATE (leaf), DELETE ON access_log TO ronde_judge;
GRANT SELECT, INSERT ON access_hashes TO ronde_judge;
GRANT SELECT, INSERT, DELETE ON access_checkpoints TO ronde_judge;

-- When the oldest row without a leaf was recorded; null: all have one.
-- +goose StatementBegin
CREATE FUNCTION ronde_access_pending_since() RETURNS timestamptz LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT at FROM access_log WHERE leaf IS NULL ORDER BY id LIMIT 1
$$;
-- +goose StatementEnd

-- Rows without a leaf, in the order in which they get theirs.
-- +goose StatementBegin
CREATE FUNCTION ronde_access_pending(most integer) RETURNS SETOF access_log LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT * FROM access_log WHERE leaf IS NULL ORDER BY id LIMIT most
$$;
-- +goose StatementEnd

-- Rows with a leaf, of all tenants: for whoever verifies or exports the log.
-- +goose StatementBegin
CREATE FUNCTION ronde_access_rows(first bigint, most integer) RETURNS SETOF access_log LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT * FROM access_log WHERE leaf >= first ORDER BY leaf, id LIMIT most
$$;
-- +goose StatementEnd

-- Lets the tree grow from size leaves by the rows of those ids. Whoever calls it
-- holds the lock of the tree; if not, or if anything is there already, it fails.
-- +goose StatementBegin
CREATE FUNCTION ronde_access_grow(
    size bigint, ids uuid[], first_index bigint, hashes bytea[], signed_at timestamptz, note text)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    given bigint;
BEGIN
    IF ronde_access_grow.size <> coalesce((SELECT max(c.size) FROM access_checkpoints c), 0) THEN
        RAISE EXCEPTION 'the tree of the access log has no longer % leaves', ronde_access_grow.size
            USING ERRCODE = 'serialization_failure';
    END IF;
    UPDATE access_log l SET leaf = ronde_access_grow.size + i.n - 1
    FROM unnest(ids) WITH ORDINALITY AS i(id, n) WHERE l.id = i.id AND l.leaf IS NULL;
    GET DIAGNOSTICS given = ROW_COUNT;
    IF given <> cardinality(ids) THEN
        RAISE EXCEPTION '% of % rows of the access log could be given a leaf', given, cardinality(ids)
            USING ERRCODE = 'serialization_failure';
    END IF;
    INSERT INTO access_hashes (place, hash)
    SELECT first_index + h.n - 1, h.hash FROM unnest(hashes) WITH ORDINALITY AS h(hash, n);
    INSERT INTO access_checkpoints (size, signed_at, note)
    VALUES (ronde_access_grow.size + given, ronde_access_grow.signed_at, ronde_access_grow.note);
END $$;
-- +goose StatementEnd

-- Removes rows before the newest checkpoint that is so many months old, the oldest
-- first, and the checkpoints before it. Of past days the last checkpoint stays.
-- Of several nodes at once one does it.
-- +goose StatementBegin
CREATE FUNCTION ronde_purge_access(months integer, most integer, OUT purged bigint, OUT thinned bigint) LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    now CONSTANT timestamp := ronde_now() AT TIME ZONE 'UTC';
    old CONSTANT bigint := coalesce((
        SELECT max(c.size) FROM access_checkpoints c
        WHERE c.signed_at <= (now - months * interval '1 month') AT TIME ZONE 'UTC'), 0);
BEGIN
    purged := 0;
    thinned := 0;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ronde_purge_access', 0)) THEN
        RETURN;
    END IF;
    DELETE FROM access_log WHERE leaf IN (SELECT l.leaf FROM access_log l WHERE l.leaf < old ORDER BY l.leaf LIMIT most);
    GET DIAGNOSTICS purged = ROW_COUNT;
    DELETE FROM access_checkpoints WHERE size IN (
        SELECT c.size FROM access_checkpoints c
        WHERE c.size < old OR c.signed_at < (date_trunc('day', now)) AT TIME ZONE 'UTC' AND EXISTS (
            SELECT FROM access_checkpoints later
            WHERE later.size > c.size AND later.signed_at >= c.signed_at
                AND later.signed_at < (date_trunc('day', c.signed_at AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC')
        ORDER BY c.size LIMIT most);
    GET DIAGNOSTICS thinned = ROW_COUNT;
END $$;
-- +goose StatementEnd

RESET ROLE;

GRANT CREATE ON SCHEMA public TO ronde_judge;
ALTER FUNCTION ronde_access_pending_since OWNER TO ronde_judge;
ALTER FUNCTION ronde_access_pending OWNER TO ronde_judge;
ALTER FUNCTION ronde_access_rows OWNER TO ronde_judge;
ALTER FUNCTION ronde_access_grow OWNER TO ronde_judge;
ALTER FUNCTION ronde_purge_access OWNER TO ronde_judge;
REVOKE CREATE ON SCHEMA public FROM ronde_judge;
GRANT EXECUTE ON FUNCTION ronde_access_pending_since, ronde_access_pending, ronde_access_rows, ronde_access_grow, ronde_purge_access TO ronde_app;
