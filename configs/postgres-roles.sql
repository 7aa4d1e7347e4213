-- The login of Ronde's nodes, made before the first migration: a member of ronde_app, which owns nothing and cannot
-- store a position except through the judging function. psql reads its password from a file, so that it stands in no
-- list of processes.

\set password `cat /run/secrets/node.password`
CREATE ROLE ronde_app NOLOGIN;
CREATE ROLE ronde LOGIN PASSWORD :'password';
GRANT ronde_app TO ronde;
