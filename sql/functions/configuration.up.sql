-- What SQL needs to know of the configuration: from system_config alone, which the analytics service writes at start.

CREATE OR REPLACE FUNCTION stacklens.setting_number(setting text, fallback double precision)
RETURNS double precision
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT coalesce(
        (
            SELECT stored.value::double precision
            FROM public.system_config AS stored
            WHERE stored.key = setting
                AND stored.value ~ '^\s*[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,2})?\s*$'
        ),
        fallback
    )
$$;

COMMENT ON FUNCTION stacklens.setting_number(text, double precision) IS
'A number of system_config; the fallback where it is not set or is no number.';


CREATE OR REPLACE FUNCTION stacklens.retention_days(tier text)
RETURNS integer
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    setting CONSTANT text := 'retention_' || tier;
    stored text := (SELECT c.value FROM public.system_config AS c WHERE c.key = setting);
    fallback CONSTANT integer := CASE tier WHEN 'hot' THEN 1 WHEN 'warm' THEN 7 WHEN 'cold' THEN 30 END;
BEGIN
    IF fallback IS NULL THEN
        RAISE EXCEPTION 'there is no retention tier %', quote_nullable(tier)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'The tiers are hot, warm and cold.';
    END IF;
    IF stored IS NULL THEN
        RETURN fallback;
    END IF;
    IF stored !~ '^\s*\d{1,5}\s*$' OR stored::integer NOT BETWEEN 1 AND 36500 THEN
        RAISE EXCEPTION 'system_config %: % is not a whole number of days from 1 to 36500',
            setting, quote_literal(stored)
            USING ERRCODE = 'invalid_parameter_value',
                HINT = format('Set %s in the environment of the analytics service and start it again.', upper(setting));
    END IF;
    RETURN stored::integer;
END
$$;

COMMENT ON FUNCTION stacklens.retention_days(text) IS
'Days that tier hot, warm or cold keeps: from system_config, 1, 7 and 30 where nothing is set. An error that says what'
' is wrong for anything but 1 to 36500.';


CREATE OR REPLACE FUNCTION stacklens.keeps_window(window_name text)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT coalesce(
        (
            SELECT window_name = ANY (string_to_array(stored.value, ','))
            FROM public.system_config AS stored
            WHERE stored.key = 'aggregation_windows'
        ),
        true
    )
$$;

COMMENT ON FUNCTION stacklens.keeps_window(text) IS
'Whether windows of a size (1min, 5min, 1hour) are kept: AGGREGATION_WINDOWS of system_config; all where not set.';
