-- What every connection does first.
SET ROLE ronde_keys;

-- Each statement of a function must see what was committed before it.
SET default_transaction_isolation = 'read committed';
SET default_transaction_read_only = off;
SET search_path = public, pg_temp;
SET TimeZone = 'UTC';
SET jit = off;

-- Durable before anything is sealed under it, and before it counts as
-- destroyed. Stronger settings stay: they are how replicas are waited for.
SELECT set_config('synchronous_commit', 'on', false)
 WHERE current_setting('synchronous_commit') IN ('off', 'local');

-- No parameter of a statement reaches the server's log.
SET log_parameter_max_length_on_error = 0;
SELECT set_config('log_parameter_max_length', '0', false)
 WHERE has_parameter_privilege('log_parameter_max_length', 'SET');
