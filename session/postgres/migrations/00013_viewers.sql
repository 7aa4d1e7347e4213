-- How many watch through a link, over all nodes; how often a link was opened; and
-- privacy notices in parts.

-- +goose Up
SET LOCAL ROLE ronde_owner;

-- Nodes that have viewers, each for as long as it keeps saying so.
CREATE TABLE nodes (
    id    uuid PRIMARY KEY,
    until timestamptz NOT NULL -- from here on its viewers do not count
) WITH (fillfactor = 50);

CREATE TABLE viewers (
    link    uuid NOT NULL REFERENCES links ON DELETE CASCADE,
    node    uuid NOT NULL REFERENCES nodes ON DELETE CASCADE,
    tenant  text COLLATE "C" NOT NULL,
    mission uuid NOT NULL,
    count   integer NOT NULL CHECK (count > 0),
    PRIMARY KEY (link, node)
) WITH (fillfactor = 50);
CREATE INDEX viewers_mission ON viewers (mission);
CREATE INDEX viewers_node ON viewers (node);

CREATE POLICY tenant ON viewers USING (tenant = ronde_tenant());
ALTER TABLE viewers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

ALTER TABLE links
    ADD COLUMN opened bigint NOT NULL DEFAULT 0 CHECK (opened >= 0),
    ADD COLUMN last_opened_at timestamptz;

ALTER TABLE notices
    ADD COLUMN controller text NOT NULL DEFAULT '',
    ADD COLUMN purpose text NOT NULL DEFAULT '',
    ADD COLUMN legal_basis text NOT NULL DEFAULT '',
    ADD COLUMN recipients text NOT NULL DEFAULT '',
    ADD COLUMN retention text NOT NULL DEFAULT '',
    ADD COLUMN rights text NOT NULL DEFAULT '';

GRANT SELECT ON nodes, viewers TO ronde_app, ronde_judge;
GRANT INSERT, UPDATE (until), DELETE ON nodes TO ronde_judge;
GRANT INSERT, UPDATE (count), DELETE ON viewers TO ronde_judge;
GRANT UPDATE (opened, last_opened_at) ON links TO ronde_judge;

-- Renews the lease of a node if it holds for another margin, and makes a new node
-- otherwise. The margin is longer than a statement can take: a renewal that is
-- not committed yet must not meet a judgement by which the lease has lapsed.
-- Deletes nodes whose lease has lapsed, and the one that the new node replaces.
-- +goose StatementBegin
CREATE FUNCTION ronde_attend(INOUT node uuid, fresh uuid, life interval, margin interval) LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE nodes n SET until = ronde_now() + life WHERE n.id = node AND n.until > ronde_now() + margin;
    IF NOT FOUND THEN
        DELETE FROM nodes n WHERE n.id = node;
        INSERT INTO nodes VALUES (fresh, ronde_now() + life);
        node := fresh;
    END IF;
    DELETE FROM nodes n WHERE n.id IN (SELECT o.id FROM nodes o WHERE o.until <= ronde_now() FOR UPDATE SKIP LOCKED);
END $$;
-- +goose StatementEnd

-- Judges how many may watch through links at a node, as session.Store.Watch says:
-- one row an attendance, null if another holds the link locked, -1 if there is
-- none such; no row at all if the node's lease has lapsed. As in ronde_append, the
-- lock comes first, and a second statement judges by what was committed before.
-- +goose StatementBegin
CREATE FUNCTION ronde_watch(a_node uuid, s_tenant text[], s_link uuid[], s_want integer[], s_new integer[])
RETURNS TABLE (place bigint, granted integer) LANGUAGE plpgsql VOLATILE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    locked uuid[];
BEGIN
    PERFORM FROM nodes n WHERE n.id = a_node AND n.until > ronde_now() FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT array_agg(k.id) INTO locked
    FROM (SELECT l.id FROM links l WHERE l.id = ANY (s_link) ORDER BY l.id FOR NO KEY UPDATE SKIP LOCKED) k;

    RETURN QUERY
    WITH asked AS (
        SELECT s.place, s.link, s.want, s.new, l.tenant, l.mission,
            CASE WHEN l.max_viewers = 0 THEN s.want ELSE LEAST(s.want, GREATEST(0, l.max_viewers - (
                SELECT coalesce(sum(v.count), 0) FROM viewers v JOIN nodes n ON n.id = v.node AND n.until > ronde_now()
                WHERE v.link = l.id AND v.node <> a_node)))::integer END AS granted
        FROM unnest(s_tenant, s_link, s_want, s_new) WITH ORDINALITY AS s(tenant, link, want, new, place)
        JOIN links l ON l.id = s.link AND l.tenant = s.tenant AND l.id = ANY (locked)
    ), gone AS (
        DELETE FROM viewers v USING asked a WHERE v.link = a.link AND v.node = a_node AND a.granted = 0
    ), kept AS (
        INSERT INTO viewers AS v (link, node, tenant, mission, count)
        SELECT a.link, a_node, a.tenant, a.mission, a.granted FROM asked a WHERE a.granted > 0 ORDER BY a.link
        ON CONFLICT (link, node) DO UPDATE SET count = excluded.count WHERE v.count <> excluded.count
    ), counted AS (
        UPDATE links l SET opened = l.opened + a.granted - (a.want - a.new), last_opened_at = ronde_now()
        FROM asked a WHERE l.id = a.link AND a.granted > a.want - a.new
    )
    SELECT s.place, CASE WHEN l.id IS NULL THEN -1 ELSE a.granted END
    FROM unnest(s_tenant, s_link) WITH ORDINALITY AS s(tenant, link, place)
    LEFT JOIN links l ON l.id = s.link AND l.tenant = s.tenant
    LEFT JOIN asked a ON a.place = s.place;
END $$;
-- +goose StatementEnd

-- How many watch missions, by nodes whose lease holds.
-- +goose StatementBegin
CREATE FUNCTION ronde_viewers(s_tenant text[], s_mission uuid[])
RETURNS TABLE (mission uuid, node uuid, count bigint) LANGUAGE sql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT v.mission, v.node, sum(v.count)
    FROM unnest(s_tenant, s_mission) AS s(tenant, mission)
    JOIN viewers v ON v.mission = s.mission AND v.tenant = s.tenant
    JOIN nodes n ON n.id = v.node AND n.until > ronde_now()
    GROUP BY v.mission, v.node
$$;
-- +goose StatementEnd

RESET ROLE;

GRANT CREATE ON SCHEMA public TO ronde_judge;
ALTER FUNCTION ronde_attend OWNER TO ronde_judge;
ALTER FUNCTION ronde_watch OWNER TO ronde_judge;
ALTER FUNCTION ronde_viewers OWNER TO ronde_judge;
REVOKE CREATE ON SCHEMA public FROM ronde_judge;
GRANT EXECUTE ON FUNCTION ronde_attend, ronde_watch, ronde_viewers TO ronde_app;
