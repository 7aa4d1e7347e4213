-- Everything but positions. Names of agents sort by their bytes, as in Go, and
-- so that no index depends on the collation of the operating system. All times
-- have the resolution of a phone's, one millisecond.

-- +goose Up
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO ronde_owner;
GRANT USAGE ON SCHEMA public TO ronde_app, ronde_judge;
ALTER TABLE ronde_schema OWNER TO ronde_owner;
SET LOCAL ROLE ronde_owner;
-- Nobody executes a function that was not granted to them.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE tenants (
    name       text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    created_at timestamptz NOT NULL
);

CREATE TABLE api_keys (
    id         uuid PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL REFERENCES tenants,
    role       text NOT NULL CHECK (role IN ('platform', 'operator', 'auditor')),
    label      text NOT NULL,
    hash       bytea NOT NULL CHECK (length(hash) = 32), -- SHA-256 of the secret
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX ON api_keys (tenant);

CREATE TABLE notices (
    tenant       text COLLATE "C" NOT NULL REFERENCES tenants,
    version      integer NOT NULL CHECK (version > 0),
    text         text NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, version)
);

CREATE TABLE acknowledgements (
    tenant          text COLLATE "C" NOT NULL,
    agent           text COLLATE "C" NOT NULL,
    version         integer NOT NULL,
    acknowledged_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, agent, version),
    FOREIGN KEY (tenant, version) REFERENCES notices
);

CREATE TABLE missions (
    id              uuid PRIMARY KEY,
    tenant          text COLLATE "C" NOT NULL REFERENCES tenants,
    reference       text NOT NULL,
    site            jsonb NOT NULL,
    checkpoints     jsonb NOT NULL,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL,
    overrun_ms      bigint NOT NULL CHECK (overrun_ms >= 0),
    early_begin_ms  bigint NOT NULL CHECK (early_begin_ms >= 0),
    -- The policy, which never changes.
    track           boolean NOT NULL,
    proof           boolean NOT NULL,
    retention_days  integer NOT NULL CHECK (retention_days BETWEEN 1 AND CASE WHEN proof THEN 365 ELSE 60 END),
    min_interval_ms bigint NOT NULL CHECK (min_interval_ms > 0),
    max_points      integer NOT NULL CHECK (max_points >= 0), -- 0: all
    speed           boolean NOT NULL,
    agent_controls  boolean NOT NULL,
    -- Where it stands.
    state           text NOT NULL CHECK (state IN ('scheduled', 'active', 'paused', 'ended', 'cancelled')),
    changed_by      text NOT NULL,
    end_reason      text NOT NULL,
    created_at      timestamptz NOT NULL,
    began_at        timestamptz,
    ended_at        timestamptz,
    expires_on      date,
    deadline        timestamptz NOT NULL,
    revision        bigint NOT NULL,

    UNIQUE (tenant, id),
    CHECK (ends_at > starts_at),
    CHECK (began_at IS NOT NULL OR state NOT IN ('active', 'paused')),
    CHECK ((ended_at IS NOT NULL) = (state IN ('ended', 'cancelled'))),
    CHECK ((end_reason <> '') = (state = 'ended')),
    CHECK (deadline <= began_at + interval '72 hours'),
    -- The day of the begin in UTC, and the retention: fixed, whoever asks.
    CHECK ((expires_on IS NULL) = (began_at IS NULL)),
    CHECK (expires_on = (began_at AT TIME ZONE 'UTC')::date + retention_days)
);
-- What the deadline is still to close.
CREATE INDEX missions_due ON missions (deadline) WHERE state NOT IN ('ended', 'cancelled');

CREATE TABLE mission_agents (
    tenant       text COLLATE "C" NOT NULL,
    mission      uuid NOT NULL,
    agent        text COLLATE "C" NOT NULL,
    place        integer NOT NULL, -- in the mission's list
    alias        text NOT NULL,
    paused       boolean NOT NULL,
    relieved     boolean NOT NULL,
    sos          text NOT NULL CHECK (sos IN ('', 'raised', 'acknowledged', 'closed')),
    tokens_after timestamptz,
    removed      bigint NOT NULL CHECK (removed >= 0),
    PRIMARY KEY (mission, agent),
    UNIQUE (tenant, mission, agent),
    UNIQUE (mission, alias),
    FOREIGN KEY (tenant, mission) REFERENCES missions (tenant, id)
);

CREATE TABLE windows (
    tenant  text COLLATE "C" NOT NULL,
    mission uuid NOT NULL,
    agent   text COLLATE "C" NOT NULL,
    opened  timestamptz NOT NULL,
    closed  timestamptz, -- null: open
    PRIMARY KEY (mission, agent, opened),
    FOREIGN KEY (tenant, mission, agent) REFERENCES mission_agents (tenant, mission, agent),
    CHECK (closed > opened),
    -- An agent is located for one mission at a time, whichever nodes ask. The
    -- two names are one key, so that no query takes this index for a way to
    -- look up an agent.
    CONSTRAINT windows_one_at_a_time EXCLUDE USING gist
        ((tenant || '/' || agent) WITH =, tstzrange(opened, closed) WITH &&)
);

CREATE TABLE links (
    id          uuid PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL,
    mission     uuid NOT NULL,
    profile     text NOT NULL,
    trail       boolean NOT NULL,
    label       text NOT NULL,
    max_viewers integer NOT NULL CHECK (max_viewers >= 0), -- 0: no limit
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    FOREIGN KEY (tenant, mission) REFERENCES missions (tenant, id)
);
CREATE INDEX ON links (tenant, mission);

RESET ROLE;
