-- Signing keys can go once nothing that they signed is valid any more.
SET LOCAL ROLE ronde_keys_owner;

-- Removes the keys of those numbers, but never the newest, and returns how many
-- it removed.
CREATE FUNCTION ronde_remove_signing_keys(numbers integer[]) RETURNS bigint LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n bigint;
BEGIN
    DELETE FROM public.signing_keys k
    WHERE k.number = ANY (numbers) AND k.number < (SELECT max(newest.number) FROM public.signing_keys newest);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN n;
END $$;

GRANT EXECUTE ON FUNCTION ronde_remove_signing_keys(integer[]) TO ronde_keys;

RESET ROLE;
