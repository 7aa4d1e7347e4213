-- What every pooled connection does first.
SET ROLE ronde_app;

-- The judging function must see, in its second statement, what was committed
-- while its first one took the lock.
SET default_transaction_isolation = 'read committed';
SET default_transaction_read_only = off;
SET search_path = public, pg_temp;
SET TimeZone = 'UTC';
-- Every statement is short: to compile it takes longer than to run it.
SET jit = off;

-- Durable before it is acknowledged, even where the cluster's default is not.
-- Stronger settings stay: they are how replicas are waited for.
SELECT set_config('synchronous_commit', 'on', false)
 WHERE current_setting('synchronous_commit') IN ('off', 'local');

-- No parameter of a statement reaches the server's log.
SET log_parameter_max_length_on_error = 0;
SELECT set_config('log_parameter_max_length', '0', false)
 WHERE has_parameter_privilege('log_parameter_max_length', 'SET');
