-- The identity of the keyring that seals the positions, once it is known. The
-- application can write it once: with another keyring nothing that is here
-- could be read.

-- +goose Up
SET LOCAL ROLE ronde_owner;

CREATE TABLE keyring (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), -- there is one row at most
    id  uuid NOT NULL
);
GRANT SELECT, INSERT ON keyring TO ronde_app;

RESET ROLE;
